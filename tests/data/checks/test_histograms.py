"""Histograms equal those that TFDV computes from the same quantiles."""

import numpy as np
import pytest

from data.checks import histograms

SAMPLES = {
    "spread": np.random.default_rng(0).normal(size=3000),
    "skewed": np.random.default_rng(1).lognormal(sigma=4, size=3000),
    "few values": np.random.default_rng(2).integers(0, 5, 500).astype(float),
    "mostly one value": np.array([0.0] * 900 + [7.0, 7.0, 9.5]),
    "on the edges of bins": np.arange(11.0).repeat(3),
    "one value": np.full(40, 2.5),
    "a single row": np.array([-3.0]),
    "whose width overflows": np.array([-1.7e308, 0.0, 1.7e308]),
}


@pytest.mark.slow  # loads TFDV
@pytest.mark.parametrize("name", SAMPLES)
def test_histograms_and_median_are_those_of_tfdv(name):
    from tensorflow_data_validation.utils import quantiles_util

    values = np.sort(SAMPLES[name])
    index = np.linspace(0, len(values) - 1, 1001).astype(int)
    quantiles, cumulative = values[index], np.searchsorted(values, values[index], side="right").astype(float)

    expected = quantiles_util.generate_quantiles_histogram(quantiles, cumulative)
    _assert_equal(histograms.quantiles_histogram(quantiles, cumulative), expected)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = quantiles_util.generate_equi_width_histogram(quantiles, cumulative, values[0], values[-1], 10, 0)
    _assert_equal(histograms.standard_histogram(quantiles, cumulative, values[0], values[-1]), expected)
    assert histograms.median(quantiles) == quantiles_util.find_median(quantiles)
    assert histograms.median(quantiles[:-1]) == quantiles_util.find_median(quantiles[:-1])


def test_bins_of_equal_width_share_what_lies_between_two_quantiles():
    histogram = histograms.standard_histogram(
        np.array([0.0, 10.0, 20.0]), np.array([1.0, 11.0, 16.0]), np.float64(0), np.float64(20)
    )

    assert [bucket.low_value for bucket in histogram.buckets] == [0, 2, 4, 6, 8, 10, 12, 14, 16, 18]
    # 11 values from 0 to 10 in five bins, 5 from 10 to 20 in five.
    assert [bucket.sample_count for bucket in histogram.buckets] == pytest.approx([2.2] * 5 + [1.0] * 5)


def _assert_equal(actual, expected) -> None:
    assert actual.type == expected.type
    actual_buckets, expected_buckets = (
        np.array([(bucket.low_value, bucket.high_value, bucket.sample_count) for bucket in histogram.buckets])
        for histogram in (actual, expected)
    )
    np.testing.assert_allclose(actual_buckets, expected_buckets, rtol=1e-9, atol=1e-9)
