import io

import pytest

from pipeline.core.colors import BAD, GOOD, colored, colored_state


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def terminal(monkeypatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return Terminal()


def test_a_terminal_has_colors(terminal):
    assert colored("published", GOOD, stream=terminal) == "\x1b[32mpublished\x1b[0m"
    assert colored("Run", bold=True, stream=terminal) == "\x1b[1mRun\x1b[0m"
    assert colored("as it is", stream=terminal) == "as it is"


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_person_can_ask_for_no_colors(terminal, monkeypatch, variable, value):
    monkeypatch.setenv(variable, value)

    assert colored("failed", BAD, bold=True, stream=terminal) == "failed"


def test_files_and_pipes_have_no_colors():
    assert colored("failed", BAD, bold=True, stream=io.StringIO()) == "failed"


def test_the_color_of_a_state_does_not_count_in_its_width(monkeypatch, terminal):
    assert colored_state("failed", 10) == "failed    "

    monkeypatch.setattr("sys.stdout", terminal)

    assert colored_state("failed", 10) == "\x1b[31mfailed\x1b[0m    "
    assert colored_state("of a newer release") == "of a newer release"
