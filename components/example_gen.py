"""Ingest: a data set becomes TFRecord files of tf.train.Examples, one folder a split."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
import xxhash
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples
from threadpoolctl import threadpool_limits

from components.artifact_files import GROUPS, PICTURE_FILES, ROW_IDS, SPLIT_RULE, SUMMARY
from data import examples as codec
from data import loading, pictures
from data.checks.rows import RowChecks
from data.columnar import batches, encoding
from data.columnar.batches import SPLIT_INDEX, Batch, RowId
from data.config import DataConfig
from data.errors import DataError
from data.spec import SPLITS, Dataset, DatasetSpec, LabelFeature, LocatedRow, Row
from models import progress

# So that Beam has several files to give to several workers: it does not split one.
SHARD_BYTES = 8 * 2**20
# How many files of pictures are kept for the serving check, which sends them in one request.
ORIGINALS, ORIGINALS_OF_A_KIND, ORIGINAL_BYTES = 8, 2, 16 * 2**20


@component
def DatasetExampleGen(
    examples: OutputArtifact[Examples],
    data: Parameter[str],
    name: Parameter[str],
    base: Parameter[str],
    digest: Parameter[str],
    split_plan: Parameter[str],
    fingerprint: Parameter[str],
):
    """Writes every split of a run file's data.

    `data` is that section as JSON, `name` the pipeline's, `base` the run file's folder; `digest` stands for the
    content in the cache key. `split_plan` is what of the splits follows from all rows and from the live version, as
    JSON.
    """
    config = DataConfig.model_validate_json(data)
    plan = json.loads(split_plan)
    found = loading.load(config, name, Path(base), plan)
    watcher = RowChecks(config.row_checks, found.spec, config.cut_shares, config.group or "")
    # On matrices as small as those that resize a picture BLAS waits for its own threads: reading 300 JPEGs of 640x480
    # takes 8 s by two on two busy cores, 2.5 by one.
    with threadpool_limits(1, user_api="blas"):
        rows = loading.open_batches(found, config)
        summary = write_splits(rows, found.spec, Path(examples.uri), watcher)
    check_unchanged(found, digest)
    SUMMARY.path(examples.uri).write_text(json.dumps(summary, indent=1))
    SPLIT_RULE.path(examples.uri).write_text(json.dumps({"rule": found.rule(), "plan": plan}, indent=1))
    counts = [f"{values['rows']:,} {split}" for split, values in summary.items()]
    told = [f"{found.spec.name}: {', '.join(counts)}", *found.notes()]
    progress.report(summary="; ".join([*told, *watcher.notes]), short="; ".join([*told, *watcher.brief_notes]))
    examples.split_names = json.dumps(list(SPLITS))
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")


def check_unchanged(dataset: Dataset, digest: str) -> None:
    """Raises DataError where data that was read by now is no longer what its digest was made of.

    Else it would be stored and published under the digest of what is gone. Files are told by size, time and inode.
    """
    if dataset.last_digest() != digest:
        raise DataError(f"Data set {dataset.spec.name} was changed while it was read; run again.")


def write_splits(
    found: Iterable[Batch], spec: DatasetSpec, folder: Path, checks: RowChecks | None = None
) -> dict[str, dict]:
    """Writes rows below `folder`, each into its split, without those that the checks drop.

    Returns for each split its number of `rows`, its `digest` and its `classes`: label -> rows of each class, in order.

    Of the test split, too, where each row stands, which rows belong together, where they say so, and the files of some
    pictures: see `read_row_ids`, `read_groups` and `read_originals`.

    Args:
        found: The rows.
        spec: What they hold.
        folder: Receives `Split-<name>/data-00000.tfrecord` and so on.
        checks: Sees all rows, and judges them when they are written; None for no checks.

    Raises:
        DataError: The rows are not fit to be trained on.
    """
    writers = {split: _SplitWriter(folder / f"Split-{split}", spec) for split in SPLITS}
    of_test, originals = _TestRows(), _Originals(spec)
    total = sum(spec.num_rows.values()) if spec.num_rows else 0
    rows = 0
    for batch in found:
        if checks:
            checks.add(batch)
        targets = encoding.encode(batch.columns, spec.targets())
        serialized = pc.binary_join_element_wise(batch.inputs, targets, b"")  # of messages the joined bytes are both
        for split, place in SPLIT_INDEX.items():
            chosen = np.flatnonzero(batch.splits == place)
            if not len(chosen):
                continue
            some = batch if len(chosen) == len(batch) else batch.take(chosen)
            writers[split].add(some, serialized if some is batch else serialized.take(pa.array(chosen)))
            if split == "test":
                of_test.add(some)
                originals.add(some)
        rows += len(batch)
        progress.report(rows=rows, **({"of": total} if total else {"share": batch.share}))
    for writer in writers.values():
        writer.close()
    dropped = {}
    if checks:
        checks.judge()
        dropped = checks.dropped()
    for split, mask in dropped.items():
        writers[split].drop(mask)
    of_test.write(folder, dropped.get("test"))
    originals.write(PICTURE_FILES.path(folder))
    return {split: writer.summary() for split, writer in writers.items()}


class _TestRows:
    """Where the rows of the test split stand, and which of them belong together."""

    def __init__(self):
        self._any = False
        self._files: dict[str, int] = {}
        self._groups: dict[str | int, int] = {}
        self._places: list[tuple[int, int]] = []
        self._of_groups: list[int] = []

    def add(self, batch: Batch) -> None:
        ids = batch.row_ids()
        self._places += [(self._files.setdefault(file, len(self._files)), number) for file, number in ids]
        groups = [None] * len(batch) if batch.groups is None else batch.groups.to_pylist()
        self._any = self._any or any(group is not None for group in groups)
        for group in groups:
            key = len(self._of_groups) if group is None else group  # a row without a group is one of its own
            self._of_groups.append(self._groups.setdefault(key, len(self._groups)))

    def write(self, folder: Path, dropped: np.ndarray | None) -> None:
        """Writes where the rows stand, and the groups where a row has one."""
        kept = slice(None) if dropped is None else ~dropped
        places = np.array(self._places, np.int64).reshape(-1, 2)[kept]
        np.savez(ROW_IDS.path(folder), files=np.array(list(self._files), str), places=places)
        if self._any:
            np.save(GROUPS.path(folder), np.array(self._of_groups, np.int32)[kept])


class _Originals:
    """Keeps some rows whose pictures came as files that a served model takes: of each kind of file the first ones."""

    def __init__(self, spec: DatasetSpec):
        self._spec = spec
        self._of_kind: Counter[str] = Counter()
        self._serialized: list[bytes] = []
        self._room = ORIGINAL_BYTES

    def add(self, batch: Batch) -> None:
        if not batch.files or len(self._serialized) == 2 * ORIGINALS:
            return
        for _, row in batches.rows([batch], self._spec):
            if isinstance(row, LocatedRow):
                self._add(row)

    def _add(self, row: LocatedRow) -> None:
        files = row.files
        size = sum(map(len, files.values()))
        if len(self._serialized) == 2 * ORIGINALS or not files or size > self._room:
            return
        if not all(pictures.format_of(content) in pictures.SERVED for content in files.values()):
            return
        kind = " ".join(pictures.kind_of(content, row[name].shape) for name, content in files.items())
        self._of_kind[kind] += 1
        if self._of_kind[kind] <= ORIGINALS_OF_A_KIND:
            self._room -= size
            self._serialized += [codec.encode(row, self._spec), codec.encode({**row, **files}, self._spec)]

    def write(self, path: Path) -> None:
        """Writes each row as it is stored, and then with the files in place of the pixels; nothing without files."""
        if self._serialized:
            with tf.io.TFRecordWriter(str(path)) as writer:
                for serialized in self._serialized:
                    writer.write(serialized)


class _SplitWriter:
    """Writes the TFRecord files of one split.

    Uncompressed: reading back gzip costs more than the disk it saves on images of raw bytes.
    """

    def __init__(self, folder: Path, spec: DatasetSpec):
        folder.mkdir(parents=True)
        self._folder, self._size, self._files = folder, 0, 0
        self._num_classes = {name: len(label.classes) for name, label in spec.of(LabelFeature).items()}
        self._labels: dict[str, list[np.ndarray]] = {name: [] for name in self._num_classes}
        # Of the bytes of all rows, and of their lengths: together they say where each row ends.
        self._digest, self._lengths, self._rows = xxhash.xxh3_128(), xxhash.xxh3_128(), 0
        self._writer: tf.io.TFRecordWriter | None = None

    def add(self, batch: Batch, serialized: pa.Array) -> None:
        """Writes rows, each with its serialized tf.train.Example."""
        self._write(serialized)
        for name, found in self._labels.items():
            found.append(batch.columns.column(name).to_numpy().astype(np.int32))

    def _write(self, serialized: pa.Array) -> None:
        lengths = pc.binary_length(serialized).to_numpy()
        self._lengths.update(lengths)
        self._digest.update(encoding.content(serialized))
        self._rows += len(lengths)
        for row in serialized.to_pylist():
            if self._writer is None or self._size >= SHARD_BYTES:
                self.close()
                self._writer = tf.io.TFRecordWriter(str(self._folder / f"data-{self._files:05d}.tfrecord"))
                self._files, self._size = self._files + 1, 0
            self._writer.write(row)
            self._size += len(row)

    def drop(self, dropped: np.ndarray) -> None:
        """Writes the files anew without some rows: bool `(rows,)`. It is known only when all were seen which."""
        before = self._folder.with_name(f"{self._folder.name}.all")
        self._folder.rename(before)
        self._folder.mkdir()
        self._digest, self._lengths, self._rows = xxhash.xxh3_128(), xxhash.xxh3_128(), 0
        self._files, self._size, begin = 0, 0, 0
        for rows in codec.read_batches(sorted(map(str, before.iterdir()))):
            found = rows.numpy()
            self._write(pa.array(found[~dropped[begin : begin + len(found)]], pa.binary()))
            begin += len(found)
        self.close()
        shutil.rmtree(before)
        self._labels = {name: [np.concatenate(found)[~dropped]] for name, found in self._labels.items()}

    def close(self) -> None:
        if self._writer:
            self._writer.close()
        self._writer = None

    def summary(self) -> dict[str, Any]:
        """Returns `rows`, `digest` and `classes`."""
        classes = {
            name: sum((np.bincount(labels, minlength=count) for labels in self._labels[name]), np.zeros(count, int))
            for name, count in self._num_classes.items()
        }
        return {
            "rows": self._rows,
            "digest": self._lengths.hexdigest() + self._digest.hexdigest(),
            "classes": {name: counts.tolist() for name, counts in classes.items()},
        }


def read_summary(examples_uri: str) -> dict:
    """Returns what ingest wrote down: split name -> `rows` and `digest`."""
    return json.loads(SUMMARY.path(examples_uri).read_text())


def read_places(examples_uri: str) -> tuple[pa.DictionaryArray, np.ndarray]:
    """Returns file and number, int64, of what names each row of the test split, `(rows,)`; see `Batch.row_ids`."""
    with np.load(ROW_IDS.path(examples_uri)) as found:
        files, places = pa.array(found["files"].tolist(), pa.string()), found["places"]
    return pa.DictionaryArray.from_arrays(pa.array(places[:, 0], pa.int32()), files), places[:, 1]


def read_row_ids(examples_uri: str) -> list[RowId]:
    """Returns what names each row of the test split, see `Batch.row_ids`."""
    files, numbers = read_places(examples_uri)
    return list(zip(files.to_pylist(), numbers.tolist(), strict=True))


def read_groups(examples_uri: str) -> np.ndarray | None:
    """Returns which rows of the test split belong together, int32 `(rows,)` from 0; None where each is independent."""
    path = GROUPS.path(examples_uri)
    return np.load(path) if path.exists() else None


def read_originals(examples_uri: str, spec: DatasetSpec) -> list[tuple[Row, Row]]:
    """Returns test rows as they are stored, each with the same row whose pictures are the files they came as."""
    path = PICTURE_FILES.path(examples_uri)
    rows = codec.read_rows([str(path)], spec, 2 * ORIGINALS) if path.exists() else []
    return list(zip(rows[::2], rows[1::2], strict=True))


def split_files(examples_uri: str, split: str) -> list[str]:
    """Returns the TFRecord files of one split, in order."""
    return sorted(str(path) for path in (Path(examples_uri) / f"Split-{split}").glob("*.tfrecord"))


def first_rows(examples_uri: str, split: str, spec: DatasetSpec, count: int) -> list[Row]:
    """Returns the first rows of a split as they are stored: bytes, ints and floats by feature name."""
    return codec.read_rows(split_files(examples_uri, split), spec, count)
