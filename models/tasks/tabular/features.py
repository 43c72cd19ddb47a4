"""Preprocessing of tables within the served graph: columns to tensors.

All numbers share one analyzer, and all categories another: TFT builds a Beam graph for each analyzer, so that one for
each column takes minutes before the first row of a wide table is read.
"""

import math

import tensorflow as tf
import tensorflow_transform as tft

from data.spec import BooleanFeature, CategoryFeature, DatasetSpec, DateFeature, NumberFeature
from models.task import Tensors
from models.tasks.optional import stacked
from models.tasks.tabular.config import TabularConfig

# The tensors: float32 `(batch, numbers)` twice, float32 `(batch, numbers, bins)`, int64 `(batch, categories)`.
NUMBERS, MISSING, CURVES, CATEGORIES = "numbers", "missing", "curves", "categories"
DAY = 86_400  # seconds
OUTLIER = 3.0  # standard deviations beyond which a number is replaced by its logarithm
PERIODS = {"day": DAY, "week": 7 * DAY, "year": 365.2425 * DAY}


def number_names(spec: DatasetSpec) -> list[str]:
    """Returns the name of each column of the numbers tensor: a number, a boolean, or a date and its phases."""
    names = []
    for name, feature in spec.of(NumberFeature, BooleanFeature, DateFeature).items():
        names.append(name)
        if isinstance(feature, DateFeature):
            names += [f"{name}.{wave}_of_{period}" for period in PERIODS for wave in ("sin", "cos")]
    return names


def transform(raw: Tensors, config: TabularConfig, spec: DatasetSpec) -> dict[str, tf.Tensor]:
    """Returns the inputs of the network.

    Numbers are standardized; a missing one is 0, and 1 in `missing`. A curve is the position of a number in each of its
    quantile bins, from 0 to 1 (Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep
    Learning", arXiv:2203.05556). Categories are indices into one vocabulary of `column=value`, the rest hashed.
    """
    features = {}
    values = _numbers(raw, spec)
    if values is not None:
        missing = tf.math.is_nan(values)
        features[NUMBERS] = tf.where(missing, 0.0, _standardized(values))
        features[MISSING] = tf.cast(missing, tf.float32)
        bounds = tft.quantiles(values, config.bins + 2, epsilon=0.25 / config.bins, reduce_instance_dims=False)
        features[CURVES] = tf.where(missing[..., None], 0.0, _curves(values, bounds))
    categories = list(spec.of(CategoryFeature))
    if categories:
        texts = stacked([raw[name] for name in categories], "")  # (batch, categories)
        features[CATEGORIES] = tft.compute_and_apply_vocabulary(
            tf.add([f"{name}=" for name in categories], texts),
            top_k=config.vocabulary_size,
            frequency_threshold=config.min_count,
            num_oov_buckets=config.hash_buckets,
        )
    return features


def _numbers(raw: Tensors, spec: DatasetSpec) -> tf.Tensor | None:
    """Returns the numbers of a batch, float32 `(batch, numbers)`, in the order of `number_names`.

    NaN where a value is missing; None for a table without numbers.
    """
    plain, dates = list(spec.of(NumberFeature, BooleanFeature)), list(spec.of(DateFeature))
    parts = []
    if plain:
        parts.append(stacked([raw[name] for name in plain], math.nan))
    if dates:
        parts.append(_date_numbers(stacked([raw[name] for name in dates], tf.int64.min)))
    if len(parts) < 2:
        return parts[0] if parts else None
    per_date = 1 + 2 * len(PERIODS)
    columns_of = {name: [index] for index, name in enumerate(plain)}
    for index, name in enumerate(dates):
        begin = len(plain) + index * per_date
        columns_of[name] = list(range(begin, begin + per_date))
    order = [column for name in spec.of(NumberFeature, BooleanFeature, DateFeature) for column in columns_of[name]]
    return tf.gather(tf.concat(parts, axis=1), order, axis=1)


def _date_numbers(seconds: tf.Tensor) -> tf.Tensor:
    """Returns the numbers of dates: float32 `(batch, dates * (1 + 2 * periods))` of int64 `(batch, dates)`."""
    # float32 would round seconds since 1970 to two minutes: hence days, and phases in float64.
    moments = tf.cast(seconds, tf.float64)
    numbers = [moments / DAY]
    for period in PERIODS.values():
        phase = 2 * math.pi * tf.math.floormod(moments, period) / period
        numbers += [tf.sin(phase), tf.cos(phase)]
    values = tf.where((moments < -9e18)[..., None], math.nan, tf.cast(tf.stack(numbers, axis=2), tf.float32))
    return tf.reshape(values, (-1, seconds.shape[1] * len(numbers)))


def _standardized(values: tf.Tensor) -> tf.Tensor:
    """Returns values minus their mean, divided by their standard deviation; TFT leaves NaN out of both."""
    mean = tft.mean(values, reduce_instance_dims=False)
    deviation = tf.sqrt(tft.var(values, reduce_instance_dims=False))
    # Both are NaN for a column that is empty in all of the training split.
    mean, deviation = (tf.where(tf.math.is_nan(part), 0.0, part) for part in (mean, deviation))
    scaled = tf.math.divide_no_nan(values - mean, deviation)
    # Outliers would outweigh all other columns. The curves do not show how far out a number is; its logarithm does.
    far = tf.maximum(tf.abs(scaled) - OUTLIER, 0.0)
    return tf.sign(scaled) * (tf.minimum(tf.abs(scaled), OUTLIER) + tf.math.log1p(far))


def _curves(values: tf.Tensor, bounds: tf.Tensor) -> tf.Tensor:
    """Returns the position of each value in each bin, from 0 to 1, float32 `(batch, numbers, bins)`.

    Args:
        values: float32 `(batch, numbers)`.
        bounds: float32 `(numbers, bins + 1)`, the limits of the bins.
    """
    low, high = bounds[:, :-1], bounds[:, 1:]
    position = tf.math.divide_no_nan(values[..., None] - low, high - low)  # (batch, numbers, bins)
    # A bin without width, where one value is frequent, is a step.
    step = tf.cast(values[..., None] >= low, tf.float32)
    return tf.where(high > low, tf.clip_by_value(position, 0.0, 1.0), step)
