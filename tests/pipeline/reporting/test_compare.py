import json

import numpy as np
import pytest

from data.errors import ConfigError
from models.evaluation.predictions import Predictions
from pipeline.history.record import RunRecord
from pipeline.reporting import compare, compare_text, facts, page
from pipeline.reporting.facts import Facts, compared_metrics
from pipeline.reporting.formatting import Measured
from tests.pipeline.reporting.conftest import CLASSES, edit_metrics, make
from tests.pipeline.reporting.test_facts import record_from_ml_metadata


def _compared(*runs):
    return compare.compare(runs[0].home, [run.record for run in runs])


def test_settings_that_differ_are_listed_and_no_others(two_runs):
    comparison = _compared(*two_runs)

    assert list(comparison.settings) == ["train.epochs"]
    assert comparison.settings["train.epochs"][1] == 7
    assert comparison.data == {}
    assert comparison.environment == {}
    assert comparison.cost["CPU seconds"] == [50.0, 75.0]


def test_the_cost_has_the_digits_that_a_person_reads(two_runs):
    for run, seconds in zip(two_runs, (172.0669367313385, 49.6312), strict=True):
        run.record.cpu_seconds = seconds

    assert _compared(*two_runs).cost_texts["CPU seconds"] == ["172", "49.6"]


def test_a_setting_that_an_older_run_lacks_equals_its_default(two_runs):
    before, after = two_runs
    before.record.settings["data"].pop("decimal")
    before.record.settings["train"].pop("clip_norm")
    before.record.settings["data"].pop("roles")
    after.record.settings["train"]["clip_norm"] = 1.0

    assert set(_compared(before, after).settings) == {"train.epochs", "train.clip_norm"}
    assert set(_compared(after, before).settings) == {"train.epochs", "train.clip_norm"}


def _write_rule(run, **rule):
    (run.record.output("ingest", "examples") / "split_rule.json").write_text(json.dumps({"rule": rule, "plan": {}}))


def test_different_split_rules_give_one_note(two_runs):
    before, after = two_runs
    line = f"{after.record.run}: its splits follow another rule than those of {before.record.run}"

    assert _compared(*two_runs).notes == []
    _write_rule(after, version=3, rows={"a": 1})
    assert _compared(*two_runs).notes == []  # unknown rule of the first run, but the same test rows
    _write_rule(before, version=3, rows={"b": 1})
    assert _compared(*two_runs).notes == []
    _write_rule(before, version=2)
    assert _compared(*two_runs).notes == []  # different versions of the rule, but the same rows in each split
    _use_other_rows(after)
    assert _compared(*two_runs).notes == [line]


def test_a_difference_on_the_same_rows_has_a_paired_interval(two_runs):
    _, delta = _compared(*two_runs).metrics["accuracy"]

    assert delta.value == 0.9
    assert delta.difference == pytest.approx(0.3)
    assert delta.paired
    # 60 of 200 rows improved: the standard error of the mean is sqrt(0.3 * 0.7 / 200) = 0.032.
    assert delta.high - delta.low == pytest.approx(2 * 1.96 * 0.0324, rel=0.15)
    assert delta.is_significant


def test_a_paired_difference_is_computed_from_predictions_as_its_interval_is(two_runs):
    """Older releases stored values of TFMA, whose last digits differ."""
    before, after = two_runs
    edit_metrics(before, lambda metrics: metrics["slices"]["label=good"].update(accuracy=0.6000041))
    before.record.metrics = {"accuracy": 0.6000041}
    same = RunRecord(run="20260530-1", pipeline="made_up", **_parts(before.record))
    same.metrics = {"accuracy": 0.6}

    comparison = compare.compare(before.home, [before.record, after.record, same])

    _, improved, unchanged = comparison.metrics["accuracy"]
    assert improved.difference == pytest.approx(0.3, abs=1e-12)
    assert (unchanged.difference, unchanged.low, unchanged.high) == (0, 0, 0)
    assert unchanged.text() == "0.6000 (+0.0000, +0.0000 to +0.0000)"
    assert comparison.slices["label=good"][1].difference == pytest.approx(0.3, abs=1e-12)


def _parts(record) -> dict:
    return {name: getattr(record, name) for name in ("settings", "spec", "stages")}


def test_a_zero_difference_of_an_error_metric_has_no_minus_sign():
    from models.evaluation.metrics import MAE

    run_facts = Facts(predictions=Predictions(np.arange(9.0), np.arange(9.0)), digests={"test": "rows"})

    delta = compare._compared(Measured(1.0), Measured(1.0 - 1e-9), compare._paired(MAE, run_facts, run_facts))

    assert delta.text() == "1.0000 (+0.0000, +0.0000 to +0.0000)"


def test_corrected_labels_change_the_content_half_of_the_digest_and_prevent_pairing(two_runs):
    before, after = two_runs
    lengths = 32 * "a"
    for run, content in ((before, "b"), (after, "c")):
        _edit_summary(run, lengths + 32 * content)

    comparison = _compared(*two_runs)

    assert comparison.data == {"test digest": [12 * "b", 12 * "c"]}
    assert not comparison.metrics["accuracy"][1].paired


