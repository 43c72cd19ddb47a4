"""The alternative: a plain script of pandas, scikit-learn and Keras for a table with two classes.

`plain_table.py TABLE.csv OUT SETTINGS`, the settings being JSON: `epochs`, `batch_size` and `learning_rate`. Columns
are those of `benchmarks.columns.made_up`. Prints metrics, number of parameters and the seconds of its parts as JSON.

The same as in `headrace run`: shares of the splits, network (also its embedding of 10,064 rows), optimizer, schedule
and batch; the reference models, on all training rows; the metrics, of all models, on the test split; a SavedModel. The
rest is short and fast code: pandas reads with Arrow and computes the features of the day, boosting takes the categories
of pandas as they are, and categories are looked up once, before training.

Left out is what such a script does not have: checks of rows, statistics, drift, intervals, slices, worst mistakes,
checkpoints, histograms, the features of a day in the served graph, a serving check, a page.
"""

import itertools
import json
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import psutil
import tensorflow as tf
from keras import layers, ops
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, classification_report, f1_score, log_loss, roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

TABLE, OUT, SETTINGS = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
CATEGORIES = [f"category{i}" for i in range(4)]
BINS, DIM, VOCABULARY = 16, 8, 10_064
CALIBRATION_BINS = 15
clock = [("", psutil.Process().create_time(), 0.0)]


def lap(part: str) -> None:
    """Records when a part ended."""
    clock.append((part, time.time(), time.process_time()))


lap("import")
keras.utils.set_random_seed(0)
frame = pd.read_csv(TABLE, engine="pyarrow", dtype=dict.fromkeys(CATEGORIES, "category"))
labels = (frame.pop("label") == "yes").astype("int64").to_numpy()
day = pd.to_datetime(frame.pop("day"))
frame["flag"] = frame["flag"] == "yes"
numbers = frame.drop(columns=CATEGORIES).astype("float32")
split = np.random.default_rng(0).choice(3, len(frame), p=[0.8, 0.1, 0.1])
train, validation, test = (np.flatnonzero(split == index) for index in range(3))
lap("read")


# The network.
def waves() -> list[np.ndarray]:
    """Returns the day since 1970, and its phases within a day, a week and a year."""
    days = day.astype("int64").to_numpy() / 86_400e9
    phases = [2 * np.pi * (days % period) / period for period in (1, 7, 365.2425)]
    return [days, *(wave(phase) for phase in phases for wave in (np.sin, np.cos))]


@keras.saving.register_keras_serializable()
class Curves(layers.Layer):
    """How far each number is through each of its quantile bins."""

    def __init__(self, bounds: np.ndarray):
        super().__init__()
        self.low, self.high = bounds[:, :-1], bounds[:, 1:]

    def call(self, values):
        through = (values[..., None] - self.low) / np.maximum(self.high - self.low, 1e-30)
        step = ops.cast(values[..., None] >= self.low, "float32")
        return ops.where(self.high > self.low, ops.clip(through, 0.0, 1.0), step)


matrix = np.column_stack([numbers.to_numpy(), *waves()]).astype("float32")
lookups = [layers.StringLookup() for _ in CATEGORIES]
codes, offset, offsets = [], 0, []
for lookup, name in zip(lookups, CATEGORIES, strict=True):
    texts = frame[name].to_numpy(str)
    lookup.adapt(texts[train])
    codes.append(lookup(texts).numpy() + offset)
    offsets.append(offset)
    offset += lookup.vocabulary_size()
indices = np.column_stack(codes)

train_matrix = matrix[train]
mean, variance = np.nanmean(train_matrix, axis=0, dtype="float64"), np.nanvar(train_matrix, axis=0, dtype="float64")
bounds = np.nanquantile(train_matrix, np.linspace(0, 1, BINS + 1), axis=0).T.astype("float32")
numeric_inputs = keras.Input((matrix.shape[1],), name="numbers")
categories = keras.Input((len(CATEGORIES),), dtype="int64", name="categories")
missing = ops.cast(ops.isnan(numeric_inputs), "float32")
filled = ops.where(ops.isnan(numeric_inputs), mean.astype("float32"), numeric_inputs)
scaled = layers.Normalization(mean=mean, variance=variance)(filled)
far = ops.maximum(ops.abs(scaled) - 3.0, 0.0)
scaled = ops.sign(scaled) * (ops.minimum(ops.abs(scaled), 3.0) + ops.log1p(far))
curves = Curves(bounds)(filled) * (1.0 - missing[..., None])
shape = (matrix.shape[1], DIM)
vectors = layers.EinsumDense("bnt,ntd->bnd", shape, bias_axes="nd", activation="relu")(curves)
wide = layers.Dense(2)(layers.Concatenate()([scaled, missing, layers.Flatten()(curves)]))
wide_categories = ops.sum(layers.Embedding(VOCABULARY, 2, embeddings_initializer="zeros")(categories), axis=1)
embedded = layers.Flatten()(layers.Embedding(VOCABULARY, DIM)(categories))
x = layers.Concatenate()([scaled, missing, layers.Flatten()(vectors), embedded])
for units in (128, 64):
    x = layers.Dense(units, activation="relu")(layers.Dropout(0.3)(x))
