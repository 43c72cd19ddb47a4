"""The candidate's test rows as inputs of the live version."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.example_gen import check_unchanged, read_row_ids, split_files
from components.live_model.comparable import (
    REMEDY,
    LiveModel,
    live_class_indices,
    missing_inputs,
    same_classes,
    takes_stored,
)
from data import examples as codec
from data import loading
from data.columnar.batches import Batches, RowId
from data.config import DataConfig
from data.errors import DataError
from data.spec import Dataset, DatasetSpec, LabelFeature
from models.task import Task


@dataclass(frozen=True)
class DataSource:
    """Data from which the candidate's rows were read.

    Attributes:
        config: Section `data` of the run file.
        name: Name of the pipeline.
        base: Folder to which paths of the data are relative.
        digest: Digest of the content that was read.
    """

    config: DataConfig
    name: str
    base: Path
    digest: str


@dataclass(frozen=True)
class SharedRows:
    """The test rows that both candidate and live version can predict.

    Attributes:
        live_examples: Folder with `Split-test`: the rows with the live version's inputs and the candidate's targets.
        saved_model: Folder of the live version as a SavedModel with the candidate's classes.
        is_as_stored: Whether the live version predicts all of the candidate's examples, as they are stored.
        row_mask: Mask of these rows in the test split, bool `(rows,)`; None for all.
        missing_columns: Optional inputs of the live version that the data has no longer.
    """

    live_examples: str
    saved_model: str
    is_as_stored: bool
    row_mask: np.ndarray | None = None
    missing_columns: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no such row."""
        return self.row_mask is not None and not self.row_mask.any()


def prepare_shared_rows(
    live: LiveModel, source: DataSource, *, examples_uri: str, spec: DatasetSpec, task: Task, scratch: Path
) -> SharedRows:
    """Returns the test rows that both models can predict, with the live version's own inputs.

    If the candidate lacks an input of the live version, or has it with another type, the inputs are read from the data
    again. Rows are left out whose class only the candidate has, or with cells that the live version cannot read.

    Args:
        live: The live version.
        source: Data from which the candidate's rows were read.
        examples_uri: Folder of the candidate's examples.
        spec: Features of the candidate's data set.
        task: The task of both.
        scratch: A folder for examples and a model that have to be written.

    Raises:
        DataError: The data has changed since it was read, or rows are not where ingest found them.
    """
    has_same_classes = same_classes(live, spec)
    if has_same_classes and takes_stored(live, spec):  # the usual case, which does not read the data again
        return SharedRows(examples_uri, str(live.folder), is_as_stored=True)
    dataset = loading.load(source.config, source.name, source.base)
    missing = missing_inputs(live, dataset)
    can_use_stored = takes_stored(live, spec, missing)
    if can_use_stored and has_same_classes:
        return SharedRows(examples_uri, str(live.folder), is_as_stored=True, missing_columns=missing)
    rows: Iterator[bytes | None] = (
        _stored_examples(examples_uri) if can_use_stored else _live_examples(live, dataset, source, examples_uri)
    )
    row_mask = _write(_filter_known_classes(rows, live, spec, examples_uri), scratch / "Split-test")
    saved_model = live.folder if has_same_classes else _write_model_with_classes(live, spec, task, scratch / "model")
    return SharedRows(
        live_examples=str(scratch),
        saved_model=str(saved_model),
        is_as_stored=False,
        row_mask=None if row_mask.all() else row_mask,
        missing_columns=missing,
    )


def _stored_examples(examples_uri: str) -> Iterator[bytes]:
    """Yields the serialized examples of the test split."""
    yield from tf.data.TFRecordDataset(split_files(examples_uri, "test")).as_numpy_iterator()


def _filter_known_classes(
    rows: Iterator[bytes | None], live: LiveModel, spec: DatasetSpec, examples_uri: str
) -> Iterator[bytes | None]:
    """Yields each test row; None in place of one whose class the live version does not know."""
    (target,) = spec.targets()
    known_classes = {index for index, live_index in enumerate(live_class_indices(live, spec)) if live_index >= 0}
    for row, serialized in zip(rows, _stored_examples(examples_uri), strict=True):
        has_known_class = not spec.of(LabelFeature) or codec.decode(serialized, spec)[target] in known_classes
        yield row if has_known_class else None


def _write(rows: Iterator[bytes | None], folder: Path) -> np.ndarray:
    """Writes rows into a folder, except None; returns the mask of the written rows, bool `(rows,)`."""
    folder.mkdir(parents=True)
    mask = []
    with tf.io.TFRecordWriter(str(folder / "data-00000.tfrecord")) as writer:
        for row in rows:
            mask.append(row is not None)
            if row is not None:
                writer.write(row)
    return np.array(mask, bool)


