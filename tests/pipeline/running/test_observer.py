"""The observer with a real journal: progress and result of each stage are recorded."""

from collections.abc import Iterator

import pytest

from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.core.screen import Screen
from pipeline.history import journal
from pipeline.history.journal import Journal
from pipeline.history.record import RunRecord
from pipeline.running.observer import Observer

RUN = "20260101-000000-000"


@pytest.fixture
def paths(tmp_path) -> PipelinePaths:
    return PipelinePaths.of(tmp_path, "digits")


@pytest.fixture
def observer(paths, monkeypatch) -> Iterator[Observer]:
    screen = Screen(quiet=True)
    monkeypatch.setattr(journal, "SECONDS_BETWEEN", 0.0)  # every update is written
    yield Observer(screen, paths, Journal(config.load("digits"), paths, RUN))
    screen.console.file.close()


def _stages(paths: PipelinePaths) -> list[tuple[str, str, str]]:
    return [(stage.name, stage.state, stage.detail) for stage in RunRecord.read(paths.record(RUN)).stages]


def test_a_stage_is_in_the_record_while_it_runs_and_with_its_result(observer, paths):
    def launch() -> tuple[bool, dict[str, str]]:
        observer.update({"rows": 10})
        assert observer.stage == "ingest"
        assert _stages(paths)[-1][:2] == ("ingest", "running")
        return False, {"examples": "/somewhere"}

    observer.observe("ingest", launch)

    assert observer.stage == ""
    assert _stages(paths) == [("ingest", "done", "rows 10")]
    assert observer.journal.record.stages[0].outputs == {"examples": "/somewhere"}


def test_a_cached_stage_is_recorded_as_cached(observer, paths):
    observer.observe("ingest", lambda: (True, {}))

    assert _stages(paths) == [("ingest", "cached", "cached")]


def test_a_failed_stage_counts_as_running_until_the_runner_has_cleaned_up(observer, paths):
    def launch() -> tuple[bool, dict[str, str]]:
        observer.update({"epoch": 1, "epochs": 2})
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        observer.observe("train", launch)
    error, stage = observer.error, observer.stage
    observer.end("failed")

    assert str(error) == "the disk is full"
    assert stage == "train"
    assert _stages(paths) == [("train", "failed", "epoch 1/2")]


def test_progress_between_two_stages_is_not_recorded(observer, paths):
    observer.observe("ingest", lambda: (False, {}))

    observer.update({"rows": 10})

    assert _stages(paths) == [("ingest", "done", "")]


def test_a_report_that_cannot_be_written_does_not_fail_the_run(observer, paths, caplog):
    observer.journal.finish("published", 0, None)
    paths.reports.joinpath(f"{RUN}.html").mkdir()

    observer.report()

    assert "the report was not written" in caplog.text


def test_the_terminal_shows_the_short_summary_and_the_record_has_all_of_it(observer, paths, monkeypatch):
    lines = []
    monkeypatch.setattr(observer.screen, "say", lambda line: lines.append(str(line)))

    def launch() -> tuple[bool, dict[str, str]]:
        observer.update({"summary": "40 rows; 1 dropped (first: a.csv:3)", "short": "40 rows; 1 dropped"})
        return False, {}

    observer.observe("ingest", launch)

    assert lines[0].endswith("  40 rows; 1 dropped")
    assert _stages(paths) == [("ingest", "done", "40 rows; 1 dropped (first: a.csv:3)")]


def test_outputs_of_a_failed_gate_are_recorded(observer, paths):
    observer.begin("baseline")
    observer.gate_outputs = {"comparison": "/somewhere/7.failed"}

    observer.end("failed")

    assert observer.journal.record.stages[-1].outputs == {"comparison": "/somewhere/7.failed"}
