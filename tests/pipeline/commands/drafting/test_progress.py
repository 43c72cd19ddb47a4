"""The progress of reading: on a terminal one line that is rewritten, else a line now and then."""

from models.progress import report
from pipeline.commands.drafting import progress
from pipeline.commands.drafting.progress import Progress
from tests.waiting import until


def test_without_a_terminal_a_line_is_printed_at_once_and_then_periodically(capsys, monkeypatch):
    monkeypatch.setattr(progress, "EVERY_SECONDS", 0.01)
    display, printed = Progress(), []

    def lines() -> list[str]:
        printed.extend(capsys.readouterr().err.splitlines())
        return printed

    with display.shown():
        display.begin("reading pets", at_once=True)
        assert lines()[0] == "reading pets"
        report(rows=100)
        until(lambda: "reading pets: 100 rows" in lines())


def test_nothing_is_printed_during_a_question_or_for_a_short_step(capsys):
    display = Progress()
    questions = []

    with display.shown():
        display.begin("reading rows.csv")
        answer = display.pausing(lambda question: questions.append(question) or "yes")("Is it data?")

    assert (answer, questions) == ("yes", ["Is it data?"])
    assert capsys.readouterr().err == ""


def test_for_many_rows_speed_and_remaining_time_are_printed(capsys, monkeypatch):
    clock = iter([0.0, 1.0, 4.0, 4.0])
    monkeypatch.setattr(progress.time, "monotonic", lambda: next(clock))
    display = Progress()

    display.begin("reading rows.csv")
    display.update({"rows": 100_000, "share": 0.125})
    display.update({"rows": 200_000, "share": 0.25})

    assert capsys.readouterr().err == "reading rows.csv: 200,000 rows, 4 s, 50,000 rows/s, 12 s left\n"
