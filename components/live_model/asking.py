"""How the live version is asked about the candidate's test rows."""

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
    """Where the candidate's rows were read.

    Attributes:
        config: Section `data` of the run file.
        name: The pipeline's.
        base: Where relative paths of data start.
        digest: Of the content, when it was read.
    """

    config: DataConfig
    name: str
    base: Path
    digest: str


@dataclass(frozen=True)
class Question:
    """The test rows that candidate and live version are both asked about.

    Attributes:
        live_examples: Folder with `Split-test`: the rows as the live version takes them, targets as the candidate's.
        saved_model: Folder of the live version, whose classes are the candidate's.
        is_as_stored: Whether it is asked about the examples as they are stored for the candidate, all of them.
        row_mask: Which rows of the test split they are, bool `(rows,)`; None for all.
        missing_columns: Columns that the live version takes and goes without: the data has them no longer.
    """

    live_examples: str
    saved_model: str
    is_as_stored: bool
    row_mask: np.ndarray | None = None
    missing_columns: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no row that both can be asked about."""
        return self.row_mask is not None and not self.row_mask.any()


def question(
    live: LiveModel, source: DataSource, *, examples_uri: str, spec: DatasetSpec, task: Task, scratch: Path
) -> Question:
    """Returns what both are asked: the live version through its own inputs, about rows whose class it knows.

    A column that the candidate does without, or takes as another type, is read again from the data. Rows of a class
    that is the candidate's alone, and rows with cells that the live version cannot take, are left out.

    Args:
        live: The live version.
        source: Where the candidate's rows were read.
        examples_uri: Folder of its examples.
        spec: Its data set's facts.
        task: The task of both.
        scratch: A folder for what has to be written anew.

    Raises:
        DataError: The data has changed since it was read, or rows do not stand where ingest found them.
    """
    has_same_classes = same_classes(live, spec)
    if has_same_classes and takes_stored(live, spec):  # the usual case: the data is not looked at again
        return Question(examples_uri, str(live.folder), is_as_stored=True)
    dataset = loading.load(source.config, source.name, source.base)
    missing = missing_inputs(live, dataset)
    as_stored = takes_stored(live, spec, missing)
    if as_stored and has_same_classes:
        return Question(examples_uri, str(live.folder), is_as_stored=True, missing_columns=missing)
    rows: Iterator[bytes | None] = (
        _stored(examples_uri) if as_stored else _read_again(live, dataset, source, examples_uri)
    )
    row_mask = _write(_of_known_classes(rows, live, spec, examples_uri), scratch / "Split-test")
    saved_model = live.folder if has_same_classes else _with_classes_of(live, spec, task, scratch / "model")
    return Question(
        live_examples=str(scratch),
        saved_model=str(saved_model),
        is_as_stored=False,
        row_mask=None if row_mask.all() else row_mask,
        missing_columns=missing,
    )


def _stored(examples_uri: str) -> Iterator[bytes]:
    yield from tf.data.TFRecordDataset(split_files(examples_uri, "test")).as_numpy_iterator()


def _of_known_classes(
    rows: Iterator[bytes | None], live: LiveModel, spec: DatasetSpec, examples_uri: str
) -> Iterator[bytes | None]:
    """Yields each test row; None in place of one whose class the live version does not know."""
    (target,) = spec.targets()
    known = {index for index, live_index in enumerate(live_class_indices(live, spec)) if live_index >= 0}
    for row, stored in zip(rows, _stored(examples_uri), strict=True):
        has_known_class = not spec.of(LabelFeature) or codec.decode(stored, spec)[target] in known
        yield row if has_known_class else None


def _write(rows: Iterator[bytes | None], folder: Path) -> np.ndarray:
    """Writes rows into a folder, but for those that are None; returns which were written, bool `(rows,)`."""
    folder.mkdir(parents=True)
    mask = []
    with tf.io.TFRecordWriter(str(folder / "data-00000.tfrecord")) as writer:
        for row in rows:
            mask.append(row is not None)
            if row is not None:
                writer.write(row)
    return np.array(mask, bool)


def _read_again(live: LiveModel, dataset: Dataset, source: DataSource, examples_uri: str) -> Iterator[bytes | None]:
    """Yields each test row as the live version takes it, with the candidate's target; None where a cell does not do."""
    if dataset.digest() != source.digest:
        raise DataError(f"Data set {dataset.spec.name} has changed since this run read it; run again.")
    names, rows = live.inputs().keys(), _test_rows(live, dataset, source, examples_uri)
    for serialized, live_inputs in zip(_stored(examples_uri), rows, strict=True):
        if live_inputs is None:
            yield None
            continue
        example = tf.train.Example.FromString(serialized)
        for name in names:
            example.features.feature.pop(name, None)
        example.MergeFromString(live_inputs)
        yield example.SerializeToString(deterministic=True)