def test_on_different_rows_the_interval_is_of_two_independent_samples(two_runs):
    before, after = two_runs
    _use_other_rows(after)

    comparison = _compared(before, after)

    _, delta = comparison.metrics["accuracy"]
    assert not delta.paired
    # sqrt(0.6 * 0.4 / 200 + 0.9 * 0.1 / 200) = 0.0406
    assert delta.high - delta.low == pytest.approx(2 * 1.96 * 0.0406, rel=0.15)
    assert comparison.data["test digest"] == ["test rows", "other rows"]


def test_runs_without_record_files_are_compared_by_their_artifacts(two_runs):
    before, after = (record_from_ml_metadata(run) for run in two_runs)

    comparison = compare.compare(two_runs[0].home, [before, after])

    assert not comparison.metrics["accuracy"][1].paired
    assert comparison.metrics["accuracy"][1].difference == pytest.approx(0.3)
    assert [note.split(" is gone")[0].rpartition("/")[2] for note in comparison.notes] == [
        "20260528-1.json",
        "20260529-1.json",
    ]


def test_the_heading_names_the_metrics_that_are_compared_row_by_row(two_runs):
    def heading(*runs) -> str:
        return next(line for line in compare_text.lines(_compared(*runs)) if line.startswith("metrics"))

    same_rows = heading(*two_runs)
    _use_other_rows(two_runs[1])

    # loss and calibration are compared by the intervals of each run
    assert same_rows == (
        "metrics (difference, its 95 % interval; over the same test rows, row by row: auc, accuracy, f1@bad)"
    )
    assert heading(*two_runs) == "metrics (difference, its 95 % interval; over the test rows of each)"


def _use_other_rows(run) -> None:
    _edit_summary(run, "other rows")


def _edit_summary(run, digest: str) -> None:
    summary = run.record.output("ingest", "examples") / "summary.json"
    values = json.loads(summary.read_text())
    values["test"]["digest"] = digest
    summary.write_text(json.dumps(values))


def test_slices_of_the_same_rows_are_compared_row_by_row(two_runs):
    comparison = _compared(*two_runs)

    # Of each class's 100 rows 30 improved.
    for _, delta in comparison.slices.values():
        assert delta.paired
        assert delta.difference == pytest.approx(0.3)
        assert delta.high - delta.low == pytest.approx(2 * 1.984 * (0.3 * 0.7 / 99) ** 0.5, rel=0.02)
    assert comparison.slices.keys() == {"label=good", "label=bad"}


def test_changed_slices_are_listed_and_the_others_counted(tmp_path):
    before = make(tmp_path, CLASSES, rows=200, accuracy=0.75, run="20260528-1")
    after = make(tmp_path, CLASSES, rows=200, accuracy=0.75, run="20260529-1")
    _use_other_rows(after)

    def edit(metrics):
        metrics["slices"]["label=good"]["accuracy"] = 0.95
        metrics["intervals"]["label=good"]["accuracy"] = [0.90, 0.98]

    edit_metrics(after, edit)
    edit_metrics(before, lambda metrics: metrics["intervals"]["label=good"].update(accuracy=[0.66, 0.82]))

    comparison = _compared(before, after)

    assert list(comparison.slices) == ["label=good"]
    _, delta = comparison.slices["label=good"]
    assert delta.difference == pytest.approx(0.2)
    # Newcombe's: the distances 0.95 - 0.90 and 0.82 - 0.75, 0.98 - 0.95 and 0.75 - 0.66.
    assert (delta.low, delta.high) == pytest.approx((0.2 - 0.0860, 0.2 + 0.0949), abs=1e-4)
    assert (comparison.steady_slices, comparison.unknown_slices) == (1, 0)


def test_slices_without_intervals_of_an_older_release_are_counted_as_unknown(two_runs):
    before, after = two_runs
    _use_other_rows(after)
    edit_metrics(before, lambda metrics: metrics.pop("intervals"))

    comparison = _compared(before, after)

    assert (comparison.slices, comparison.steady_slices, comparison.unknown_slices) == ({}, 0, 2)
    assert "slices: none changed; 2 have no interval" in compare_text.lines(comparison)


def test_metrics_and_slices_of_only_one_run_are_listed(two_runs):
    before, after = two_runs
    for run, region in ((before, "north"), (after, "south")):
        edit_metrics(run, lambda metrics, region=region: metrics["slices"].update({f"region={region}": {"auc": 0.9}}))
    after.record.metrics = {**after.record.metrics, "mcc": 0.5, "example_count": 200.0}
    del after.record.metrics["loss"]

    comparison = _compared(before, after)

    assert [delta.value for delta in comparison.metrics["mcc"]] == [None, 0.5]
    assert comparison.metrics["loss"][1].value is None
    assert "example_count" not in comparison.metrics
    assert (comparison.gone_slices, comparison.new_slices, comparison.unknown_slices) == (
        ["region=north"],
        ["region=south"],
        0,
    )
    text = compare_text.lines(comparison)
    assert "slices whose accuracy changed; 0 did not; 1 gone (region=north); 1 new (region=south)" in text
    assert any(line.split() == ["mcc", "–", "0.5000"] for line in text)  # noqa: RUF001


