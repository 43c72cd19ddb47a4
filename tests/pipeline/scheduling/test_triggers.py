import json
import os
import time

from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history import runs
from pipeline.history.journal import Journal
from pipeline.scheduling import triggers
from pipeline.scheduling.store import SUCCEEDED, Outcome, Schedule, Store


def test_drift_is_checked_when_requests_or_a_span_have_arrived(tmp_path):
    rows = "x,y\n" + "".join(f"{index},{index % 2}\n" for index in range(40))
    (tmp_path / "1.csv").write_text(rows)
    (tmp_path / "mine.yaml").write_text(
        "task: tabular_classification\n"
        "data: {files: '{SPAN}.csv', features: {x: number, y: {kind: label, classes: ['0', '1']}}}\n"
    )
    schedule = Schedule("mine", str(tmp_path / "mine.yaml"), on_drift=0.2)
    store, paths = Store.of(tmp_path), PipelinePaths.of(tmp_path, "mine")
    store.add(schedule, time.time())
    named = config.load(str(tmp_path / "mine.yaml"))
    Journal(named, paths, "20260101-1").finish("published", 0, None)
    assert triggers.drift_command(tmp_path, store, schedule, 0) == []

    (tmp_path / "2.csv").write_text(rows)
    assert "spans" in triggers.drift_command(tmp_path, store, schedule, 0)
    digest = config.load(str(tmp_path / "mine.yaml")).dataset.digest()
    paths.drift.write_text(json.dumps({"data_digest": digest}))
    assert triggers.drift_command(tmp_path, store, schedule, 0) == []  # checked already
    paths.samples.mkdir()
    (paths.samples / "2026-01-01.jsonl").write_text("{}\n")
    os.utime(paths.drift, (1, 1))
    command = triggers.drift_command(tmp_path, store, schedule, 0)
    assert command[command.index("--of") + 1] == "served"
    assert command[command.index("--max-distance") + 1] == "0.2"


def test_new_data_starts_a_run_and_the_same_data_does_not(tmp_path):
    (tmp_path / "rows.csv").write_text("x,y\n" + "".join(f"{index},{index % 2}\n" for index in range(40)))
    (tmp_path / "mine.yaml").write_text(
        "task: tabular_classification\n"
        "data: {files: rows.csv, features: {x: number, y: {kind: label, classes: ['0', '1']}}}\n"
    )

    schedule = Schedule("mine", str(tmp_path / "mine.yaml"), on_new_data=True)
    store = Store.of(tmp_path)
    store.add(schedule, time.time())

    assert triggers.has_new_data(tmp_path, schedule, 0)  # it has never run
    named = config.load(str(tmp_path / "mine.yaml"))
    Journal(named, PipelinePaths.of(tmp_path, "mine"), "20260101-1").finish("failed", 3, "refused")
    assert runs.find(tmp_path, "mine").data_digest
    assert not triggers.has_new_data(tmp_path, schedule, 0)
    with (tmp_path / "rows.csv").open("a") as file:
        file.write("40,0\n")
    assert triggers.has_new_data(tmp_path, schedule, 0)
    assert not triggers.is_queued(store, schedule)
    store.enqueue("mine", [(1.0, "new data", 1.0)])
    assert triggers.is_queued(store, schedule)
    store.finish(store.scheduled_runs()[0], Outcome(SUCCEEDED), 2.0)
    assert not triggers.is_queued(store, schedule)
    (tmp_path / "mine.yaml").unlink()
    assert not triggers.has_new_data(tmp_path, schedule, 0)


def test_a_file_that_is_being_written_starts_no_run(tmp_path):
    """The period without changes is an hour, so that the test does not depend on its speed."""
    rows, hour = tmp_path / "rows.csv", 3600.0
    rows.write_text("x,y\n" + "".join(f"{index},{index % 2}\n" for index in range(40)))
    os.utime(rows, (1, 1))  # a copy that keeps the time of the original
    (tmp_path / "mine.yaml").write_text(
        "task: tabular_classification\n"
        "data: {files: rows.csv, features: {x: number, y: {kind: label, classes: ['0', '1']}}}\n"
    )
    schedule = Schedule("mine", str(tmp_path / "mine.yaml"), on_new_data=True)

    assert not triggers.has_new_data(tmp_path, schedule, settled_seconds=hour)
    assert triggers.has_new_data(tmp_path, schedule, settled_seconds=0)