def _test_rows(live: LiveModel, dataset: Dataset, source: DataSource, examples_uri: str) -> Iterator[bytes | None]:
    """Yields the inputs of the live version for each row of the test split, read at its row id; None for unusable.

    Raises:
        DataError: The data changes meanwhile, or more rows are not where ingest found them than cannot be used.
    """
    config = _config_of_live(live, dataset, source)
    read_again = loading.load(config, source.name, source.base, plan={})  # all rows, whatever their split
    row_ids = read_row_ids(examples_uri)
    unusable, num_missing = Counter[str](), 0
    rows = _inputs_at(set(row_ids), loading.open_batches(read_again, config), unusable)
    read_id, inputs = next(rows, (None, b""))
    for row_id in row_ids:
        if read_id != row_id:
            num_missing += 1
            yield None
            continue
        yield inputs
        read_id, inputs = next(rows, (None, b""))
    for _ in rows:  # so that all that cannot be used are counted
        pass
    check_unchanged(read_again, source.digest)
    if num_missing > unusable.total():
        raise DataError(
            f"{num_missing - unusable.total():,} of {len(row_ids):,} test rows of data set {dataset.spec.name} are not "
            f"where ingest found them, though the data is unchanged: version {live.version}, which is live, cannot be "
            f"asked about them; {REMEDY}."
        )


def _config_of_live(live: LiveModel, dataset: Dataset, source: DataSource) -> DataConfig:
    """Returns how the data is read for the live version: its inputs beside the candidate's targets."""
    missing = missing_inputs(live, dataset)
    features = {name: feature for name, feature in live.inputs().items() if name not in missing}
    features |= {name: dataset.spec.features[name] for name in dataset.spec.targets()}
    read_by = dataset.read_by(source.config)
    columns = {*read_by.ignore, *dataset.spec.features, *(dataset.columns() if dataset.columns else ())}
    update = {
        "features": features,
        "ignore": tuple(sorted(columns - features.keys())),
        "missing_values": tuple(live.manifest.get("data", {}).get("missing_values", read_by.missing_values)),
        "train_share": 1.0,
    }
    return read_by.model_copy(update=update)


def _inputs_at(row_ids: set[RowId], batches: Batches, unusable: Counter[str]) -> Iterator[tuple[RowId, bytes]]:
    """Yields the rows with these ids in the order in which they are read, each with its serialized inputs; counts by
    split the rows that cannot be used.
    """
    for batch in batches:
        unusable.update(split for split, _ in batch.problems)
        for row, row_id in enumerate(batch.row_ids()):
            if row_id in row_ids:
                yield row_id, batch.inputs[row].as_py()


def _with_classes_of(live: LiveModel, spec: DatasetSpec, task: Task, folder: Path) -> Path:
    """Writes the live version as a SavedModel that answers with the candidate's classes, in their order.

    A class that it does not know has probability 0; those that only it knows are left out, so that what it finds
    likeliest is among the classes of both.
    """
    loaded = tf.saved_model.load(str(live.folder))
    count = sum(len(label.classes) for label in live.spec.of(LabelFeature).values())
    columns = [
        index if index >= 0 else count  # `count` is the one that is added
        for index in live_class_indices(live, spec)
    ]
    module = tf.Module()
    module.live = loaded  # so that its variables and vocabularies are saved with it

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        scores = module.live.signatures["serving_default"](inputs=inputs)[task.prediction_key]
        padded = tf.pad(scores, [[0, 0], [0, 1]])
        return {task.prediction_key: tf.gather(padded, columns, axis=1)}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": serving_default})
    return folder
