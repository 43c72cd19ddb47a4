import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from models.evaluation.evaluation import Evaluation
from models.evaluation.intervals import wilson
from models.evaluation.metrics import ACCURACY, AUC, MAE, RMSE, Metric, classification, of_class
from models.evaluation.predictions import Predictions

CLASSES = ("no", "maybe", "yes")


def _predictions(rows: int, classes: int = 3, seed: int = 0, **others) -> Predictions:
    generator = np.random.default_rng(seed)
    targets = generator.integers(0, classes, rows)
    scores = generator.random((rows, classes)) + 0.7 * np.eye(classes)[targets]
    slices = {
        "label": pa.DictionaryArray.from_arrays(targets.astype(np.int32), CLASSES[:classes]),
        "region": pa.array(generator.choice(["a", "b", None], rows).tolist(), pa.string()).dictionary_encode(),
    }
    return Predictions(
        targets, (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32), slices=slices, **others
    )


def _evaluated(*parts: Predictions, classes: int = 3):
    evaluation = Evaluation(classification(CLASSES[:classes]), "label")
    for part in parts:
        evaluation.add(part)
    return evaluation.result()


def _rows(predicted: Predictions, begin: int, end: int) -> Predictions:
    return predicted.of((np.arange(len(predicted.targets)) >= begin) & (np.arange(len(predicted.targets)) < end))


def test_values_of_slices_are_those_of_their_rows_alone():
    predicted = _predictions(200)
    result = _evaluated(predicted)

    assert list(result.slices) == ["overall", "label=no", "label=maybe", "label=yes", "region=a", "region=b"]
    regions = np.array(predicted.slices["region"].to_pylist())
    for region in ("a", "b"):
        alone = _evaluated(predicted.of(regions == region)).slices["overall"]
        assert result.slices[f"region={region}"] == {
            name: pytest.approx(alone[name]) for name in result.slices["region=a"]
        }
        assert result.slices[f"region={region}"]["example_count"] == (regions == region).sum()


