"""Coverage of 95 % intervals: many test splits are drawn and measured as slices of one table."""

import numpy as np
import pyarrow as pa
import pytest

from models.evaluation.confidence import EstimateSummary, interval
from models.evaluation.evaluation import Evaluation
from models.evaluation.intervals import wilson
from models.evaluation.metrics import MAE, RMSE, Metric, classification, ndcg_at, recall_at
from models.evaluation.predictions import Predictions

TWO_CLASSES = classification(("no", "yes"))


def _measured(metrics, targets, values, *, rows_of_split=None, groups=None):
    """Returns values and intervals of each split of `rows_of_split` rows, or of all rows."""
    splits = np.arange(len(targets)) // (rows_of_split or len(targets))
    names = [f"{split:05d}" for split in range(splits[-1] + 1)]
    evaluation = Evaluation(metrics)
    slices = {"split": pa.DictionaryArray.from_arrays(splits.astype(np.int32), names)}
    evaluation.add(Predictions(targets, values, groups=groups, slices=slices))
    result = evaluation.result()
    return [(result.slices[f"split={name}"], result.intervals[f"split={name}"]) for name in names]


def _coverage(metrics, draw, rows, splits, *, groups=None):
    """Returns metric -> share of the intervals that contain the value on 100,000 rows."""
    ((truth, _),) = _measured(metrics, *draw(100_000))
    row_groups = None if groups is None else (np.arange(rows * splits) // (rows // groups)).astype(np.int32)
    results = _measured(metrics, *draw(rows * splits), rows_of_split=rows, groups=row_groups)
    shares = {}
    for metric in metrics:
        if isinstance(metric, Metric):
            ends = [intervals[metric.name] for _, intervals in results if metric.name in intervals]
            shares[metric.name] = np.mean([low <= truth[metric.name] <= high for low, high in ends])
            assert len(ends) > 0.9 * splits
            assert all(low < high for low, high in ends)
    return shares


def _two_classes(generator, rows, distance, *, share=0.5, group_rows=1, effect=0.0):
    targets = (generator.random(rows) < share).astype(np.int64)
    effects = np.repeat(effect * generator.normal(size=-(-rows // group_rows)), group_rows)[:rows]
    scores = 1 / (1 + np.exp(-(2 * targets - 1) * (distance + effects) - generator.normal(size=rows)))
    return targets, np.stack([1 - scores, scores], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("rows", "distance", "share"),
    [(20, 1.0, 0.5), (20, 2.0, 0.5), (100, 1.5, 0.1), (100, 2.0, 0.5), (1000, 1.0, 0.5)],
)
def test_intervals_of_classification_metrics_contain_the_true_value(rows, distance, share):
    generator = np.random.default_rng(0)

    coverage = _coverage(TWO_CLASSES, lambda count: _two_classes(generator, count, distance, share=share), rows, 100)

    assert {name: covered for name, covered in coverage.items() if covered < 0.9} == {}


@pytest.mark.parametrize("groups", [5, 10])
def test_intervals_of_few_groups_that_differ_contain_the_true_value(groups):
    generator = np.random.default_rng(1)

    coverage = _coverage(
        TWO_CLASSES,
        lambda count: _two_classes(generator, count, 1.0, group_rows=20, effect=1.0),
        groups * 20,
        150,
        groups=groups,
    )

    assert {name: share for name, share in coverage.items() if share < 0.88} == {}


@pytest.mark.parametrize("rows", [5, 20, 100, 1000])
def test_intervals_of_normal_errors_contain_the_true_value(rows):
    generator = np.random.default_rng(2)

    def draw(count):
        return np.zeros(count, np.float32), generator.normal(size=count).astype(np.float32)

    coverage = _coverage((RMSE, MAE), draw, rows, 120)

    assert {name: share for name, share in coverage.items() if share < 0.88} == {}


@pytest.mark.parametrize(("rows", "chance"), [(20, 0.01), (20, 0.3), (20, 0.9), (100, 0.05), (1000, 0.01)])
def test_intervals_of_ranking_metrics_contain_the_true_value(rows, chance):
    generator = np.random.default_rng(3)

    def draw(count):
        return np.ones(count, np.float32), np.stack([generator.geometric(chance, count) - 1.0, np.ones(count)], axis=1)

    coverage = _coverage((recall_at(10), ndcg_at(10)), draw, rows, 120)

    assert {name: share for name, share in coverage.items() if share < 0.9} == {}


@pytest.mark.parametrize("rows", [20, 100, 1000])
def test_intervals_of_the_calibration_error_of_a_calibrated_model_contain_the_true_value(rows):
    generator = np.random.default_rng(4)

    def draw(count):
        yes = 1 / (1 + np.exp(-1.5 * generator.normal(size=count)))
        return (generator.random(count) < yes).astype(np.int64), np.stack([1 - yes, yes], axis=1).astype(np.float32)

    assert _coverage(TWO_CLASSES[4:], draw, rows, 120)["expected_calibration_error"] >= 0.9


@pytest.mark.parametrize("rows", [1, 2, 20])
def test_the_interval_of_a_perfect_score_is_wider_than_0(rows):
    targets = np.repeat([0, 1], rows)

    ((values, ends),) = _measured(TWO_CLASSES, targets, np.eye(2, dtype=np.float32)[targets])

    for metric, count in {"auc": rows, "accuracy": 2 * rows, "f1@yes": rows}.items():
        assert values[metric] == 1.0
        assert ends[metric][0] <= wilson(1.0, count)[0] + 1e-9 if metric != "f1@yes" else ends[metric][0] < 1
        assert ends[metric][1] == 1.0
    assert ends["expected_calibration_error"] == (0.0, wilson(0.0, 2 * rows)[1])


def test_equal_errors_have_an_interval_wider_than_0_and_errors_of_0_have_none():
    ((_, equal_ends),) = _measured((RMSE, MAE), np.zeros(20, np.float32), np.full(20, 0.1, np.float32))
    ((values, zero_ends),) = _measured((RMSE, MAE), np.zeros(20, np.float32), np.zeros(20, np.float32))

    assert equal_ends["mae"][0] < 0.09 < 0.11 < equal_ends["mae"][1]
    assert equal_ends["rmse"][0] < 0.095 < 0.105 < equal_ends["rmse"][1]
    assert values["mae"] == 0.0
    assert zero_ends == {}


@pytest.mark.parametrize(
    "right", [[300, 300], [300, 299], [299, 299], [200, 200], [200, 201], [200] * 5, [300] * 4 + [299]]
)
def test_one_more_wrong_row_moves_the_interval_of_a_share_of_few_groups_little(right):
    def low(right):
        hits = np.concatenate([np.arange(300) < count for count in right])
        groups = np.repeat(np.arange(len(right)), 300).astype(np.int32)
        values = np.eye(2, dtype=np.float32)[1 - hits.astype(int)]
        ((_, ends),) = _measured(TWO_CLASSES[1:2], np.zeros(len(hits), np.int64), values, groups=groups)
        return ends["accuracy"][0]

    assert low([right[0] - 1, *right[1:]]) == pytest.approx(low(right), abs=0.17)


def test_an_interval_by_hand():
    # A mean of 3 +- 0.5 of ten rows: Student's t of nine degrees of freedom is 2.2622.
    summary = EstimateSummary(3.0, 0.5, 5.0, 10, 10.0, 10)

    plain = interval(summary, least=-np.inf, greatest=np.inf)
    positive = interval(summary, greatest=np.inf)
    above_two = interval(summary, least=2.0, greatest=np.inf)
    below_five = interval(summary, least=1.0, greatest=5.0)

    assert plain == pytest.approx((3 - 1.1311, 3 + 1.1311), abs=1e-4)
    assert positive == pytest.approx((3 * np.exp(-0.37703), 3 * np.exp(0.37703)), rel=1e-4)
    assert above_two == pytest.approx((2 + np.exp(-1.1311), 2 + np.exp(1.1311)), rel=1e-4)
    # Half of 4, error 0.125: 0.25 / 0.125**2 = 16 rows, 10 / 9 of that, (1.96 / 2.5706)**2 of it by 5 degrees.
    assert below_five == pytest.approx([1 + 4 * end for end in wilson(0.5, 16 * 10 / 9 * 0.58137)], rel=1e-4)


def test_an_undefined_or_unbounded_estimate_has_no_interval():
    assert interval(EstimateSummary(float("nan"), 0.1, 3.0, 4, 4.0, 4)) is None
    assert interval(EstimateSummary(0.0, 0.0, 3.0, 0, 0.0, 4)) is None
    assert interval(EstimateSummary(2.0, float("inf"), 1.0, 1, 1.0, 4), greatest=np.inf) is None
    assert interval(EstimateSummary(2.0, 2.0, 1.0, 2, 2.0, 2), greatest=np.inf) is None  # by a factor of 300,000


def test_equal_groups_give_a_share_no_narrower_interval_than_independent_rows():
    groups = EstimateSummary(2 / 3, 0.0, 4.0, 5, 5.0, 1500)

    assert interval(groups, is_share=True) == wilson(2 / 3, 1500)
    assert interval(groups) == wilson(2 / 3, 5)  # a mean of values that need not be 0 and 1
