import json
import shutil

import numpy as np
import pytest

from models.evaluation.intervals import wilson
from pipeline.history.record import RunRecord
from pipeline.reporting import facts, page


def test_all_that_a_run_left_is_gathered(run):
    found = run.facts

    assert found.missing == []
    assert found.rows == {"train": 16, "validation": 16, "test": 16}
    assert found.training["history"]["val_loss"] == [0.8, 0.6]
    assert found.evaluation["slices"]["overall"]["accuracy"] == 0.75
    assert len(found.mistakes) == 4
    assert found.verdicts[0]["metric"] == "accuracy"
    assert found.serving["p95_ms"] == 1.5
    assert found.answer == "good 0.9 (labelled good)"
    assert [one.path.step[0] for one in found.statistics["train"]] == ["text", "size", "label"]


def test_the_record_gets_what_lists_need(run):
    assert run.record.metrics["accuracy"] == 0.75
    assert run.record.version == "1780000060"
    assert run.record.training == "20260528-000000-000"
    assert run.record.verdicts[0]["sentence"] == "accuracy 0.7500: expected >= 0.7"


def test_the_record_has_the_intervals_that_the_evaluation_stored_and_names_what_models_are_compared_by(run):
    found = run.record.intervals

    assert found["accuracy"] == pytest.approx(wilson(0.75, 16))
    assert found.keys() >= {"loss", "recall@good", "f1@bad"}
    assert run.record.usual_metrics == ["accuracy"]


def test_of_an_older_release_the_metrics_with_intervals_are_those_that_models_are_compared_by(run):
    run.record.intervals, run.record.compared = {"auc": [0.5, 0.9]}, []

    assert run.record.usual_metrics == ["auc"]


def test_what_was_collected_is_noted_and_nothing_else(run):
    shutil.rmtree(run.paths.artifacts)

    found = facts.gather(run.paths, run.record)

    assert "the output evaluation of evaluate is not there: `headrace gc` or someone removed it" in found.missing
    assert len(found.missing) == 9  # each output once, though two files of evaluate are asked for
    assert found.evaluation == {}
    assert found.answers is None


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff\x00\x01", b"[1, 2"])
def test_damaged_artifacts_are_noted_one_by_one(run, damage):
    folder = run.record.output("evaluate", "evaluation")
    for name in ("metrics.json", "predictions/part-00000.parquet", "mistakes.json"):
        (folder / name).write_bytes(damage)
    (run.record.output("statistics", "statistics") / "Split-test" / "FeatureStats.pb").write_bytes(b"\xff\xff")

    found = facts.gather(run.paths, run.record)

    assert len(found.missing) == 4
    assert all("cannot be read" in line for line in found.missing)
    assert found.verdicts  # the rest is there


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[]", "metrics.json of evaluate cannot be read (expected an object, found [])"),
        ("null", "metrics.json of evaluate cannot be read (expected an object, found null)"),
        ('{"slices": []}', "metrics.json of evaluate cannot be read (slices: Input should be a valid dictionary)"),
        ('{"slices": {"overall": 3}}', "metrics.json of evaluate cannot be read (slices.overall: Input should be a "),
        ('{"intervals": {"overall": []}}', "metrics.json of evaluate cannot be read (intervals.overall: Input should"),
        ('{"confusion_matrix": 3}', "metrics.json of evaluate cannot be read (confusion_matrix: Input should be a "),
    ],
)
def test_metrics_that_are_odd_are_noted_and_the_page_is_written(run, content, told):
    (run.record.output("evaluate", "evaluation") / "metrics.json").write_text(content)

    found = facts.gather(run.paths, run.record)

    assert len(found.missing) == 1
    assert found.missing[0].startswith(told)
    assert found.evaluation == {}
    assert page.render(run.record, found)


@pytest.mark.parametrize("name", ["mistakes.json of evaluate", "verdict.json of model_gate"])
def test_lists_that_are_none_are_noted(run, name):
    file, stage = name.split(" of ")
    output = {"evaluate": "evaluation", "model_gate": "blessing"}[stage]
    (run.record.output(stage, output) / file).write_text("{}")

    assert facts.gather(run.paths, run.record).missing == [f"{name} cannot be read (expected a list, found {{}})"]


def known_to_ml_metadata(run) -> RunRecord:
    """Returns a run's record as ML Metadata knows it: without settings and facts of the data."""
    record = run.record
    return RunRecord(record.run, record.pipeline, started=record.started, stages=record.stages, metrics=record.metrics)


def test_the_page_of_a_run_whose_record_is_gone_is_written_and_says_so(run):
    record = known_to_ml_metadata(run)

    found = facts.gather(run.paths, record)

    path = run.paths.reports / f"{record.run}.json"
    assert found.missing == [f"settings and data are not known: its record {path} is gone"]
    assert found.slices["overall"]["accuracy"] == 0.75
    assert "accuracy" in page.render(record, found)
    assert found.compared == {}


def test_a_damaged_database_leaves_out_the_lineage_only(run):
    run.paths.database.write_bytes(b"no database" * 100)

    found = facts.gather(run.paths, run.record)

    assert found.missing == ["the lineage in ML Metadata cannot be read (file is not a database)"]


def test_a_run_that_came_to_nothing_has_nothing_missing(run):
    run.record.stages = run.record.stages[:0]

    found = facts.gather(run.paths, run.record)

    assert found.missing == []
    assert found.training == {}
    assert found.intervals == {}


def test_energy_is_ten_watts_a_busy_core(run):
    run.record.cpu_seconds = 3600.0

    assert facts.energy_wh(run.record) == 10.0


def test_metrics_of_stored_answers_need_no_tensorflow(run):
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
    done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True)

    assert done.stdout.strip() == "1.0 False", done.stderr


def test_the_answers_are_those_stored(run):
    assert run.facts.answers is not None
    np.testing.assert_array_equal(run.facts.answers.targets, np.arange(16) % 3)
