"""The closing block and the JSON of a run, from its record and the outputs of its stages."""

import json
import signal
from pathlib import Path

import pytest

from data.errors import ModelError
from models.serving.rollout.versions import MANIFEST
from pipeline.core.signals import Stopped
from pipeline.core.stages import STAGES
from pipeline.history.record import RunRecord
from pipeline.running.result import RunResult, as_json, closing_block, published
from tests.pipeline.reporting.conftest import make


@pytest.fixture
def record(tmp_path) -> RunRecord:
    """A published run of nine stages of 5 s each, with the version's manifest."""
    published_record = make(tmp_path, ("good", "bad")).record
    manifest = tmp_path / "serving" / "made_up" / "1780000060" / MANIFEST
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"file_query": {"kind": "text"}}))
    return published_record


def _result(record: RunRecord, **changes) -> RunResult:
    return RunResult(record, Path("/home/runs/made_up/logs/a.log"), 61.26, **changes)


def test_the_lines_of_a_published_run_have_its_folder_metrics_and_next_commands(record):
    lines = closing_block(_result(record))

    assert len(lines) <= 12
    assert lines[0] == f"Published (61.3 s): {published(record)}"
    assert lines[1].startswith("  seconds: ingest 5.0, statistics 5.0, ")
    assert "  accuracy 0.7500: expected >= 0.7" in lines
    assert "  accuracy: the network beats majority, 0.7500 and 0.2500" in lines
    assert "  prediction for the first test example: good 0.9 (labelled good)" in lines
    assert "predict a text" in lines[-3]


def test_the_baseline_gates_line_says_what_was_required(record):
    path = record.output("baseline", "comparison") / "comparison.json"
    conclusion = "auc: the network beats majority, as required; the network ties with logistic_regression"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"conclusion": conclusion}))

    assert f"  {conclusion}" in closing_block(_result(record))


@pytest.mark.parametrize(
    ("kind", "files", "argument"),
    [
        ("table", "some rows.csv", "'some rows.csv'"),
        ("table", ["gone.csv", "some*.csv"], "'some rows.csv'"),
        ("table", {"train": "some rows.csv", "test": "days/{YYYY}-{MM}-{DD}.csv"}, "days/2026-11-02.csv"),
        ("table", "gone.csv", "ROWS.csv"),
        ("table", None, "ROWS.csv"),  # a data set of the catalog
        ("image", "photos", "photos/cat/1.png"),
        ("image", "some rows.csv", "FILE.png"),
        ("text", "some rows.csv", '--text "..."'),
    ],
)
def test_the_next_command_predicts_a_file_of_the_runs_data(record, tmp_path, monkeypatch, kind, files, argument):
    for name in ("some rows.csv", "days/2026-11-01.csv", "days/2026-11-02.csv", "photos/cat/1.png", "photos/cat/a.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    record.settings["data"]["files"] = files
    (tmp_path / "serving" / "made_up" / "1780000060" / MANIFEST).write_text(json.dumps({"file_query": {"kind": kind}}))

    lines = closing_block(_result(record))

    assert any(f" predict made_up {argument}   predict " in line for line in lines)


def test_a_run_without_changes_is_called_unchanged(record):
    lines = closing_block(_result(record, unchanged=True))

    assert lines[0].startswith("No change: this model is published already (61.3 s): ")
    assert lines[1] == f"  nothing changed since run {record.run}"


def test_a_model_that_was_allowed_is_not_called_published(record):
    folder = record.output("publish", "pushed_model")
    (folder / "receipt.json").write_text(json.dumps({"folder": None, "new": False}))

    assert published(record) is None
    assert closing_block(_result(record)) == [
        "Not good enough, allowed by --allow-unblessed, and not published (61.3 s):",
        "  accuracy 0.7500: expected >= 0.7",
    ]


def test_an_incomplete_run_published_nothing(record):
    record.stages.pop()

    with pytest.raises(ValueError, match=f"Run {record.run} published nothing"):
        published(record)


@pytest.mark.parametrize(
    ("error", "code", "first", "last"),
    [
        (ModelError("The model is not good enough:\n  accuracy 0.75"), 4, "The model is not good enough:", "Stopped "),
        (KeyError("loss"), 1, "Stage publish failed: KeyError: 'loss'", "Stopped after 61.3 s; nothing was published."),
        (
            Stopped(signal.SIGTERM),
            143,
            "Stopped by SIGTERM at publish; the next run goes on from there.",
            "Stopped by ",
        ),
    ],
)
def test_the_lines_of_a_stopped_run_have_its_error_stage_and_log(record, error, code, first, last):
    result = _result(record, error=error)

    lines = closing_block(result)

    assert result.exit_code == code
    assert lines[0].startswith(first)
    assert lines[-1].startswith(last)
    assert lines[-1].endswith("Log: /home/runs/made_up/logs/a.log")


def _stopped_at(record: RunRecord, stage: str, error: str = "no", **changes) -> list[str]:
    """Returns the closing block of a run that a stage stopped, without its first line."""
    stages = [record_of_stage.name for record_of_stage in record.stages]
    record.stages = record.stages[: stages.index(stage) + 1]
    record.stages[-1].state = "failed"
    lines = closing_block(_result(record, error=ModelError(error), **changes))
    assert len(lines) <= 12
    return [" ".join(line.split()) for line in lines[1:]]


@pytest.fixture
def trained_to_the_end(record) -> RunRecord:
    record.settings["train"]["epochs"] = 2  # as many as its curves have points
    record.command = ["/somewhere/headrace", "run", "./my run.yaml", "--home", "/home"]
    return record


def test_suggested_epochs_replace_those_of_the_command(trained_to_the_end):
    trained_to_the_end.command += ["--set", "train.epochs=2", "--set", "seed=1"]

    lines = _stopped_at(trained_to_the_end, "baseline")

    assert lines[3].startswith("headrace run './my run.yaml' --home /home --set seed=1 --set train.epochs=6 ")
    assert "--set train.epochs=2 --set seed=1 --set baseline.require=report" in lines[4]


def test_the_lines_of_a_run_stopped_by_a_gate_have_the_next_commands(trained_to_the_end):
    record = trained_to_the_end

    lines = _stopped_at(record, "baseline")

    assert lines[1:] == [
        "Next:",
        "headrace report made_up --home /home --open see its page: what was measured, and by what it was judged",
        "headrace run './my run.yaml' --home /home --set train.epochs=6 train longer",
        "headrace run './my run.yaml' --home /home --set baseline.require=report "
        "publish it all the same, where that is good enough",
    ]


@pytest.mark.parametrize(("require", "is_unknown"), [("beat_trivial", True), ("beat", False)])
def test_longer_training_is_not_suggested_if_the_test_rows_are_too_few(trained_to_the_end, require, is_unknown):
    record = trained_to_the_end
    record.settings["baseline"]["require"] = require
    path = record.output("baseline", "comparison") / "comparison.json"
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | {"interval": [-0.1, 0.1], "trivial": {"interval": [None, None]}}))

    lines = _stopped_at(record, "baseline")

    assert any("train.epochs=" in line for line in lines) != is_unknown
    assert ("headrace check './my run.yaml' --home /home --rows" in "".join(lines)) == is_unknown


