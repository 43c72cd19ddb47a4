import json
import shutil

import numpy as np
import pytest

from models.evaluation.intervals import wilson
from pipeline.history.record import RunRecord
from pipeline.reporting import facts, page


def test_all_results_of_a_run_are_read(run):
    run_facts = run.facts

    assert run_facts.missing == []
    assert run_facts.rows == {"train": 16, "validation": 16, "test": 16}
    assert run_facts.training["history"]["val_loss"] == [0.8, 0.6]
    assert run_facts.evaluation["slices"]["overall"]["accuracy"] == 0.75
    assert len(run_facts.mistakes) == 4
    assert run_facts.verdicts[0]["metric"] == "accuracy"
    assert run_facts.serving["p95_ms"] == 1.5
    assert run_facts.sample_prediction == "good 0.9 (labelled good)"
    assert [feature.path.step[0] for feature in run_facts.statistics["train"]] == ["text", "size", "label"]


def test_the_record_gets_metrics_version_and_verdicts(run):
    assert run.record.metrics["accuracy"] == 0.75
    assert run.record.version == "1780000060"
    assert run.record.training == "20260528-000000-000"
    assert run.record.verdicts[0]["sentence"] == "accuracy 0.7500: expected >= 0.7"


def test_the_record_gets_the_stored_intervals_and_the_usual_metrics(run):
    intervals = run.record.intervals

    assert intervals["accuracy"] == pytest.approx(wilson(0.75, 16))
    assert intervals.keys() >= {"loss", "recall@good", "f1@bad"}
    assert run.record.usual_metrics == ["accuracy"]


def test_usual_metrics_of_an_older_release_are_those_with_intervals(run):
    run.record.intervals, run.record.compared = {"auc": [0.5, 0.9]}, []

    assert run.record.usual_metrics == ["auc"]


def test_removed_artifacts_are_noted_once_each(run):
    shutil.rmtree(run.paths.artifacts)

    run_facts = facts.gather(run.paths, run.record)

    assert "the output evaluation of evaluate is not there: `headrace gc` or someone removed it" in run_facts.missing
    assert len(run_facts.missing) == 9  # each output once, though three files of evaluate are read
    assert run_facts.evaluation == {}
    assert run_facts.predictions is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00\x01", b"[1, 2"])
def test_damaged_artifacts_are_noted_one_by_one(run, damage):
    folder = run.record.output("evaluate", "evaluation")
    for name in ("metrics.json", "predictions/part-00000.parquet", "mistakes.json"):
        (folder / name).write_bytes(damage)
    (run.record.output("statistics", "statistics") / "Split-test" / "FeatureStats.pb").write_bytes(b"\xff\xff")

    run_facts = facts.gather(run.paths, run.record)

    assert len(run_facts.missing) == 4
    assert all("cannot be read" in line for line in run_facts.missing)
    assert run_facts.verdicts  # the rest is there


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("[]", "metrics.json of evaluate cannot be read (expected an object, found [])"),
        ("null", "metrics.json of evaluate cannot be read (expected an object, found null)"),
        ('{"slices": []}', "metrics.json of evaluate cannot be read (slices: Input should be a valid dictionary)"),
        ('{"slices": {"overall": 3}}', "metrics.json of evaluate cannot be read (slices.overall: Input should be a "),
        ('{"intervals": {"overall": []}}', "metrics.json of evaluate cannot be read (intervals.overall: Input should"),
        ('{"confusion_matrix": 3}', "metrics.json of evaluate cannot be read (confusion_matrix: Input should be a "),
    ],
)
def test_malformed_metrics_are_noted_and_the_page_is_written(run, content, sentence):
    (run.record.output("evaluate", "evaluation") / "metrics.json").write_text(content)

    run_facts = facts.gather(run.paths, run.record)

    assert len(run_facts.missing) == 1
    assert run_facts.missing[0].startswith(sentence)
    assert run_facts.evaluation == {}
    assert page.render(run.record, run_facts)


@pytest.mark.parametrize("name", ["mistakes.json of evaluate", "verdict.json of model_gate"])
def test_files_that_hold_no_list_are_noted(run, name):
    file, stage = name.split(" of ")
    output = {"evaluate": "evaluation", "model_gate": "blessing"}[stage]
    (run.record.output(stage, output) / file).write_text("{}")

    assert facts.gather(run.paths, run.record).missing == [f"{name} cannot be read (expected a list, found {{}})"]


def record_from_ml_metadata(run) -> RunRecord:
    """Returns a run's record as read from ML Metadata: without settings and specification of the data set."""
    record = run.record
    return RunRecord(record.run, record.pipeline, started=record.started, stages=record.stages, metrics=record.metrics)


def test_a_run_without_record_file_has_a_page_that_says_so(run):
    record = record_from_ml_metadata(run)

    run_facts = facts.gather(run.paths, record)

    path = run.paths.reports / f"{record.run}.json"
    assert run_facts.missing == [f"settings and data are not known: its record {path} is gone"]
    assert run_facts.slices["overall"]["accuracy"] == 0.75
    assert "accuracy" in page.render(record, run_facts)
    assert run_facts.compared == {}


def test_a_damaged_database_leaves_out_only_the_lineage(run):
    run.paths.database.write_bytes(b"no database" * 100)

    run_facts = facts.gather(run.paths, run.record)

    assert run_facts.missing == ["the lineage in ML Metadata cannot be read (file is not a database)"]


def test_a_run_without_stages_has_nothing_missing(run):
    run.record.stages = run.record.stages[:0]

    run_facts = facts.gather(run.paths, run.record)

    assert run_facts.missing == []
    assert run_facts.training == {}
    assert run_facts.intervals == {}


def test_energy_is_ten_watts_for_each_busy_core(run):
    run.record.cpu_seconds = 3600.0

    assert facts.energy_wh(run.record) == 10.0


def test_metrics_of_stored_predictions_need_no_tensorflow(run):
    import subprocess
    import sys

    program = (
        "import sys, json; from pipeline.history.record import RunRecord;"
        "from pipeline.reporting import facts; import numpy;"
        "record = RunRecord('a', 'b', settings=json.loads(sys.argv[1]), spec=json.loads(sys.argv[2]));"
        "metric = facts.compared_metrics(record)['accuracy'];"
        "print(metric.value(numpy.array([0, 1]), numpy.eye(3, dtype='float32')[:2]), 'tensorflow' in sys.modules)"
    )
    arguments = [json.dumps(run.record.settings), json.dumps(run.record.spec)]
    completed = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)

    assert completed.stdout.strip() == "1.0 False", completed.stderr


def test_predictions_are_read_as_stored(run):
    assert run.facts.predictions is not None
    np.testing.assert_array_equal(run.facts.predictions.targets, np.arange(16) % 3)
