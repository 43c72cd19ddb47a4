"""Distances of distributions and of profiles, by hand; profiles that are merged or come from older releases."""

from collections.abc import Callable

import numpy as np
import pytest
from tensorflow_metadata.proto.v0 import statistics_pb2

from data.checks import profile
from data.checks.histograms import median, quantiles_histogram
from data.checks.profile import Profile, drifts
from data.checks.reference import DataSummary, Reference
from data.errors import DataError
from data.spec import DatasetSpec, Feature, ImageFeature, LabelFeature, NumberFeature, TextFeature

Bucket = tuple[float, float, float]
KIND = LabelFeature(classes=("a", "b"))


def _spec(**features: Feature) -> DatasetSpec:
    return DatasetSpec(name="tiny", title="made up", licence="none", features=features)


def _histogram(*buckets: Bucket, kind: int = statistics_pb2.Histogram.QUANTILES) -> statistics_pb2.Histogram:
    found = statistics_pb2.Histogram(type=kind)
    for low, high, count in buckets:
        found.buckets.add(low_value=low, high_value=high, sample_count=count)
    return found


def _profile(spec: DatasetSpec, **columns: np.ndarray) -> dict[str, np.ndarray]:
    made = Profile(spec)
    made.add(columns)
    return made.arrays


@pytest.mark.parametrize(
    ("before", "after", "distance"),
    [
        ([(0, 1, 10), (1, 2, 10)], [(0, 1, 20), (1, 2, 20)], 0.0),
        ([(0, 1, 10), (1, 2, 10)], [(1, 2, 10), (2, 3, 10)], 0.5),  # at 1, and at 2
        ([(0, 4, 10)], [(1, 3, 10)], 0.25),  # at 1: a quarter and none
        ([(2, 2, 10)], [(0, 2, 5), (2, 4, 5)], 0.5),  # one value: all of it at 2, none before
        ([(2, 2, 10)], [(0, 2, 10)], 0.0),
    ],
)
def test_the_greatest_difference_of_two_cumulative_distributions(before, after, distance):
    one, other = _histogram(*before), _histogram(*after)

    assert profile.kolmogorov_smirnov(one, other) == pytest.approx(distance)
    assert profile.kolmogorov_smirnov(other, one) == pytest.approx(distance)


def test_chance_is_larger_of_fewer_rows():
    assert profile.critical_distance(100, 400) == pytest.approx(1.63 * 0.1118034)  # the root of 1/80
    assert profile.critical_distance(400, 100) == profile.critical_distance(100, 400)


def test_quantiles_are_those_of_numbers_that_have_values():
    quantiles, standard = _histogram((0, 1, 2)), _histogram((5, 6, 7), kind=statistics_pb2.Histogram.STANDARD)
    features = statistics_pb2.DatasetFeatureStatistics().features
    for name, histograms, count in (("x", [standard, quantiles], 7), ("none", [quantiles], 0), ("y", [standard], 7)):
        one = features.add()
        one.path.step.append(name)
        one.num_stats.common_stats.num_non_missing = count
        one.num_stats.histograms.extend(histograms)

    assert profile.quantiles(features) == {"x": (quantiles, 7)}


def test_the_first_bin_alone_holds_the_values_that_equal_the_first_quantile():
    found = quantiles_histogram(np.array([0.0, 1.0, 1.0]), np.array([2.0, 3.0, 4.0]))
    equal = quantiles_histogram(np.array([0.0, 0.0, 0.0, 2.0]), np.array([2.0, 3.0, 4.0, 6.0]))

    assert [bucket.sample_count for bucket in found.buckets] == [3, 1]
    assert [(bucket.low_value, bucket.high_value) for bucket in found.buckets] == [(0, 1), (1, 1)]
    assert [bucket.sample_count for bucket in equal.buckets] == [2, 2, 2]


def test_the_median_is_the_quantile_in_the_middle_or_the_mean_of_two():
    assert median(np.array([1.0, 2.0, 5.0])) == 2.0
    assert median(np.array([1.0, 2.0, 5.0, 9.0])) == 3.5


def test_a_merged_profile_is_that_of_all_rows():
    spec = _spec(n=NumberFeature(optional=True), words=TextFeature(optional=True), kind=KIND)
    columns = {"n": np.array([1.0, np.nan, 3.0]), "words": np.array([True, False, False]), "kind": np.array([0, 1, 1])}
    parts = [Profile(spec), Profile(spec)]
    for part, rows in zip(parts, (slice(0, 1), slice(1, 3)), strict=True):
        part.add({name: values[rows] for name, values in columns.items()})

    parts[0].merge(parts[1])

    every = _profile(spec, **columns)
    assert {name: values.tolist() for name, values in parts[0].arrays.items()} == {
        name: values.tolist() for name, values in every.items()
    }
    assert (every["n.present"].tolist(), every["words.present"].tolist()) == ([2], [1])
    assert every["inputs.sum"].tolist() == [[1], [3]]


