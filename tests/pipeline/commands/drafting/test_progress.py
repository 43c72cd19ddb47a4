"""What is said while data is read: a line at once and now and then where nobody looks at a terminal."""

from pipeline.commands.drafting import progress
from pipeline.commands.drafting.progress import Progress
from tests.waiting import until


def test_without_a_terminal_a_line_comes_at_once_and_then_now_and_then(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.01)
    reading, said = Progress(), []

    def lines() -> list[str]:
        said.extend(capsys.readouterr().err.splitlines())
        return said

    with reading.shown():
        reading.begin("reading pets", at_once=True)
        assert lines()[0] == "reading pets"
        reading.update("reading pets: 100 rows")
        until(lambda: "reading pets: 100 rows" in lines())


def test_nothing_is_said_while_a_person_is_asked_or_where_it_does_not_last(capsys):
    reading = Progress()
    asked = []

    with reading.shown():
        reading.begin("reading rows.csv")
        answer = reading.pausing(lambda question: asked.append(question) or "yes")("Is it data?")

    assert (answer, asked) == ("yes", ["Is it data?"])
    assert capsys.readouterr().err == ""
