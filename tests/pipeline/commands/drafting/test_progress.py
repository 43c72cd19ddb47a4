"""What is said while data is read: a line at once and now and then where nobody looks at a terminal."""

from models.progress import report
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
        report(rows=100)
        until(lambda: "reading pets: 100 rows" in lines())


def test_nothing_is_said_while_a_person_is_asked_or_where_it_does_not_last(capsys):
    reading = Progress()
    asked = []

    with reading.shown():
        reading.begin("reading rows.csv")
        answer = reading.pausing(lambda question: asked.append(question) or "yes")("Is it data?")

    assert (answer, asked) == ("yes", ["Is it data?"])
    assert capsys.readouterr().err == ""


def test_of_many_rows_it_is_said_how_fast_they_are_read_and_for_how_long_still(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 4.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    reading = Progress()

    reading.begin("reading rows.csv")
    reading.update({"rows": 100_000, "share": 0.125})
    reading.update({"rows": 200_000, "share": 0.25})

    assert capsys.readouterr().err == "reading rows.csv: 200,000 rows, 4 s, 50,000 rows/s, 12 s left\n"