def _live_examples(live: LiveModel, dataset: Dataset, source: DataSource, examples_uri: str) -> Iterator[bytes | None]:
    """Yields each test row as a serialized example with the live version's inputs; None for a row it cannot read.

    The target is the candidate's.
    """
    if dataset.digest() != source.digest:
        raise DataError(f"Data set {dataset.spec.name} has changed since this run read it; run again.")
    names, inputs_of_rows = live.inputs().keys(), _live_inputs(live, dataset, source, examples_uri)
    for serialized, live_inputs in zip(_stored_examples(examples_uri), inputs_of_rows, strict=True):
        if live_inputs is None:
            yield None
            continue
        example = tf.train.Example.FromString(serialized)
        for name in names:
            example.features.feature.pop(name, None)
        example.MergeFromString(live_inputs)
        yield example.SerializeToString(deterministic=True)


def _live_inputs(live: LiveModel, dataset: Dataset, source: DataSource, examples_uri: str) -> Iterator[bytes | None]:
    """Yields the serialized inputs of the live version for each test row, found by its id; None for an unusable row.

    Raises:
        DataError: The data changes while it is read, or the missing rows are more than the unusable ones.
    """
    config = _config_of_live(live, dataset, source)
    all_rows = loading.load(config, source.name, source.base, plan={})  # of every split
    row_ids = read_row_ids(examples_uri)
    unusable, num_missing = Counter[str](), 0
    rows = _inputs_at(set(row_ids), loading.open_batches(all_rows, config), unusable)
    read_id, inputs = next(rows, (None, b""))
    for row_id in row_ids:
        if read_id != row_id:
            num_missing += 1
            yield None
            continue
        yield inputs
        read_id, inputs = next(rows, (None, b""))
    for _ in rows:  # reads the rest, so that all unusable rows are counted
        pass
    check_unchanged(all_rows, source.digest)
    if num_missing > unusable.total():
        raise DataError(
            f"{num_missing - unusable.total():,} of {len(row_ids):,} test rows of data set {dataset.spec.name} are not "
            f"where ingest found them, though the data is unchanged: version {live.version}, which is live, cannot be "
            f"compared on them; {REMEDY}."
        )


def _config_of_live(live: LiveModel, dataset: Dataset, source: DataSource) -> DataConfig:
    """Returns the settings that read the data for the live version: its inputs, and the candidate's targets."""
    missing = missing_inputs(live, dataset)
    features = {name: feature for name, feature in live.inputs().items() if name not in missing}
    features |= {name: dataset.spec.features[name] for name in dataset.spec.targets()}
    config = dataset.read_by(source.config)
    columns = {*config.ignore, *dataset.spec.features, *(dataset.columns() if dataset.columns else ())}
    update = {
        "features": features,
        "ignore": tuple(sorted(columns - features.keys())),
        "missing_values": tuple(live.manifest.get("data", {}).get("missing_values", config.missing_values)),
        "train_share": 1.0,
        # The live version may have learned from a column that is one of these now.
        "roles": config.roles.model_copy(update={"id": None, "weight": None}),
    }
    return config.model_copy(update=update)


def _inputs_at(row_ids: set[RowId], batches: Batches, unusable: Counter[str]) -> Iterator[tuple[RowId, bytes]]:
    """Yields id and serialized inputs of the rows with these ids, in the order in which they are read.

    Adds the rows that cannot be used to `unusable`, by split.
    """
    for batch in batches:
        unusable.update(split for split, _ in batch.problems)
        for row, row_id in enumerate(batch.row_ids()):
            if row_id in row_ids:
                yield row_id, batch.inputs[row].as_py()


def _write_model_with_classes(live: LiveModel, spec: DatasetSpec, task: Task, folder: Path) -> Path:
    """Writes the live version as a SavedModel with the candidate's classes, in their order; returns its folder.

    A class that the live version does not know has probability 0. Classes that only the live version knows are left
    out, so that its most probable class is one of both models.
    """
    live_model = tf.saved_model.load(str(live.folder))
    num_classes = sum(len(label.classes) for label in live.spec.of(LabelFeature).values())
    columns = [
        index if index >= 0 else num_classes  # the index of the added column of zeros
        for index in live_class_indices(live, spec)
    ]
    module = tf.Module()
    module.live = live_model  # so that its variables and vocabularies are saved with it

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        scores = module.live.signatures["serving_default"](inputs=inputs)[task.prediction_key]
        padded = tf.pad(scores, [[0, 0], [0, 1]])
        return {task.prediction_key: tf.gather(padded, columns, axis=1)}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": serving_default})
    return folder
