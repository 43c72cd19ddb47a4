import os

import pytest

from data import secrets
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history import journal
from pipeline.history.journal import Journal
from pipeline.history.record import RunRecord


@pytest.fixture
def begun(tmp_path):
    """The journal of a run of digits that has just begun."""
    named = config.load("digits", ["train.epochs=2"])
    return Journal(named, PipelinePaths.of(tmp_path, "digits"), "20260101-000000-000")


def _file(tmp_path):
    return tmp_path / "runs" / "digits" / "reports" / "20260101-000000-000.json"


def test_a_run_is_on_disk_from_its_beginning_and_tells_how_to_make_it_again(begun, tmp_path):
    found = RunRecord.read(_file(tmp_path))

    assert found.state == "running"
    assert found.settings["train"]["epochs"] == 2
    assert found.settings["seed"] == 0
    assert found.spec["name"] == "digits"
    assert found.data_digest.startswith("scikit-learn")
    assert found.packages["keras"].startswith("3.")
    assert found.machine["cores"] == len(os.sched_getaffinity(0))
    assert found.command[0] == "headrace"


def test_stages_are_told_as_they_come_and_what_a_failed_one_said_last_stays(begun, tmp_path):
    begun.begin("ingest")
    begun.end("done", 1.5, "10 rows", {"examples": str(tmp_path)})
    begun.begin("train")
    begun.update("epoch 1/2")
    begun.end("failed", 2.0, "failed", {})
    begun.finish("failed", 4, "The model is not good enough.")

    found = RunRecord.read(_file(tmp_path))
    assert [(stage.name, stage.state, stage.seconds, stage.detail) for stage in found.stages] == [
        ("ingest", "done", 1.5, "10 rows"),
        ("train", "failed", 2.0, "epoch 1/2"),
    ]
    assert (found.state, found.exit_code, found.error) == ("failed", 4, "The model is not good enough.")
    assert found.output("ingest", "examples") == tmp_path
    assert found.output("train", "model") is None


def test_progress_within_a_stage_reaches_the_disk(begun, tmp_path, monkeypatch):
    begun.begin("train")
    monkeypatch.setattr(journal, "SECONDS_BETWEEN", 0.0)

    begun.update("epoch 1/2, loss 0.5")

    assert RunRecord.read(_file(tmp_path)).stages[-1].detail == "epoch 1/2, loss 0.5"


def test_a_secret_is_not_written_down(begun, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_TEST_SECRET", 'sesa"me-12345')
    secrets.resolve("${ENV:HEADRACE_TEST_SECRET}")

    begun.finish("failed", 1, 'the password sesa"me-12345 was refused')

    text = _file(tmp_path).read_text()
    assert "sesa" not in text
    assert "sesa" not in begun.record.error  # pages are made of it
    assert "${ENV:HEADRACE_TEST_SECRET}" in text
