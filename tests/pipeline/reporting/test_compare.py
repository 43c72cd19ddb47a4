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
from tests.pipeline.reporting.test_facts import known_to_ml_metadata


def _compared(*runs):
    return compare.compare(runs[0].home, [run.record for run in runs])


def test_what_was_set_otherwise_is_told_and_nothing_else(two):
    found = _compared(*two)

    assert list(found.settings) == ["train.epochs"]
    assert found.settings["train.epochs"][1] == 7
    assert found.data == {}
    assert found.environment == {}
    assert found.cost["CPU seconds"] == [50.0, 75.0]


def test_a_setting_that_a_release_did_not_have_is_as_good_as_its_default(two):
    before, after = two
    before.record.settings["data"].pop("decimal")
    before.record.settings["train"].pop("clip_norm")
    before.record.settings["data"].pop("roles")
    after.record.settings["train"]["clip_norm"] = 1.0

    assert set(_compared(before, after).settings) == {"train.epochs", "train.clip_norm"}
    assert set(_compared(after, before).settings) == {"train.epochs", "train.clip_norm"}


def _write_rule(run, **rule):
    (run.record.output("ingest", "examples") / "split_rule.json").write_text(json.dumps({"rule": rule, "plan": {}}))


def test_splits_by_another_rule_are_told_in_one_line(two):
    before, after = two
    line = f"{after.record.run}: its splits follow another rule than those of {before.record.run}"

    assert _compared(*two).notes == []
    _write_rule(after, version=3, rows={"a": 1})
    assert _compared(*two).notes == []  # of the same test rows
    _write_rule(before, version=3, rows={"b": 1})
    assert _compared(*two).notes == []
    _write_rule(before, version=2)
    assert _compared(*two).notes == []  # of the same rows in each split
    _use_other_rows(after)
    assert _compared(*two).notes == [line]


def test_a_difference_on_the_same_rows_has_a_paired_interval(two):
    _, delta = _compared(*two).metrics["accuracy"]

    assert delta.value == 0.9
    assert delta.difference == pytest.approx(0.3)
    assert delta.paired
    # 60 of 200 rows changed for the better: the standard error of the mean is sqrt(0.3 * 0.7 / 200) = 0.032.
    assert delta.high - delta.low == pytest.approx(2 * 1.96 * 0.0324, rel=0.15)
    assert delta.moved


def test_the_difference_of_pairs_is_of_the_predictions_as_its_interval_is(two):
    """The value of an older release is TFMA's, with other last digits."""
    before, after = two
    edit_metrics(before, lambda metrics: metrics["slices"]["label=good"].update(accuracy=0.6000041))
    before.record.metrics = {"accuracy": 0.6000041}
    same = RunRecord(run="20260530-1", pipeline="made_up", **_parts(before.record))
    same.metrics = {"accuracy": 0.6}

    found = compare.compare(before.home, [before.record, after.record, same])

    _, moved, nothing = found.metrics["accuracy"]
    assert moved.difference == pytest.approx(0.3, abs=1e-12)
    assert (nothing.difference, nothing.low, nothing.high) == (0, 0, 0)
    assert nothing.words() == "0.6000 (+0.0000, +0.0000 to +0.0000)"
    assert found.slices["label=good"][1].difference == pytest.approx(0.3, abs=1e-12)


def _parts(record) -> dict:
    return {name: getattr(record, name) for name in ("settings", "spec", "stages")}


def test_nothing_is_no_minus_of_an_error_either():
    from models.evaluation.metrics import MAE

    facts = Facts(answers=Predictions(np.arange(9.0), np.arange(9.0)), digests={"test": "rows"})

    delta = compare._beside(Measured(1.0), Measured(1.0 - 1e-9), compare._paired(MAE, facts, facts))

    assert delta.words() == "1.0000 (+0.0000, +0.0000 to +0.0000)"


def test_corrected_labels_are_other_rows_by_the_half_of_the_digest_that_is_of_content(two):
    before, after = two
    lengths = 32 * "a"
    for run, content in ((before, "b"), (after, "c")):
        _edit_summary(run, lengths + 32 * content)

    found = _compared(*two)

    assert found.data == {"test digest": [12 * "b", 12 * "c"]}
    assert not found.metrics["accuracy"][1].paired


def test_on_other_rows_the_interval_is_that_of_two_samples(two):
    before, after = two
    _use_other_rows(after)

    found = _compared(before, after)

    _, delta = found.metrics["accuracy"]
    assert not delta.paired
    # sqrt(0.6 * 0.4 / 200 + 0.9 * 0.1 / 200) = 0.0406
    assert delta.high - delta.low == pytest.approx(2 * 1.96 * 0.0406, rel=0.15)
    assert found.data["test digest"] == ["test rows", "other rows"]