@pytest.mark.parametrize("cut", [1, 7, 64, 199])
def test_the_result_does_not_depend_on_how_the_rows_are_split_into_parts(cut):
    predicted = _predictions(200, groups=np.arange(200, dtype=np.int32) // 5, weights=np.linspace(0.5, 2, 200))
    expected, first, second = _evaluated(predicted), *(Evaluation(classification(CLASSES), "label") for _ in range(2))
    first.add(_rows(predicted, 0, cut))
    second.add(_rows(predicted, cut, (cut + 200) // 2))
    second.add(_rows(predicted, (cut + 200) // 2, 200))
    first.merge(second)

    merged = first.result()

    assert merged.slices == expected.slices
    assert merged.intervals == expected.intervals
    assert merged.confusion_matrix.tolist() == expected.confusion_matrix.tolist()


def test_precision_recall_and_f1_of_a_class_by_hand():
    # True 0 0 0 1 1 2, predicted 0 0 1 1 0 0.
    targets, predicted = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 0, 0])

    result = _evaluated(Predictions(targets, np.eye(3, dtype=np.float32)[predicted]))

    overall = result.slices["overall"]
    assert [overall.get(f"precision@{name}") for name in CLASSES] == [2 / 4, 1 / 2, None]  # yes was not predicted
    assert [overall[f"recall@{name}"] for name in CLASSES] == [pytest.approx(2 / 3), 1 / 2, 0]
    assert [overall[f"f1@{name}"] for name in CLASSES] == [pytest.approx(4 / 7), 2 / 4, 0]
    assert result.confusion_matrix.tolist() == [[2, 1, 0], [1, 1, 0], [1, 0, 0]]
    assert result.intervals["overall"]["recall@no"] == pytest.approx(wilson(2 / 3, 3), abs=0.12)


def test_a_weight_of_two_counts_as_two_rows():
    predicted = _predictions(60, classes=2)
    weights = np.where(np.arange(60) % 3 == 0, 2.0, 1.0)
    copied = np.repeat(np.arange(60), weights.astype(int))
    slices = {name: column.take(copied) for name, column in predicted.slices.items()}
    copies = Predictions(predicted.targets[copied], predicted.values[copied], slices=slices)

    weighted = _evaluated(dataclasses.replace(predicted, weights=weights), classes=2)
    expected = _evaluated(copies, classes=2)

    for name, metrics in expected.slices.items():
        values = {metric: value for metric, value in weighted.slices[name].items() if metric != "example_count"}
        assert values == {metric: pytest.approx(metrics[metric]) for metric in values}
        assert len(values) == (5 + 5 if name == "overall" else 5 if name.startswith("region") else 3)


@pytest.mark.parametrize("metric", [ACCURACY, AUC, *classification(CLASSES[:2])[2:5]], ids=lambda metric: metric.name)
def test_95_of_100_intervals_contain_the_value_of_the_population(metric: Metric):
    population = _predictions(200_000, classes=2, seed=1)
    truth = metric.value(population.targets, population.values)
    generator, num_covered = np.random.default_rng(2), 0
    for _ in range(200):
        indices = generator.integers(0, 200_000, 400)
        evaluation = Evaluation([metric])
        evaluation.add(Predictions(population.targets[indices], population.values[indices]))
        low, high = evaluation.result().intervals["overall"][metric.name]
        num_covered += low <= truth <= high

    # Fewer than 177 of 200 intervals of 95 % contain it once in 1,000 times; a calibration error is biased upwards.
    assert num_covered >= (177 if metric.name != "expected_calibration_error" else 150)


def test_groups_of_equal_rows_widen_the_interval():
    targets, is_right = np.zeros(400, np.int64), np.repeat(np.random.default_rng(0).random(40) < 0.7, 10)
    values = np.eye(2, dtype=np.float32)[np.where(is_right, 0, 1)]
    by_row, by_group = (
        _evaluated(Predictions(targets, values, groups=groups), classes=2).intervals["overall"]["accuracy"]
        for groups in (None, np.arange(400, dtype=np.int32) // 10)
    )

    assert by_group[1] - by_group[0] > 2.5 * (by_row[1] - by_row[0])


def test_copies_of_rows_within_a_group_make_no_interval_narrower():
    predicted = _predictions(30, classes=2)
    copied = np.tile(np.arange(30), 4)
    copies = Predictions(predicted.targets[copied], predicted.values[copied], groups=copied.astype(np.int32))

    intervals, expected = (
        _evaluated(predictions, classes=2).intervals["overall"] for predictions in (copies, predicted)
    )

    for name, ends in expected.items():
        assert intervals[name] == pytest.approx(ends, abs=0.02), name


def test_the_interval_of_a_share_of_one_group_is_nearly_all_of_its_range():
    predicted = _predictions(30, classes=2, groups=np.zeros(30, np.int32))

    intervals = _evaluated(predicted, classes=2).intervals["overall"]

    assert intervals["accuracy"][1] - intervals["accuracy"][0] > 0.7
    assert "loss" not in intervals


def test_regression_metrics_by_hand():
    evaluation = Evaluation((RMSE, MAE))
    evaluation.add(Predictions(np.zeros(4, np.float32), np.array([3, 0, 0, 1], np.float32)))

    result = evaluation.result()

    assert result.slices == {"overall": {"rmse": pytest.approx(2.5**0.5), "mae": 1.0, "example_count": 4.0}}
    assert 0 < result.intervals["overall"]["mae"][0] < 1.0  # an error is never negative


def test_a_value_that_is_not_finite_is_left_out():
    evaluation = Evaluation((AUC, ACCURACY))
    evaluation.add(Predictions(np.array([0, 1]), np.array([[0.5, np.nan], [0.5, 0.5]], np.float32)))

    assert "auc" not in evaluation.result().slices["overall"]


def test_a_slice_of_one_class_has_no_area_under_the_curve():
    result = _evaluated(_predictions(50, classes=2), classes=2)

    assert "auc" in result.slices["overall"]
    assert "auc" in result.slices["region=a"]
    assert "auc" not in result.slices["label=no"]


def test_f1_of_the_second_class_is_one_number_with_one_interval_and_no_slice_of_one_class_has_it():
    predicted = _predictions(50, classes=2)
    all_rows = pa.array(["a"] * 50).dictionary_encode()

    result = _evaluated(dataclasses.replace(predicted, slices={**predicted.slices, "all": all_rows}), classes=2)

    for table in (result.slices, result.intervals):
        assert table["overall"]["f1@maybe"] == table["all=a"]["f1@maybe"]
    assert "f1@maybe" in result.slices["region=b"]
    assert not [name for name in ("label=no", "label=maybe") if "f1@maybe" in result.slices[name]]


@pytest.mark.parametrize("weighted", [False, True])
def test_metrics_of_a_class_follow_their_definition(weighted):
    predicted = _predictions(80, weights=np.random.default_rng(3).random(80) if weighted else None)

    result = _evaluated(predicted)

    for index, name in enumerate(CLASSES):
        for kind in ("precision", "recall", "f1"):
            metric = of_class(kind, index, name)
            estimate = metric.estimate(*metric.columns(predicted.targets, predicted.values), weights=predicted.weights)
            value, ends = metric.measured(estimate.summary())
            assert result.slices["overall"][metric.name] == pytest.approx(value)
            assert result.slices["overall"][metric.name] == pytest.approx(
                metric.value(predicted.targets, predicted.values, predicted.weights)
            )
            assert result.intervals["overall"][metric.name] == pytest.approx(ends)


def test_metrics_of_a_class_are_as_uncertain_as_its_groups():
    predicted = _predictions(80)
    copies = np.tile(np.arange(80), 6)
    grouped = Predictions(predicted.targets[copies], predicted.values[copies], groups=copies.astype(np.int32))

    grouped_ends, expected = (_evaluated(predictions).intervals["overall"] for predictions in (grouped, predicted))

    for name in (f"{kind}@{name}" for kind in ("precision", "recall", "f1") for name in CLASSES):
        assert grouped_ends[name] == pytest.approx(expected[name], abs=0.05), name


@pytest.mark.parametrize("measured", [classification(CLASSES), classification(CLASSES[:2]), (RMSE, MAE), (AUC,)])
def test_without_rows_the_only_metric_is_their_number(measured):
    result = Evaluation(measured).result()

    assert result.slices == {"overall": {"example_count": 0.0}}
    assert result.intervals == {"overall": {}}
    assert result.confusion_matrix is None or not result.confusion_matrix.any()


@pytest.mark.parametrize("optional", ["weights", "groups", "slices"])
def test_all_rows_need_the_same_columns(optional):
    predicted = dataclasses.replace(_predictions(20), weights=np.ones(20), groups=np.arange(20, dtype=np.int32))
    without = dataclasses.replace(predicted, **{optional: {} if optional == "slices" else None})
    evaluation, other = Evaluation(classification(CLASSES)), Evaluation(classification(CLASSES))
    evaluation.add(predicted)
    other.add(without)

    name = "slice label, slice region" if optional == "slices" else optional
    with pytest.raises(ValueError, match=f"Some rows have {name} and others have not"):
        evaluation.add(without)
    with pytest.raises(ValueError, match=f"Some rows have {name} and others have not"):
        evaluation.merge(other)


def test_an_empty_batch_or_evaluation_may_have_other_columns():
    evaluation = Evaluation(classification(CLASSES))
    evaluation.merge(Evaluation(classification(CLASSES)))
    evaluation.add(_rows(_predictions(20), 0, 0))
    evaluation.add(dataclasses.replace(_predictions(20), weights=np.ones(20)))

    assert evaluation.result().slices["overall"]["example_count"] == 20.0


def test_columns_of_another_length_are_refused():
    predicted = dataclasses.replace(_predictions(20), weights=np.ones(1))

    with pytest.raises(ValueError, match="Expected 20 weights, one for each target, found 1"):
        Evaluation(classification(CLASSES)).add(predicted)


def test_slices_of_one_name_are_refused_and_an_equals_sign_in_a_column_name_is_kept():
    targets, values = np.array([0, 1, 2]), np.eye(3, dtype=np.float32)
    of_a, of_b = (pa.array([value] * 3).dictionary_encode() for value in ("b=c", "c"))
    clash, alone = Evaluation(classification(CLASSES)), Evaluation(classification(CLASSES))
    clash.add(Predictions(targets, values, slices={"a": of_a, "a=b": of_b}))
    alone.add(Predictions(targets, values, slices={"a=b": of_b}))

    with pytest.raises(ValueError, match="Two slices are called a=b=c; rename column a=b"):
        clash.result()
    assert alone.result().keys == {"a=b=c": ("a=b", "c")}


def test_files_with_different_dictionaries_share_slices_and_classes_keep_their_order():
    evaluation = Evaluation((ACCURACY,), "kind")
    for values in (["south", "north"], ["north", "east"]):
        kinds = pa.DictionaryArray.from_arrays(np.array([2, 0], np.int32), ["z", "unused", "a"])
        slices = {"region": pa.array(values).dictionary_encode(), "kind": kinds}
        hits = np.eye(2, dtype=np.float32)[[int(value != "north") for value in values]]
        evaluation.add(Predictions(np.zeros(2, np.int64), hits, slices=slices))

    accuracies = {name: metrics["accuracy"] for name, metrics in evaluation.result().slices.items()}

    assert accuracies == {
        "overall": 0.5,
        "region=east": 0.0,
        "region=north": 1.0,
        "region=south": 0.0,
        "kind=z": pytest.approx(0.5),
        "kind=a": 0.5,
    }
    assert list(accuracies) == ["overall", "region=east", "region=north", "region=south", "kind=z", "kind=a"]


def test_a_loss_may_be_greater_than_one_and_the_matrix_has_true_classes_as_rows():
    values = np.array([[0.9, 0.05, 0.05], [0.98, 0.01, 0.01], [0.9, 0.05, 0.05]], np.float32)
    result = _evaluated(Predictions(np.array([1, 1, 0]), values))

    assert result.slices["overall"]["loss"] > 2
    assert result.intervals["overall"]["loss"][1] > 2
    assert result.as_json()["confusion_matrix"] == [[1, 0, 0], [2, 0, 0], [0, 0, 0]]