def test_the_next_commands_depend_on_the_gate(trained_to_the_end):
    record, settings = trained_to_the_end, trained_to_the_end.settings
    settings["evaluate"]["thresholds"] = {"accuracy": {"min": 0.9}}

    serving = _stopped_at(record, "serving_check")
    gate = _stopped_at(record, "model_gate")
    settings["train"]["epochs"] = 3  # it was stopped early: more of them would change nothing
    early = _stopped_at(record, "model_gate", error="no\n" * 20)
    data = _stopped_at(record, "data_gate")
    rows = _stopped_at(record, "ingest")

    assert serving[-1].endswith("--home /home after a change of serving, or of the model, in the run file")
    assert gate[-2].endswith("--set train.epochs=6 train longer")
    assert gate[-1].endswith("after a change of evaluate.thresholds (accuracy) in the run file")
    assert not any("train longer" in line for line in early)
    assert data[-1].startswith("Next: headrace report made_up --home /home --open ")
    assert rows[-1] == (
        "Next: headrace check './my run.yaml' --home /home --rows look at all rows again, once they are mended"
    )


def test_after_an_internal_error_or_a_signal_no_next_command_is_suggested(record):
    for error in (KeyError("loss"), Stopped(signal.SIGTERM)):
        assert not any("Next" in line for line in closing_block(_result(record, error=error)))


def test_the_json_of_a_run_has_its_stages_metrics_and_comparison(record):
    values = as_json(_result(record))

    assert list(values) == [
        "run", "pipeline", "exit_code", "seconds", "stages", "metrics", "baseline", "published", "error", "log"
    ]  # fmt: skip
    assert values["seconds"] == 61.3
    assert values["stages"][0] == {"name": "ingest", "state": "done", "seconds": 5.0, "detail": "ingest went well"}
    assert values["metrics"]["accuracy"] == 0.75
    assert values["baseline"]["metric"] == "accuracy"
    assert values["published"].endswith("/1780000060")
    assert values["error"] is None


def test_the_json_of_a_failed_stage_has_failed_as_its_detail(record):
    record.stages = record.stages[:4]
    record.stages[-1].state, record.stages[-1].detail = "failed", "epoch 1/2, loss 0.5"

    values = as_json(_result(record, error=ModelError("no")))

    assert values["stages"][-1] == {"name": "train", "state": "failed", "seconds": 5.0, "detail": "failed"}
    assert (values["exit_code"], values["error"], values["published"]) == (4, "no", None)
    assert (values["metrics"], values["baseline"]) == ({}, None)


@pytest.mark.parametrize("gate", [stage.id for stage in STAGES if stage.is_gate])
def test_a_run_stopped_by_any_gate_has_a_next_command(trained_to_the_end, gate):
    assert "report" in "".join(_stopped_at(trained_to_the_end, gate))
