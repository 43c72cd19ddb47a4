"""Weights and ids of rows from the data to the predictions: a weight of 2 counts as the row twice, 0 as no row."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import local
from data.checks.rows import RowChecks
from data.config import DataConfig
from data.spec import SPLITS

if TYPE_CHECKING:
    from models.training.job import TrainingJob

pytestmark = pytest.mark.slow  # loads TensorFlow

WEIGHTS = (2, 0, 1, 1)


def _rows(count: int, seed: int) -> list[str]:
    """Returns rows of size, place, kind, key and weight: a large size is mostly of kind yes."""
    generator = np.random.default_rng(seed)
    sizes = np.round(generator.normal(size=count), 3)
    kinds = np.where(sizes + generator.normal(size=count) > 0, "yes", "no")
    return [
        f"{size},{('north', 'south')[index % 2]},{kind},k{seed}-{index},{WEIGHTS[index // 2 % 4]}"
        for index, (size, kind) in enumerate(zip(sizes, kinds, strict=True))
    ]


def _repeated(rows: list[str]) -> list[str]:
    """Returns each row as often as its weight says, with a weight of 1."""
    return [",".join([*row.split(",")[:-1], "1"]) for row in rows for _ in range(int(row.split(",")[-1]))]


def _write(folder: Path, rows: dict[str, list[str]], **roles: str):
    """Writes the splits as ingest does; returns the data set's spec and the summary."""
    from components.example_gen import write_splits

    folder.mkdir()
    for split, lines in rows.items():
        (folder / f"{split}.csv").write_text("\n".join(["size,place,kind,key,w", *lines]) + "\n")
    unused = [name for name in ("key", "w") if name not in roles.values()]
    features = {"size": "number", "place": "category", "kind": {"kind": "label", "classes": ["no", "yes"]}}
    files = {split: f"{split}.csv" for split in rows}
    checks = {"duplicates": {"max_rate": 1}, "leakage": {"max_rate": 1}}
    config = DataConfig.model_validate(
        {"files": files, "features": features, "roles": roles, "ignore": unused, "checks": checks}
    )
    dataset = local.dataset(config, "made up", folder)
    row_checks = RowChecks(config.row_checks, dataset.spec)
    return dataset.spec, write_splits(dataset.sources["files"](None), dataset.spec, folder / "examples", row_checks)


@pytest.fixture(scope="module")
def rows() -> dict[str, list[str]]:
    return {split: _rows(64, seed) for seed, split in enumerate(SPLITS)}


def _evaluated(folder: Path, spec) -> tuple[dict, dict, Path]:
    """Returns values and intervals of the metrics by slice, and the folder of the predictions."""
    from components import predictions
    from components.evaluator import evaluate
    from models import registry
    from tests.components.test_predictions import save_model

    save_model(folder / "model")
    task = registry.task("tabular_classification")
    config = task.config(slice_by=("place",))
    out = folder / "evaluation"
    out.mkdir()
    columns = config.slice_columns(spec)
    predictions.write(out, str(folder / "model"), str(folder / "examples"), spec=spec, task=task, slice_by=columns)
    result = evaluate(out / "predictions", config, spec)
    return result.slices, result.intervals, out


def test_a_weight_counts_as_so_many_equal_rows_and_weights_of_one_as_none(rows, tmp_path):
    weighted, _ = _write(tmp_path / "a", rows, weight="w")
    repeated, _ = _write(tmp_path / "b", {split: _repeated(lines) for split, lines in rows.items()})
    ones = {split: [",".join([*row.split(",")[:-1], "1"]) for row in lines] for split, lines in rows.items()}
    all_ones, _ = _write(tmp_path / "c", ones, weight="w")
    alike, _ = _write(tmp_path / "d", ones)

    values, _, _ = _evaluated(tmp_path / "a", weighted)
    values_of_repeated, _, _ = _evaluated(tmp_path / "b", repeated)

    assert list(values) == ["overall", "kind=no", "kind=yes", "place=north", "place=south"]
    for name, metrics in values.items():
        counted = {metric: value for metric, value in metrics.items() if metric != "example_count"}
        assert len(counted) >= 3
        for metric, value in counted.items():
            assert value == pytest.approx(values_of_repeated[name][metric], rel=1e-12), (name, metric)
    assert values["overall"]["example_count"] == 64  # rows, not weights
    assert _evaluated(tmp_path / "c", all_ones)[:2] == _evaluated(tmp_path / "d", alike)[:2]


def test_ids_and_weights_are_in_predictions_and_mistakes(rows, tmp_path):
    import json

    spec, _ = _write(tmp_path / "a", rows, id="key", weight="w")

    _, _, out = _evaluated(tmp_path / "a", spec)

    stored = pq.read_table(out / "predictions")
    keys, weights = zip(*(row.split(",")[-2:] for row in rows["test"]), strict=True)
    assert stored["id"].to_pylist() == list(keys)
    assert stored["weight"].to_pylist() == [float(weight) for weight in weights]
    for mistake in json.loads((out / "mistakes.json").read_text()):
        assert mistake["id"] == keys[mistake["row"]]


