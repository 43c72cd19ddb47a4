import os

import pytest

from data import secrets
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history import journal
from pipeline.history.journal import Journal
from pipeline.history.record import RunRecord


@pytest.fixture
def journal_of_digits(tmp_path):
    """The journal of a run of digits that has just begun."""
    named = config.load("digits", ["train.epochs=2"])
    return Journal(named, PipelinePaths.of(tmp_path, "digits"), "20260101-000000-000")


def _file(tmp_path):
    return tmp_path / "runs" / "digits" / "reports" / "20260101-000000-000.json"


def test_a_run_is_on_disk_from_its_start_with_all_that_reproduces_it(journal_of_digits, tmp_path):
    record = RunRecord.read(_file(tmp_path))

    assert record.state == "running"
    assert record.settings["train"]["epochs"] == 2
    assert record.settings["seed"] == 0
    assert record.spec["name"] == "digits"
    assert record.data_digest.startswith("scikit-learn")
    assert record.packages["keras"].startswith("3.")
    assert record.machine["cores"] == len(os.sched_getaffinity(0))
    assert record.command[0] == "headrace"


def test_stages_are_recorded_and_a_failed_one_keeps_its_last_progress(journal_of_digits, tmp_path):
    journal_of_digits.begin("ingest")
    journal_of_digits.end("done", 1.5, "10 rows", {"examples": str(tmp_path)})
    journal_of_digits.begin("train")
    journal_of_digits.update("epoch 1/2")
    journal_of_digits.end("failed", 2.0, "failed", {})
    journal_of_digits.finish("failed", 4, "The model is not good enough.")

    record = RunRecord.read(_file(tmp_path))
    assert [(stage.name, stage.state, stage.seconds, stage.detail) for stage in record.stages] == [
        ("ingest", "done", 1.5, "10 rows"),
        ("train", "failed", 2.0, "epoch 1/2"),
    ]
    assert (record.state, record.exit_code, record.error) == ("failed", 4, "The model is not good enough.")
    assert record.output("ingest", "examples") == tmp_path
    assert record.output("train", "model") is None


def test_progress_within_a_stage_reaches_the_disk(journal_of_digits, tmp_path, monkeypatch):
    journal_of_digits.begin("train")
    monkeypatch.setattr(journal, "SECONDS_BETWEEN", 0.0)

    journal_of_digits.update("epoch 1/2, loss 0.5")

    assert RunRecord.read(_file(tmp_path)).stages[-1].detail == "epoch 1/2, loss 0.5"


def test_a_secret_is_not_recorded(journal_of_digits, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADRACE_TEST_SECRET", 'sesa"me-12345')
    secrets.resolve("${ENV:HEADRACE_TEST_SECRET}")

    journal_of_digits.finish("failed", 1, 'the password sesa"me-12345 was refused')

    text = _file(tmp_path).read_text()
    assert "sesa" not in text
    assert "sesa" not in journal_of_digits.record.error  # pages are rendered from it
    assert "${ENV:HEADRACE_TEST_SECRET}" in text
