"""What `headrace serve` makes of its options; nothing is started."""

import pytest
from click.testing import CliRunner

from pipeline.commands.cli import cli
from pipeline.live import serving


@pytest.fixture
def served(monkeypatch):
    """Returns a function that runs the command and returns the options of the server it would start."""
    found = []
    monkeypatch.setattr(serving, "serve", lambda home, pipelines, options, *, ready, judged: found.append(options) or 0)

    def run(*arguments: str) -> serving.ServerOptions:
        done = CliRunner().invoke(cli, ["serve", "digits", *arguments])
        assert done.exit_code == 0, done.output
        return found.pop()

    return run


@pytest.mark.parametrize("option", ["--no-input-validation", "--no-input-guard"])
def test_input_validation_is_turned_off_under_its_new_and_its_old_name(served, option):
    assert served(option).flags == ["--input_validation=false"]
    assert served().flags == []


def test_flags_of_tf_serving_go_before_our_own(served):
    options = served("-f", "enable_batching=true", "--access-log", "-", "--port", "0")

    assert options == serving.ServerOptions("auto", "127.0.0.1", 0, 8501, ["--enable_batching=true", "--access_log=-"])


@pytest.mark.parametrize("flag", ["--input_validation=false", "--input_guard=false"])
def test_that_input_is_not_validated_is_no_difference_under_tf_serving(flag):
    serving._check_flags([flag], "binary")