def test_ids_and_weights_are_not_among_the_features_of_an_example(rows, tmp_path):
    import tensorflow as tf

    from components.example_gen import first_rows, read_ids, split_files
    from data.examples import parse

    spec, summary = _write(tmp_path / "a", rows, id="key", weight="w")

    (first,) = tf.data.TFRecordDataset(split_files(str(tmp_path / "a/examples"), "train")).take(1).as_numpy_iterator()
    assert sorted(parse(first)) == ["(weight)", "kind", "place", "size"]
    assert set(first_rows(str(tmp_path / "a/examples"), "train", spec, 1)[0]) == {"kind", "place", "size"}
    assert len(read_ids(str(tmp_path / "a/examples"))) == 64
    assert [facts["mean_weight"] for facts in summary.values()] == [1.0, 1.0, 1.0]


def test_reference_models_learn_and_are_measured_by_the_weights(rows, tmp_path):
    from components.classical import NO_WEIGHTS, fit, read_frame, read_weights, sample_rows
    from models import registry
    from models.tasks.recommendation.reference import _Ranker
    from models.tasks.reference import Candidate

    task = registry.task("tabular_classification")

    def trained(folder: Path, spec, candidate):
        weights = {split: read_weights(str(folder), split, spec) for split in ("train", "test")}
        kept = sample_rows([candidate], 64, 0, weights=weights["train"])
        frames = {"train": read_frame(str(folder), "train", spec, kept), "test": read_frame(str(folder), "test", spec)}
        if kept is not None:
            weights["train"] = weights["train"][kept]
        return fit(candidate, frames, spec, task.config().compared(spec), 0, weights)

    def by_name(spec, name):
        return task.classical(task.config(), spec)[name]

    weighted, _ = _write(tmp_path / "a", rows, weight="w")
    repeated, _ = _write(tmp_path / "b", {split: _repeated(lines) for split, lines in rows.items()})
    name = "majority"

    result, _ = trained(tmp_path / "a/examples", weighted, by_name(weighted, name))
    result_of_repeated, _ = trained(tmp_path / "b/examples", repeated, by_name(repeated, name))

    assert result["metrics"] == pytest.approx(result_of_repeated["metrics"], nan_ok=True)
    assert result["rows"] == 48  # those of weight 0 are left out
    for name in task.classical(task.config(), weighted):
        assert NO_WEIGHTS not in trained(tmp_path / "a/examples", weighted, by_name(weighted, name))[0]["features"]
    from components.classical import _weight_settings

    assert _weight_settings(Candidate(_Ranker("a", "b", 0), "").estimator, np.array([1.0, 2.0])) is None
    assert _weight_settings(by_name(weighted, "majority").estimator, np.array([3.0, 3.0])) == {}


def _weighted(job: "TrainingJob", folder: Path, weights: list[float] | None, price: float = 1000.0) -> "TrainingJob":
    """Returns the job on rows with these weights, over and over; `price` is the target of each third row."""
    from components.example_gen import write_splits
    from data.columnar.batches import of_rows
    from tests.models import tiny

    rows = {split: tiny.rows_of("tabular_regression", job.num_rows[split], 0) for split in SPLITS}
    for row in (row for split in SPLITS for row in rows[split][::3]):
        row["price"] = price
    spec = job.spec.model_copy(update={"weight_column": None if weights is None else "w"})
    batches = of_rows(((split, row) for split in SPLITS for row in rows[split]), spec)
    if weights is not None:
        batches = [replace(batch, weights=pa.array(np.resize(weights, len(batch)), pa.float32())) for batch in batches]
    summary = write_splits(batches, spec, folder)
    return replace(
        job,
        spec=spec,
        train_files=[str(folder / "Split-train/data-00000.tfrecord")],
        validation_files=[str(folder / "Split-validation/data-00000.tfrecord")],
        mean_weights={split: facts["mean_weight"] for split, facts in summary.items() if "mean_weight" in facts},
    )


def _history(job: "TrainingJob") -> dict[str, list[float]]:
    """Returns losses and metrics of training and validation split after each epoch, without an export."""
    import keras

    from models.training.input import keep_training_rows, training_batches, validation_batches
    from models.training.trainer import _compiled

    keras.utils.set_random_seed(job.seed)
    model, batches = _compiled(job, steps_per_epoch=3), training_batches(job, keep_training_rows(job))
    settings = {"epochs": 2, "steps_per_epoch": 3, "shuffle": False, "verbose": 0}
    return model.fit(batches, validation_data=validation_batches(job), **settings).history


def test_training_and_its_metrics_count_a_row_by_its_weight(tmp_path):
    """Targets of rows of weight 0 change nothing, and weights of another unit do not either."""
    from models.training.trainer import train
    from tests.models import tiny

    job = tiny.job(tmp_path, "tabular_regression", epochs=2)

    alike, ones = (_history(_weighted(job, tmp_path / name, weights)) for name, weights in (("n", None), ("o", [1])))
    ignoring = _history(_weighted(job, tmp_path / "a", [0, 1, 2]))
    other_unit_and_targets = train(_weighted(job, tmp_path / "b", [0, 4, 8], price=1400.0)).history

    assert ones == alike
    assert {name.removeprefix("val_") for name in ignoring} == {"loss", "standardized_mae"}
    assert ignoring == other_unit_and_targets
    assert ignoring != alike