def test_runs_whose_records_are_gone_are_compared_by_what_is_left(two):
    before, after = (known_to_ml_metadata(run) for run in two)

    found = compare.compare(two[0].home, [before, after])

    assert not found.metrics["accuracy"][1].paired
    assert found.metrics["accuracy"][1].difference == pytest.approx(0.3)
    assert [note.split(" is gone")[0].rpartition("/")[2] for note in found.notes] == [
        "20260528-1.json",
        "20260529-1.json",
    ]


def test_the_heading_names_the_metrics_that_are_compared_row_by_row(two):
    def heading(*runs) -> str:
        return next(line for line in compare_text.lines(_compared(*runs)) if line.startswith("metrics"))

    same_rows = heading(*two)
    _use_other_rows(two[1])

    # loss and calibration are compared by the intervals of each run
    assert same_rows == (
        "metrics (difference, its 95 % interval; over the same test rows, row by row: auc, accuracy, f1@bad)"
    )
    assert heading(*two) == "metrics (difference, its 95 % interval; over the test rows of each)"


def _use_other_rows(run) -> None:
    _edit_summary(run, "other rows")


def _edit_summary(run, digest: str) -> None:
    summary = run.record.output("ingest", "examples") / "summary.json"
    values = json.loads(summary.read_text())
    values["test"]["digest"] = digest
    summary.write_text(json.dumps(values))


def test_slices_of_the_same_rows_are_compared_row_by_row(two):
    found = _compared(*two)

    # Of each class's 100 rows 30 changed for the better.
    for _, delta in found.slices.values():
        assert delta.paired
        assert delta.difference == pytest.approx(0.3)
        assert delta.high - delta.low == pytest.approx(2 * 1.984 * (0.3 * 0.7 / 99) ** 0.5, rel=0.02)
    assert found.slices.keys() == {"label=good", "label=bad"}


def test_slices_that_moved_are_told_and_the_others_counted(tmp_path):
    before = make(tmp_path, CLASSES, rows=200, accuracy=0.75, run="20260528-1")
    after = make(tmp_path, CLASSES, rows=200, accuracy=0.75, run="20260529-1")
    _use_other_rows(after)

    def edit(metrics):
        metrics["slices"]["label=good"]["accuracy"] = 0.95
        metrics["intervals"]["label=good"]["accuracy"] = [0.90, 0.98]

    edit_metrics(after, edit)
    edit_metrics(before, lambda metrics: metrics["intervals"]["label=good"].update(accuracy=[0.66, 0.82]))

    found = _compared(before, after)

    assert list(found.slices) == ["label=good"]
    _, delta = found.slices["label=good"]
    assert delta.difference == pytest.approx(0.2)
    # Newcombe's: the distances 0.95 - 0.90 and 0.82 - 0.75, 0.98 - 0.95 and 0.75 - 0.66.
    assert (delta.low, delta.high) == pytest.approx((0.2 - 0.0860, 0.2 + 0.0949), abs=1e-4)
    assert (found.steady_slices, found.unknown_slices) == (1, 0)


def test_of_slices_of_an_older_release_without_intervals_nothing_is_known(two):
    before, after = two
    _use_other_rows(after)
    edit_metrics(before, lambda metrics: metrics.pop("intervals"))

    found = _compared(before, after)

    assert (found.slices, found.steady_slices, found.unknown_slices) == ({}, 0, 2)
    assert "slices: none moved; 2 have no interval" in compare_text.lines(found)


def test_what_one_run_alone_has_is_told(two):
    before, after = two
    for run, place in ((before, "north"), (after, "south")):
        edit_metrics(run, lambda metrics, place=place: metrics["slices"].update({f"place={place}": {"auc": 0.9}}))
    after.record.metrics = {**after.record.metrics, "mcc": 0.5, "example_count": 200.0}
    del after.record.metrics["loss"]

    found = _compared(before, after)

    assert [one.value for one in found.metrics["mcc"]] == [None, 0.5]
    assert found.metrics["loss"][1].value is None
    assert "example_count" not in found.metrics
    assert (found.gone_slices, found.new_slices, found.unknown_slices) == (["place=north"], ["place=south"], 0)
    text = compare_text.lines(found)
    assert "slices whose accuracy moved; 0 did not; 1 gone (place=north); 1 new (place=south)" in text
    assert any(line.split() == ["mcc", "–", "0.5000"] for line in text)  # noqa: RUF001


