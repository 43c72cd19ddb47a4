import pytest

from data import secrets
from data.errors import ConfigError


@pytest.fixture(autouse=True)
def _forgotten_afterwards(monkeypatch):
    """Values that are secrets in these tests, such as `password`, must not be hidden in other tests."""
    monkeypatch.setattr(secrets, "_values", {})


def test_a_secret_is_resolved_and_hidden_in_every_text(monkeypatch):
    monkeypatch.setenv("BUCKET_KEY", "s3cr3t-key")

    resolved = secrets.resolve("/mnt/${ENV:BUCKET_KEY}/rows.csv")

    assert resolved == "/mnt/s3cr3t-key/rows.csv"
    assert secrets.hide(f"{resolved}:7: expected a number") == "/mnt/${ENV:BUCKET_KEY}/rows.csv:7: expected a number"


def test_one_secret_within_another_is_hidden_as_the_longer(monkeypatch):
    monkeypatch.setenv("SHORT", "pass")
    monkeypatch.setenv("LONG", "password")
    secrets.resolve("${ENV:SHORT}${ENV:LONG}")

    assert secrets.hide("password, pass") == "${ENV:LONG}, ${ENV:SHORT}"


def test_a_variable_that_is_not_set_is_named(monkeypatch):
    monkeypatch.delenv("NOT_SET", raising=False)

    with pytest.raises(
        ConfigError, match=r"Environment variable NOT_SET, which \$\{ENV:NOT_SET\} asks for, is not set"
    ):
        secrets.resolve("${ENV:NOT_SET}")


def test_text_without_a_secret_is_unchanged():
    assert secrets.resolve("data/*.csv") == "data/*.csv"
