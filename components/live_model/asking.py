"""How the live version is asked about the candidate's test rows, and what the two come to."""

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf

from components.example_gen import split_files
from components.live_model.comparable import (
    LiveModel,
    absent,
    places,
    same_classes,
    takes_stored,
)
from data import examples as codec
from data import loading
from data.checks.rows import RowChecks
from data.config import DataConfig
from data.errors import DataError
from data.spec import BadRow, Dataset, DatasetSpec, LabelFeature, LocatedRow, Row, Stream
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
        candidate_examples: The same rows as the candidate takes them.
        saved_model: Folder of the live version, whose classes are the candidate's.
        asked: Which rows of the test split they are, bool `(rows,)`; None for all.
        lacking: Columns that the live version takes and goes without: the data has them no longer.
    """

    live_examples: str
    candidate_examples: str
    saved_model: str
    asked: np.ndarray | None = None
    lacking: tuple[str, ...] = ()

    @property
    def is_empty(self) -> bool:
        """Whether there is no row that both can be asked about."""
        return self.asked is not None and not self.asked.any()

    @property
    def is_as_stored(self) -> bool:
        """Whether both are asked about the examples as they are stored, all of them."""
        return self.live_examples == self.candidate_examples


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
        DataError: The data has changed since it was read.
    """
    has_same_classes = same_classes(live, spec)
    if has_same_classes and takes_stored(live, spec):  # the usual case: the data is not looked at again
        return Question(examples_uri, examples_uri, str(live.folder))
    mine = loading.load(source.config, source.name, source.base)
    gone = absent(live, mine)
    as_stored = takes_stored(live, spec, gone)
    if as_stored and has_same_classes:
        return Question(examples_uri, examples_uri, str(live.folder), lacking=gone)
    stored = _stored(examples_uri)
    rows: Iterator[bytes | None] = stored if as_stored else _read_again(live, mine, source, stored)
    asked = _write(rows, examples_uri, scratch, spec, _known(live, spec))
    saved_model = live.folder if has_same_classes else _with_classes_of(live, spec, task, scratch / "model")
    candidate_examples = examples_uri if asked is None else str(scratch / "candidate")
    return Question(str(scratch / "live"), candidate_examples, str(saved_model), asked, gone)


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
    """Writes the rows that both can be asked about, as each takes them; returns which those are, None for all."""
    (target,) = spec.targets()
    asked = []
    folders = [scratch / side / "Split-test" for side in ("live", "candidate")]
    for folder in folders:
        folder.mkdir(parents=True)
    live, candidate = (tf.io.TFRecordWriter(str(folder / "data-00000.tfrecord")) for folder in folders)
    with live, candidate:
        for row, stored in zip(rows, _stored(examples_uri), strict=True):
            asked.append(row is not None and (known is None or codec.decode(stored, spec)[target] in known))
            if asked[-1]:
                live.write(row)
                candidate.write(stored)
    return None if all(asked) else np.array(asked)


def _read_again(live: LiveModel, mine: Dataset, source: DataSource, stored: Iterator[bytes]) -> Iterator:
    """Yields each test row as the live version takes it, with the candidate's target; None where a cell does not do."""
    inputs, changed = live.inputs(), f"Data set {mine.spec.name} has changed since this run read it; run again."
    if mine.digest() != source.digest:
        raise DataError(changed)
    facts = live.spec.model_copy(update={"features": inputs})
    try:
        for serialized, other in zip(stored, _test_rows(live, mine, source), strict=True):
            if isinstance(other, BadRow):
                yield None
                continue
            example = tf.train.Example.FromString(serialized)
            for name in inputs:
                example.features.feature.pop(name, None)
            example.MergeFromString(codec.encode(other, facts))
            yield example.SerializeToString(deterministic=True)
    except ValueError as error:
        raise DataError(changed) from error


def _test_rows(live: LiveModel, mine: Dataset, source: DataSource) -> Iterator[Row | BadRow]:
    """Yields the rows of the test split as ingest keeps them, read for the live version's inputs as it was told to."""
    gone = absent(live, mine)
    features = {name: feature for name, feature in live.inputs().items() if name not in gone}
    features |= {name: mine.spec.features[name] for name in mine.spec.targets()}
    there = {*source.config.ignore, *mine.spec.features, *(mine.columns() if mine.columns else ())}
    missing = live.manifest.get("data", {}).get("missing_values", mine.missing_values)
    unused = tuple(sorted(there - features.keys()))
    update = {"features": features, "label": None, "ignore": unused, "missing_values": tuple(missing)}
    other = loading.load(source.config.model_copy(update=update), source.name, source.base)
    both = dataclasses.replace(mine, sources={"files": lambda _: _beside(mine, other)})
    watcher = RowChecks(source.config.row_checks, mine.spec)
    own_files = isinstance(source.config.files, dict) and "test" in source.config.files
    for split, row in watcher.watch(loading.open_rows(both, source.config)):
        if split == "test" and isinstance(row, _Pair):
            yield row.other
        elif own_files:
            return  # files of the test split are read first


class _Pair(LocatedRow):
    """A row that has the same row of the file with it, read for other features."""

    def __init__(self, row: LocatedRow, other: Row | BadRow):
        super().__init__(row, row.where)
        self.other = other


def _beside(mine: Dataset, other: Dataset) -> Stream:
    for (split, row), (_, again) in zip(*(one.sources["files"](None) for one in (mine, other)), strict=True):
        yield split, row if isinstance(row, BadRow) else _Pair(row, again)


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