def test_without_a_slice_in_common_they_are_counted_only(two):
    before, after = two
    edit_metrics(before, lambda metrics: [metrics["slices"].pop(f"label={one}") for one in CLASSES])

    assert "slices: 2 new (label=bad, label=good)" in compare_text.lines(_compared(before, after))


def test_the_same_answers_differ_by_nothing(tmp_path):
    before = make(tmp_path, CLASSES, rows=50, run="20260528-1")
    after = make(tmp_path, CLASSES, rows=50, run="20260529-1")

    _, delta = _compared(before, after).metrics["accuracy"]

    assert (delta.difference, delta.low, delta.high) == (0.0, 0.0, 0.0)
    assert not delta.moved


def test_of_an_error_less_is_less():
    """For a metric of which less is better the difference is still value minus value."""
    from data.spec import DatasetSpec, NumberFeature, TargetFeature

    spec = DatasetSpec(
        name="a", title="a", licence="a", features={"x": NumberFeature(), "price": TargetFeature()}
    ).model_dump(mode="json")
    record = RunRecord("a", "b", settings={"task": "tabular_regression", "model": {}}, spec=spec)
    record.metrics = {"mae": 1.0}
    other = RunRecord("c", "b", settings=record.settings, spec=spec, metrics={"mae": 0.5})
    targets = np.arange(100, dtype=np.float32)
    facts = [
        Facts(answers=Predictions(targets, targets + off), digests={"test": "rows"}, compared=compared_metrics(record))
        for off in (1.0, 0.5)
    ]

    delta = compare._delta("mae", record, other, *facts)

    assert delta.difference == -0.5
    assert delta.low < -0.5 < delta.high < 0


def test_data_that_moved_is_told_by_its_distance(two):
    from tests.pipeline import made_up

    before, after = two
    statistics = made_up.statistics(after.spec, np.arange(200) % 2)
    size = statistics.datasets[0].features[1]
    for histogram in size.num_stats.histograms:
        for bucket in histogram.buckets:
            bucket.low_value += 1000
            bucket.high_value += 1000
    size.num_stats.mean += 1000
    file = after.record.output("statistics", "statistics") / "Split-train" / "FeatureStats.pb"
    file.write_bytes(statistics.SerializeToString())

    found = _compared(before, after)

    assert found.data["distance of size (Kolmogorov-Smirnov)"] == [0.0, 1.0]
    assert found.data["mean of size"] == ["99.5", "1100"]


def test_a_run_without_metrics_has_a_gap(two):
    before, after = two
    after.record.metrics = {}

    assert _compared(before, after).metrics["accuracy"][1].value is None


def test_collected_artifacts_are_noted(two):
    import shutil

    before, after = two
    shutil.rmtree(after.record.output("evaluate", "evaluation"))

    found = _compared(before, after)

    assert found.notes == [
        "20260529-1: the output evaluation of evaluate is not there: `headrace gc` or someone removed it"
    ]
    assert not found.metrics["accuracy"][1].paired


@pytest.mark.parametrize(
    ("settings", "feature", "line"),
    [
        ({"model": {"gone": 3}}, {}, "what its metrics are cannot be read (gone: Extra inputs are not permitted)"),
        ({"task": "image_tagging"}, {}, "what its metrics are cannot be read (there is no task image_tagging)"),
        ({}, {"later": 1}, "the data set's facts cannot be read (features.size.number.later: Extra inputs are not "),
    ],
)
def test_a_run_of_another_release_is_compared_without_pairing_and_has_a_page(two, settings, feature, line):
    before, after = two
    before.record.settings.update(settings)
    before.record.spec["features"]["size"].update(feature)

    found = _compared(before, after)

    (note,) = found.notes
    assert note.startswith(f"20260528-1: {line}")
    _, delta = found.metrics["accuracy"]
    assert (delta.difference, delta.paired) == (pytest.approx(0.3), False)
    assert delta.ends is not None
    assert "0.600" in page.render(before.record, facts.gather(before.paths, before.record))


def test_a_run_that_ml_metadata_alone_knows_is_compared(two):
    before, after = two
    bare = RunRecord(run="20260527-1", pipeline="made_up", stages=before.record.stages)

    found = compare.compare(before.home, [bare, after.record])

    assert "20260527-1: settings and data are not known" in found.notes[0]
    assert not any(delta.paired for row in found.metrics.values() for delta in row)
    assert page.render(bare, facts.gather(before.paths, bare))


def test_one_run_alone_or_twice_is_refused(two):
    with pytest.raises(ConfigError, match="Two or more different runs"):
        _compared(two[0])
    with pytest.raises(ConfigError, match="Two or more different runs"):
        _compared(two[0], two[0])
