"""How the live version is asked about the candidate's test rows, and what the two come to."""

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
    absent,
    places,
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
    """What candidate and live version are both asked.

    Attributes:
        live_examples: Folder with `Split-test`: the rows as the live version takes them, targets as the candidate's.
        saved_model: Folder of the live version, whose classes are the candidate's.
        is_as_stored: Whether it is asked about the examples as they are stored for the candidate, all of them.
        asked: Which rows of the test split they are, bool `(rows,)`; None for all.
        lacking: Columns that the live version takes and goes without: the data has them no longer.
    """

    live_examples: str
    saved_model: str
    is_as_stored: bool
    asked: np.ndarray | None = None
    lacking: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no row that both can be asked about."""
        return self.asked is not None and not self.asked.any()


def question(
    live: LiveModel, source: DataSource, examples_uri: str, spec: DatasetSpec, task: Task, scratch: Path
) -> Question:
    """Returns what both are asked: the live version through its own inputs, about rows whose class it knows.

    A column that the candidate does without, or takes in another form, is read again where the data lies. Of a class
    that is the candidate's alone, and of cells that the live version cannot take, there is nothing to compare.

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
    mine = loading.load(source.config, source.name, source.base)
    gone = absent(live, mine)
    as_stored = takes_stored(live, spec, gone)
    if as_stored and has_same_classes:
        return Question(examples_uri, str(live.folder), is_as_stored=True, lacking=gone)
    rows: Iterator[bytes | None] = _stored(examples_uri) if as_stored else _read_again(live, mine, source, examples_uri)
    asked = _write(rows, examples_uri, scratch, spec, _known(live, spec))
    saved_model = live.folder if has_same_classes else _with_classes_of(live, spec, task, scratch / "model")
    return Question(str(scratch), str(saved_model), False, asked, gone)


def _stored(examples_uri: str) -> Iterator[bytes]:
    yield from tf.data.TFRecordDataset(split_files(examples_uri, "test")).as_numpy_iterator()


def _known(live: LiveModel, spec: DatasetSpec) -> set[int] | None:
    """Returns the candidate's classes that the live version knows; None where there are none to know."""
    if not spec.of(LabelFeature):
        return None
    return {index for index, place in enumerate(places(live, spec)) if place >= 0}


def _write(
    rows: Iterator[bytes | None], examples_uri: str, scratch: Path, spec: DatasetSpec, known: set[int] | None
) -> np.ndarray | None:
    """Writes the rows that both can be asked about, as the live version takes them; returns which, None for all."""
    (target,) = spec.targets()
    asked = []
    folder = scratch / "Split-test"
    folder.mkdir(parents=True)
    with tf.io.TFRecordWriter(str(folder / "data-00000.tfrecord")) as live:
        for row, stored in zip(rows, _stored(examples_uri), strict=True):
            asked.append(row is not None and (known is None or codec.decode(stored, spec)[target] in known))
            if asked[-1]:
                live.write(row)
    return None if all(asked) else np.array(asked)


def _read_again(live: LiveModel, mine: Dataset, source: DataSource, examples_uri: str) -> Iterator[bytes | None]:
    """Yields each test row as the live version takes it, with the candidate's target; None where a cell does not do."""
    inputs, changed = live.inputs(), f"Data set {mine.spec.name} has changed since this run read it; run again."
    if mine.digest() != source.digest:
        raise DataError(changed)
    rows = _test_rows(live, mine, source, examples_uri)
    for serialized, other in zip(_stored(examples_uri), rows, strict=True):
        if other is None:
            yield None
            continue
        example = tf.train.Example.FromString(serialized)
        for name in inputs:
            example.features.feature.pop(name, None)
        example.MergeFromString(other)
        yield example.SerializeToString(deterministic=True)


def _test_rows(live: LiveModel, mine: Dataset, source: DataSource, examples_uri: str) -> Iterator[bytes | None]:
    """Yields the inputs of the live version for each row of the test split, read where it stands; None for unusable.

    Raises:
        DataError: More rows are not where ingest found them than cannot be used.
    """
    gone = absent(live, mine)
    features = {name: feature for name, feature in live.inputs().items() if name not in gone}
    read_by = mine.read_by(source.config)
    there = {*read_by.ignore, *mine.spec.features, *(mine.columns() if mine.columns else ())}
    missing = live.manifest.get("data", {}).get("missing_values", read_by.missing_values)
    targets = {name: mine.spec.features[name] for name in mine.spec.targets()}
    update = {
        "features": features | targets,
        "ignore": tuple(sorted(there - features.keys() - targets.keys())),
        "missing_values": tuple(missing),
        "train_share": 1.0,
    }
    config = read_by.model_copy(update=update)
    other = loading.load(config, source.name, source.base, plan={})  # where each row stands, not in which split
    wanted = read_row_ids(examples_uri)
    unusable, lacking = Counter[str](), 0
    found = _inputs_at(set(wanted), loading.open_batches(other, config), unusable)
    row_id, inputs = next(found, (None, b""))
    for one in wanted:
        if row_id != one:
            lacking += 1
            yield None
            continue
        yield inputs
        row_id, inputs = next(found, (None, b""))
    for _ in found:  # so that all that cannot be used are counted
        pass
    check_unchanged(other, source.digest)
    if lacking > unusable.total():
        raise DataError(
            f"{lacking - unusable.total():,} of {len(wanted):,} test rows of data set {mine.spec.name} are not where "
            f"ingest found them, though the data is unchanged: version {live.version}, which is live, cannot be asked "
            f"about them; {REMEDY}."
        )


def _inputs_at(wanted: set[RowId], found: Batches, unusable: Counter[str]) -> Iterator[tuple[RowId, bytes]]:
    """Yields the wanted rows in the order in which they are read, each with its serialized inputs; counts by split the
    rows that cannot be used.
    """
    for batch in found:
        unusable.update(split for split, _ in batch.problems)
        for row, row_id in enumerate(batch.row_ids()):
            if row_id in wanted:
                yield row_id, batch.inputs[row].as_py()


def _with_classes_of(live: LiveModel, spec: DatasetSpec, task: Task, folder: Path) -> Path:
    """Writes the live version as a SavedModel that answers with the candidate's classes, in their order.

    A class that it does not know has probability 0; those that only it knows are left out, so that what it finds
    likeliest is among the classes of both.
    """
    loaded = tf.saved_model.load(str(live.folder))
    count = sum(len(label.classes) for label in live.spec.of(LabelFeature).values())
    columns = [place if place >= 0 else count for place in places(live, spec)]  # `count` is the one that is added
    module = tf.Module()
    module.live = loaded  # so that its variables and vocabularies are saved with it

    @tf.function(input_signature=[tf.TensorSpec((None,), tf.string, name="inputs")])
    def serving_default(inputs):
        scores = module.live.signatures["serving_default"](inputs=inputs)[task.prediction_key]
        padded = tf.pad(scores, [[0, 0], [0, 1]])
        return {task.prediction_key: tf.gather(padded, columns, axis=1)}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": serving_default})
    return folder
