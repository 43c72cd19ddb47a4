"""The options of `headrace serve`; no server is started."""

import pytest
from click.testing import CliRunner

from pipeline.commands.cli import cli
from pipeline.live import serving


@pytest.fixture
def serve_options(monkeypatch):
    """Returns a function that runs the command, and returns the options with which the server would be started."""
    server_options = []
    monkeypatch.setattr(
        serving, "serve", lambda home, pipelines, options, *, on_ready, on_verdict: server_options.append(options) or 0
    )

    def run(*arguments: str) -> serving.ServerOptions:
        result = CliRunner().invoke(cli, ["serve", "digits", *arguments])
        assert result.exit_code == 0, result.output
        return server_options.pop()

    return run


@pytest.mark.parametrize("option", ["--no-input-validation", "--no-input-guard"])
def test_input_validation_is_turned_off_by_the_new_and_the_old_option(serve_options, option):
    assert serve_options(option).flags == ["--input_validation=false"]
    assert serve_options().flags == []


def test_flags_of_tf_serving_come_before_our_own(serve_options):
    options = serve_options("-f", "enable_batching=true", "--access-log", "-", "--port", "0")

    assert options == serving.ServerOptions("auto", "127.0.0.1", 0, 8501, ["--enable_batching=true", "--access_log=-"])


@pytest.mark.parametrize("flag", ["--input_validation=false", "--input_guard=false"])
def test_the_flag_against_input_validation_is_accepted_with_tf_serving(flag):
    serving._check_flags([flag], "binary")
