import dataclasses
import os
import platform
from datetime import date

import psutil
import pytest

from data.errors import ConfigError
from pipeline.history import runs
from pipeline.history.record import RunRecord
from tests.pipeline import made_up

SPEC = made_up.spec_of(("good", "bad"))
DAY = 24 * 3600.0


@pytest.fixture
def home(tmp_path):
    """Four runs of two pipelines, on four days."""
    for day, (pipeline, state) in enumerate(
        [("letters", "failed"), ("letters", "published"), ("words", "published"), ("letters", "stopped")]
    ):
        record = made_up.record_of(f"202605{28 + day}-1", SPEC, pipeline, state=state)
        record.started += day * DAY
        record.ended = record.started + 60
        made_up.write_record(tmp_path, record)
    return tmp_path


def _names(runs):
    return [run.run for run in runs]


def test_runs_are_listed_newest_first_and_filtered(home):
    first = date.fromtimestamp(made_up.STARTED)

    assert _names(runs.runs(home)) == ["20260531-1", "20260530-1", "20260529-1", "20260528-1"]
    assert _names(runs.runs(home, "letters")) == ["20260531-1", "20260529-1", "20260528-1"]
    assert _names(runs.runs(home, state="published")) == ["20260530-1", "20260529-1"]
    assert _names(runs.runs(home, until=first)) == ["20260528-1"]
    assert len(runs.runs(home, since=first)) == 4
    assert runs.runs(home, "nothing") == []


def test_a_run_is_found_by_identifier_and_the_newest_by_pipeline(home):
    assert runs.find(home, "20260529-1").state == "published"
    assert runs.find(home, "letters").run == "20260531-1"
    with pytest.raises(ConfigError, match=r"There is no run none below .*; the last are 20260531-1, 20260530-1"):
        runs.find(home, "none")


def test_a_damaged_or_missing_record_does_not_affect_other_runs(home):
    (home / "runs" / "letters" / "reports" / "20260529-1.json").write_text("{ cut off")
    (home / "runs" / "letters" / "reports" / "notes.json").write_text("[]")
    (home / "runs" / "words" / "reports" / "20260530-1.json").unlink()

    assert _names(runs.runs(home)) == ["20260531-1", "20260528-1"]


def test_entries_that_are_no_folders_of_pipelines_are_ignored(home):
    (home / "runs" / "notes.txt").touch()
    (home / "runs" / "empty").mkdir()

    assert len(runs.runs(home)) == 4


def test_a_changed_record_is_read_anew(home):
    assert runs.find(home, "words").state == "published"
    file = home / "runs" / "words" / "reports" / "20260530-1.json"
    record = dataclasses.replace(RunRecord.read(file), state="failed")

    made_up.write_record(home, record)
    os.utime(file, ns=(1, 1))  # whatever the clock's step is

    assert runs.find(home, "words").state == "failed"


def test_the_line_of_a_run_has_state_time_and_metrics():
    record = made_up.record_of("a", SPEC, metrics={"accuracy": 0.5, "loss": 1.0}, intervals={"accuracy": [0.4, 0.6]})

    line = " ".join(runs.line(record).split())
    assert line == "a made_up published 60.0 s 9 stages, 0 cached accuracy 0.50, loss 1.0000"
    failed = dataclasses.replace(record, state="failed", metrics={})
    assert runs.line(failed).endswith("at publish")


def test_a_log_is_followed_until_the_run_has_ended(home):
    log = home / "runs" / "letters" / "logs" / "20260531-1.log"
    log.write_text("first\n")
    record = runs.find(home, "20260531-1")
    process = psutil.Process()
    running = dataclasses.replace(
        record, state="running", machine={"host": platform.node()}, process=[process.pid, process.create_time()]
    )
    made_up.write_record(home, running)

    following = runs.follow(home, running)

    assert next(following) == "first\n"
    with log.open("a") as file:
        file.write("second\n")
    assert next(following) == "second\n"
    with log.open("a") as file:
        file.write("third\n")
    made_up.write_record(home, record)
    assert "".join(following) == "third\n"


def test_a_missing_log_is_reported(home):
    (home / "runs" / "letters" / "logs" / "20260531-1.log").unlink()

    with pytest.raises(ConfigError, match=r"The log .*20260531-1.log is gone"):
        runs.log(home, runs.find(home, "20260531-1"))