def test_slices_that_only_one_run_has_are_only_counted(two_runs):
    before, after = two_runs
    edit_metrics(before, lambda metrics: [metrics["slices"].pop(f"label={name}") for name in CLASSES])

    assert "slices: 2 new (label=bad, label=good)" in compare_text.lines(_compared(before, after))


def test_equal_predictions_have_a_difference_of_zero(tmp_path):
    before = make(tmp_path, CLASSES, rows=50, run="20260528-1")
    after = make(tmp_path, CLASSES, rows=50, run="20260529-1")

    _, delta = _compared(before, after).metrics["accuracy"]

    assert (delta.difference, delta.low, delta.high) == (0.0, 0.0, 0.0)
    assert not delta.is_significant


def test_the_difference_of_an_error_metric_is_value_minus_value():
    """The sign does not depend on whether lower is better."""
    from data.spec import DatasetSpec, NumberFeature, TargetFeature

    spec = DatasetSpec(
        name="a", title="a", licence="a", features={"x": NumberFeature(), "price": TargetFeature()}
    ).model_dump(mode="json")
    record = RunRecord("a", "b", settings={"task": "tabular_regression", "model": {}}, spec=spec)
    record.metrics = {"mae": 1.0}
    other = RunRecord("c", "b", settings=record.settings, spec=spec, metrics={"mae": 0.5})
    targets = np.arange(100, dtype=np.float32)
    run_facts = [
        Facts(
            predictions=Predictions(targets, targets + error),
            digests={"test": "rows"},
            compared=compared_metrics(record),
        )
        for error in (1.0, 0.5)
    ]

    delta = compare._delta("mae", record, other, *run_facts)

    assert delta.difference == -0.5
    assert delta.low < -0.5 < delta.high < 0


def test_a_shifted_feature_is_listed_with_its_distance(two_runs):
    from tests.pipeline import made_up

    before, after = two_runs
    statistics = made_up.statistics(after.spec, np.arange(200) % 2)
    size = statistics.datasets[0].features[1]
    for histogram in size.num_stats.histograms:
        for bucket in histogram.buckets:
            bucket.low_value += 1000
            bucket.high_value += 1000
    size.num_stats.mean += 1000
    path = after.record.output("statistics", "statistics") / "Split-train" / "FeatureStats.pb"
    path.write_bytes(statistics.SerializeToString())

    comparison = _compared(before, after)

    assert comparison.data["distance of size (Kolmogorov-Smirnov)"] == [0.0, 1.0]
    assert comparison.data["mean of size"] == ["99.5", "1100"]


def test_a_run_without_metrics_has_no_values(two_runs):
    before, after = two_runs
    after.record.metrics = {}

    assert _compared(before, after).metrics["accuracy"][1].value is None


def test_removed_artifacts_give_a_note(two_runs):
    import shutil

    before, after = two_runs
    shutil.rmtree(after.record.output("evaluate", "evaluation"))

    comparison = _compared(before, after)

    assert comparison.notes == [
        "20260529-1: the output evaluation of evaluate is not there: `headrace gc` or someone removed it"
    ]
    assert not comparison.metrics["accuracy"][1].paired


@pytest.mark.parametrize(
    ("settings", "feature", "line"),
    [
        ({"model": {"gone": 3}}, {}, "what its metrics are cannot be read (gone: Extra inputs are not permitted)"),
        ({"task": "image_tagging"}, {}, "what its metrics are cannot be read (there is no task image_tagging)"),
        ({}, {"later": 1}, "the data set's facts cannot be read (features.size.number.later: Extra inputs are not "),
    ],
)
def test_a_run_of_another_release_is_compared_without_pairing_and_has_a_page(two_runs, settings, feature, line):
    before, after = two_runs
    before.record.settings.update(settings)
    before.record.spec["features"]["size"].update(feature)

    comparison = _compared(before, after)

    (note,) = comparison.notes
    assert note.startswith(f"20260528-1: {line}")
    _, delta = comparison.metrics["accuracy"]
    assert (delta.difference, delta.paired) == (pytest.approx(0.3), False)
    assert delta.ends is not None
    assert "0.600" in page.render(before.record, facts.gather(before.paths, before.record))


def test_a_run_that_only_ml_metadata_knows_is_compared(two_runs):
    before, after = two_runs
    without_settings = RunRecord(run="20260527-1", pipeline="made_up", stages=before.record.stages)

    comparison = compare.compare(before.home, [without_settings, after.record])

    assert "20260527-1: settings and data are not known" in comparison.notes[0]
    assert not any(delta.paired for row in comparison.metrics.values() for delta in row)
    assert page.render(without_settings, facts.gather(before.paths, without_settings))


def test_one_run_alone_or_twice_is_refused(two_runs):
    with pytest.raises(ConfigError, match="Two or more different runs"):
        _compared(two_runs[0])
    with pytest.raises(ConfigError, match="Two or more different runs"):
        _compared(two_runs[0], two_runs[0])