def test_of_a_large_image_every_second_pixel_counts_by_its_longer_side():
    spec = _spec(image=ImageFeature(height=64, width=8, channels=1), kind=KIND)

    arrays = _profile(spec, image=np.ones((2, 64, 8, 1), np.uint8), kind=np.array([0, 1]))

    assert arrays["inputs.sum"].shape == (2, 32 * 4)


@pytest.mark.parametrize(("rows", "most"), [(100, 21), (400, 16)])
def test_a_share_has_changed_beyond_three_standard_errors(rows, most):
    """Of 100 rows each, 3 times the root of 0.25/100 + 0.25/100 is 0.212; of 400 before it is 0.168."""
    spec = _spec(kind=KIND)
    before = _profile(spec, kind=np.repeat([0, 1], rows // 2))

    def num_drifts(first: int) -> int:
        return len(drifts(before, _profile(spec, kind=np.repeat([0, 1], [first, 100 - first])), spec, 0.01))

    assert [num_drifts(first) for first in (49 - most, 50 - most, 50 + most, 51 + most)] == [1, 0, 0, 1]


def test_rows_with_a_value_have_a_share_too():
    spec = _spec(words=TextFeature(optional=True))
    before, after = (_profile(spec, words=np.arange(200) < count) for count in (100, 190))

    assert [(one.feature, one.sentence) for one in drifts(before, after, spec, 0.4)] == [
        ("words", "share of rows with a value was 50.0%, is 95.0%")
    ]
    assert drifts(before, after, spec, 0.46) == []


def _kinds(a: np.ndarray, b: np.ndarray) -> tuple[DatasetSpec, dict[str, np.ndarray]]:
    spec = _spec(n=NumberFeature(), kind=KIND)
    return spec, _profile(spec, n=np.concatenate([a, b]), kind=np.repeat([0, 1], [len(a), len(b)]))


@pytest.mark.parametrize(("before", "after"), [(3, 100), (100, 3)])
def test_chance_goes_by_the_rows_of_both(before, after):
    """Means of 3 and of 100 rows vary by 1/3 + 1/100, nine times of which is 3.1: less than the 4 of a swap."""
    spec, old = _kinds(np.full(before, -1.0), np.full(before, 1.0))
    _, new = _kinds(np.full(after, 1.0), np.full(after, -1.0))

    assert [one.sentence for one in drifts(old, new, spec, 1)] == ["classes look swapped: rows of a like b, b like a"]


@pytest.mark.parametrize(("before", "after", "is_told"), [(2, 2, True), (1, 2, False), (2, 1, False)])
def test_one_row_of_a_class_says_nothing_of_swapped_classes(before, after, is_told):
    many = np.linspace(-0.1, 0.1, 1000)
    spec, old = _kinds(many, np.full(before, 100.0))
    _, new = _kinds(many, np.zeros(after))

    expected = ["classes look swapped: rows of b like a"] if is_told else []
    assert [one.sentence for one in drifts(old, new, spec, 1)] == expected


@pytest.mark.parametrize("count", [1, 3])
def test_a_profile_of_an_older_release_with_other_columns_is_not_compared_by_class(count):
    spec, new = _kinds(np.full(9, 1.0), np.full(9, -1.0))
    _, old = _kinds(np.full(9, -1.0), np.full(9, 1.0))
    del old["inputs.names"]
    assert len(drifts(old, new, spec, 1)) == 1
    for kind in ("count", "sum", "squares"):
        old[f"inputs.{kind}"] = np.repeat(old[f"inputs.{kind}"], count, axis=1)[:, : count if count > 1 else 0]

    assert drifts(old, new, spec, 1) == []


def test_a_column_that_never_varied_says_nothing():
    spec, old = _kinds(np.full(9, 1.0), np.full(9, 1.0))
    _, new = _kinds(np.full(9, 1.0), np.full(9, 5.0))

    assert drifts(old, new, spec, 1) == []


def _damaged(path, change: Callable[[bytes], bytes]) -> str:
    DataSummary(statistics_pb2.DatasetFeatureStatisticsList(), {"rows": np.ones(1)}, "run 7").write(path)
    reference = Reference(path, "the data", "go on")
    assert reference.read().run == "run 7"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(DataError, match=r"x.npz is damaged \(.*\); remove it, and go on\.$") as error:
        reference.read()
    return str(error.value)


def test_a_damaged_reference_is_named_with_the_reason(tmp_path):
    assert "(it is empty)" in _damaged(tmp_path / "x.npz", lambda content: b"")
    assert "(BadZipFile)" in _damaged(tmp_path / "x.npz", lambda content: content[:-30])
    assert (tmp_path / "x.npz").stat().st_mode & 0o777 == 0o600