deep = layers.Dense(2)(layers.Dropout(0.3)(x))
model = keras.Model([numeric_inputs, categories], layers.Softmax()(layers.Add()([wide, wide_categories, deep])))

lap("prepare")

steps = -(-len(train) // SETTINGS["batch_size"])
rate = keras.optimizers.schedules.CosineDecay(SETTINGS["learning_rate"], SETTINGS["epochs"] * steps)
model.compile(
    keras.optimizers.AdamW(rate, weight_decay=0.0),
    "sparse_categorical_crossentropy",
    metrics=["accuracy"],
    jit_compile=False,
)
model.fit(
    [matrix[train], indices[train]],
    labels[train],
    batch_size=SETTINGS["batch_size"],
    epochs=SETTINGS["epochs"],
    validation_data=([matrix[validation], indices[validation]], labels[validation]),
    callbacks=[keras.callbacks.EarlyStopping(patience=6, restore_best_weights=True)],
    verbose=0,
)
lap("train")
scores = {"network": model.predict([matrix[test], indices[test]], batch_size=4_096, verbose=0)}
lap("predict")


class Served(tf.Module):
    """The model with the lookup of its categories."""

    def __init__(self):
        super().__init__()
        self.model, self.lookups = model, lookups

    @tf.function(
        input_signature=[
            tf.TensorSpec((None, matrix.shape[1]), tf.float32, name="numbers"),
            tf.TensorSpec((None, len(CATEGORIES)), tf.string, name="categories"),
        ]
    )
    def predict(self, numbers, categories):
        codes = [lookup(categories[:, i]) + offsets[i] for i, lookup in enumerate(self.lookups)]
        return {"scores": self.model([numbers, tf.stack(codes, axis=1)])}


served = Served()
tf.saved_model.save(served, OUT / "model", signatures={"serving_default": served.predict})
lap("export")

# The reference models.
table = numbers.assign(day=day.astype("int64") / 86_400e9, hour=day.dt.hour, weekday=day.dt.weekday, month=day.dt.month)
decimals = list(table)
table[CATEGORIES] = frame[CATEGORIES]
scaled_numbers = make_pipeline(SimpleImputer(strategy="median", add_indicator=True), StandardScaler())
one_hot = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=5)
classical = {
    "majority": DummyClassifier(strategy="prior"),
    "always_second_class": DummyClassifier(strategy="constant", constant=1),
    "logistic_regression": make_pipeline(
        make_column_transformer((scaled_numbers, decimals), (one_hot, CATEGORIES)), LogisticRegression(max_iter=1_000)
    ),
    "hist_gradient_boosting": HistGradientBoostingClassifier(random_state=0, categorical_features="from_dtype"),
}
for name, estimator in classical.items():
    scores[name] = estimator.fit(table.iloc[train], labels[train]).predict_proba(table.iloc[test])
lap("classical")


# The metrics.
def calibration_error(confidences: np.ndarray, is_right: np.ndarray) -> float:
    """Returns the expected calibration error."""
    bins = np.minimum((confidences * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    gaps = np.bincount(bins, confidences - is_right, CALIBRATION_BINS)
    return float(np.abs(gaps).sum() / len(is_right))


true = labels[test]
metrics = {}
for name, values in scores.items():
    predicted = values.argmax(axis=1)
    metrics[name] = {
        "auc": roc_auc_score(true, values[:, 1]),
        "accuracy": accuracy_score(true, predicted),
        "f1": f1_score(true, predicted),
    }
values = scores["network"].astype("float64")
values /= values.sum(axis=1, keepdims=True)
metrics["network"] |= {
    "loss": log_loss(true, values),
    "expected_calibration_error": calibration_error(values.max(axis=1), values.argmax(axis=1) == true),
    "by_class": classification_report(true, values.argmax(axis=1), output_dict=True, zero_division=0.0),
}
lap("metrics")
seconds = {
    after[0]: {"wall": after[1] - before[1], "cpu": after[2] - before[2]} for before, after in itertools.pairwise(clock)
}
print(json.dumps({"metrics": metrics, "parameters": model.count_params(), "seconds": seconds}))
