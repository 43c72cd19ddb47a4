"""Ingest: writes a data set as TFRecord files of tf.train.Examples, a folder for each split."""

import json
import shutil
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import tensorflow as tf
import xxhash
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples
from threadpoolctl import threadpool_limits

from components.artifact_files import GROUPS, IDS, PICTURE_FILES, ROW_IDS, SPLIT_RULE, SUMMARY
from data import examples as codec
from data import loading, pictures
from data.checks.rows import RowChecks
from data.columnar import batches, encoding
from data.columnar.batches import SPLIT_INDEX, Batch, RowId
from data.config import DataConfig
from data.errors import DataError
from data.spec import SPLITS, WEIGHT, Dataset, DatasetSpec, LabelFeature, LocatedRow, Row
from models import progress

# A split has several files because Beam gives each worker whole files.
SHARD_BYTES = 8 * 2**20
# Limits of the original picture files that are kept for the serving check, which sends them in one request: their
# number, the number of each kind of file, and the bytes of all.
MAX_ORIGINALS, MAX_ORIGINALS_OF_A_KIND, MAX_ORIGINAL_BYTES = 8, 2, 16 * 2**20


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

    `data` is the run file's section of that name as JSON, `name` the pipeline's name, `base` the run file's folder;
    `digest` adds the content of the data to the cache key. `split_plan`, as JSON, is the part of the split rule that
    depends on all rows and on the live version.
    """
    config = DataConfig.model_validate_json(data)
    plan = json.loads(split_plan)
    dataset = loading.load(config, name, Path(base), plan)
    checks = RowChecks(config.row_checks, dataset.spec, config.cut_shares, config.group or "")
    # On matrices as small as those that resize a picture, BLAS waits for its own threads: reading 300 JPEGs of 640x480
    # takes 8 s with two threads on two busy cores, 2.5 s with one.
    with threadpool_limits(1, user_api="blas"):
        batches = loading.open_batches(dataset, config)
        summary = write_splits(batches, dataset.spec, Path(examples.uri), checks)
    check_unchanged(dataset, digest)
    SUMMARY.path(examples.uri).write_text(json.dumps(summary, indent=1))
    SPLIT_RULE.path(examples.uri).write_text(json.dumps({"rule": dataset.rule(), "plan": plan}, indent=1))
    counts = [f"{split_summary['rows']:,} {split}" for split, split_summary in summary.items()]
    sentences = [f"{dataset.spec.name}: {', '.join(counts)}", *dataset.notes()]
    progress.report(summary="; ".join([*sentences, *checks.notes]), short="; ".join([*sentences, *checks.brief_notes]))
    examples.split_names = json.dumps(list(SPLITS))
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")


def check_unchanged(dataset: Dataset, digest: str) -> None:
    """Raises DataError if the files of a data set, by size, time and inode, have changed since `digest` was computed.

    Otherwise the new content would be stored and published under the digest of the old.
    """
    if dataset.last_digest() != digest:
        raise DataError(f"Data set {dataset.spec.name} was changed while it was read; run again.")


def write_splits(
    batches: Iterable[Batch], spec: DatasetSpec, folder: Path, checks: RowChecks | None = None
) -> dict[str, dict]:
    """Writes rows below `folder`, each into its split, without those that the checks drop.

    Of the test split it also writes file and number of its rows, their ids and groups, and some original picture files:
    see `read_row_ids`, `read_ids`, `read_groups` and `read_originals`.

    Args:
        batches: The rows.
        spec: The data set's features.
        folder: Receives `Split-<name>/data-00000.tfrecord` and so on.
        checks: Checks of the rows, evaluated after the last one; None for no checks.

    Returns:
        Split -> its number of `rows`, its `digest`, its `classes`: label -> number of rows of each class, and where
        rows have weights their mean, `mean_weight`.

    Raises:
        DataError: A check refuses the rows.
    """
    writers = {split: _SplitWriter(folder / f"Split-{split}", spec) for split in SPLITS}
    test_rows, originals = _TestRows(), _Originals(spec)
    expected_rows = sum(spec.num_rows.values()) if spec.num_rows else 0
    num_rows = 0
    for batch in batches:
        if checks:
            checks.add(batch)
        parts = [batch.inputs, encoding.encode(batch.columns, spec.targets())]
        if batch.weights is not None:
            parts.append(encoding.encode(pa.RecordBatch.from_arrays([batch.weights], names=[WEIGHT]), [WEIGHT]))
        # The concatenated bytes of protocol buffers are those of the merged message.
        serialized = pc.binary_join_element_wise(*parts, b"")
        for split, split_index in SPLIT_INDEX.items():
            indices = np.flatnonzero(batch.splits == split_index)
            if not len(indices):
                continue
            part = batch if len(indices) == len(batch) else batch.take(indices)
            writers[split].add(part, serialized if part is batch else serialized.take(pa.array(indices)))
            if split == "test":
                test_rows.add(part)
                originals.add(part)
        num_rows += len(batch)
        progress.report(rows=num_rows, **({"of": expected_rows} if expected_rows else {"share": batch.share}))
    for writer in writers.values():
        writer.close()
    dropped = {}
    if checks:
        checks.judge()
        dropped = checks.dropped()
    for split, mask in dropped.items():
        writers[split].drop(mask)
    test_rows.write(folder, dropped.get("test"))
    originals.write(PICTURE_FILES.path(folder))
    return {split: writer.summary() for split, writer in writers.items()}


class _TestRows:
    """Collects file and number, id and group of the rows of the test split."""

    def __init__(self):
        self._has_groups = self._has_ids = False
        self._file_indices: dict[str, int] = {}
        self._group_indices: dict[str | int, int] = {}
        self._row_ids: list[tuple[int, int]] = []  # index of the file, number in it
        self._row_groups: list[int] = []
        self._ids: list[pa.Array] = []

    def add(self, batch: Batch) -> None:
        """Adds rows of the test split."""
        for file, number in batch.row_ids():
            self._row_ids.append((self._file_indices.setdefault(file, len(self._file_indices)), number))
        groups = [None] * len(batch) if batch.groups is None else batch.groups.to_pylist()
        self._has_groups = self._has_groups or any(group is not None for group in groups)
        for group in groups:
            key = len(self._row_groups) if group is None else group  # a row without a group is a group of its own
            self._row_groups.append(self._group_indices.setdefault(key, len(self._group_indices)))
        self._has_ids = self._has_ids or batch.ids is not None
        self._ids.append(pa.nulls(len(batch), pa.string()) if batch.ids is None else batch.ids)

    def write(self, folder: Path, dropped: np.ndarray | None) -> None:
        """Writes file and number of each row, its id and its group if any row has one, without dropped rows.

        Args:
            folder: Folder of the examples.
            dropped: bool `(rows,)`; None for none.
        """
        kept = slice(None) if dropped is None else ~dropped
        row_ids = np.array(self._row_ids, np.int64).reshape(-1, 2)[kept]
        np.savez(ROW_IDS.path(folder), files=np.array(list(self._file_indices), str), places=row_ids)
        if self._has_groups:
            np.save(GROUPS.path(folder), np.array(self._row_groups, np.int32)[kept])
        if self._has_ids:
            ids = pa.chunked_array(self._ids, pa.string())
            pq.write_table(
                pa.table({"id": ids if dropped is None else ids.filter(pa.array(~dropped))}), IDS.path(folder)
            )


class _Originals:
    """Collects some rows of the test split with their original picture files, the first of each kind that is served."""

    def __init__(self, spec: DatasetSpec):
        self._spec = spec
        self._counts: Counter[str] = Counter()  # by kind of file
        self._serialized: list[bytes] = []
        self._bytes_left = MAX_ORIGINAL_BYTES

    def add(self, batch: Batch) -> None:
        """Adds rows of the test split."""
        if not batch.files or len(self._serialized) == 2 * MAX_ORIGINALS:
            return
        for _, row in batches.rows([batch], self._spec):
            if isinstance(row, LocatedRow):
                self._add(row)

    def _add(self, row: LocatedRow) -> None:
        files = row.files
        size = sum(map(len, files.values()))
        if len(self._serialized) == 2 * MAX_ORIGINALS or not files or size > self._bytes_left:
            return
        if not all(pictures.format_of(content) in pictures.SERVED for content in files.values()):
            return
        kind = " ".join(pictures.kind_of(content, row[name].shape) for name, content in files.items())
        self._counts[kind] += 1
        if self._counts[kind] <= MAX_ORIGINALS_OF_A_KIND:
            self._bytes_left -= size
            self._serialized += [codec.encode(row, self._spec), codec.encode({**row, **files}, self._spec)]

    def write(self, path: Path) -> None:
        """Writes each row twice, with pixels and then with the files in their place; writes no file without rows."""
        if self._serialized:
            with tf.io.TFRecordWriter(str(path)) as writer:
                for serialized in self._serialized:
                    writer.write(serialized)


class _SplitWriter:
    """Writes the TFRecord files of one split.

    They are not compressed: for raw bytes of images, reading gzip costs more time than the disk space is worth.
    """

    def __init__(self, folder: Path, spec: DatasetSpec):
        folder.mkdir(parents=True)
        self._folder, self._size, self._files = folder, 0, 0
        self._num_classes = {name: len(label.classes) for name, label in spec.of(LabelFeature).items()}
        self._labels: dict[str, list[np.ndarray]] = {name: [] for name in self._num_classes}
        self._weights: list[np.ndarray] = []
        # One hash of the bytes of all rows, one of their lengths: the bytes alone do not say where a row ends.
        self._digest, self._lengths, self._rows = xxhash.xxh3_128(), xxhash.xxh3_128(), 0
        self._writer: tf.io.TFRecordWriter | None = None

    def add(self, batch: Batch, serialized: pa.Array) -> None:
        """Writes serialized tf.train.Examples, binary `(rows,)`, and collects labels and weights of their rows."""
        self._write(serialized)
        for name, labels in self._labels.items():
            labels.append(batch.columns.column(name).to_numpy().astype(np.int32))
        if batch.weights is not None:
            self._weights.append(batch.weights.to_numpy())

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
        """Rewrites the files without dropped rows, bool `(rows,)`, which are known only after the last row."""
        all_rows = self._folder.with_name(f"{self._folder.name}.all")
        self._folder.rename(all_rows)
        self._folder.mkdir()
        self._digest, self._lengths, self._rows = xxhash.xxh3_128(), xxhash.xxh3_128(), 0
        self._files, self._size, begin = 0, 0, 0
        for batch in codec.read_batches(sorted(map(str, all_rows.iterdir()))):
            serialized = batch.numpy()
            self._write(pa.array(serialized[~dropped[begin : begin + len(serialized)]], pa.binary()))
            begin += len(serialized)
        self.close()
        shutil.rmtree(all_rows)
        self._labels = {name: [np.concatenate(labels)[~dropped]] for name, labels in self._labels.items()}
        self._weights = [np.concatenate(self._weights)[~dropped]] if self._weights else []

    def close(self) -> None:
        """Closes the file that is being written."""
        if self._writer:
            self._writer.close()
        self._writer = None

    def summary(self) -> dict[str, Any]:
        """Returns `rows`, `digest`, `classes` and `mean_weight`, see `write_splits`."""
        classes = {
            name: sum((np.bincount(labels, minlength=count) for labels in self._labels[name]), np.zeros(count, int))
            for name, count in self._num_classes.items()
        }
        return {
            "rows": self._rows,
            "digest": self._lengths.hexdigest() + self._digest.hexdigest(),
            "classes": {name: counts.tolist() for name, counts in classes.items()},
            **({"mean_weight": float(np.concatenate(self._weights).mean(dtype=np.float64))} if self._weights else {}),
        }


def read_summary(examples_uri: str) -> dict:
    """Returns split name -> `rows`, `digest`, `classes` and `mean_weight`, see `write_splits`."""
    return json.loads(SUMMARY.path(examples_uri).read_text())


def read_row_id_arrays(examples_uri: str) -> tuple[pa.DictionaryArray, np.ndarray]:
    """Returns file, `(rows,)`, and number, int64 `(rows,)`, of each row's id in the test split; see `Batch.row_ids`."""
    with np.load(ROW_IDS.path(examples_uri)) as arrays:
        files, row_ids = pa.array(arrays["files"].tolist(), pa.string()), arrays["places"]
    return pa.DictionaryArray.from_arrays(pa.array(row_ids[:, 0], pa.int32()), files), row_ids[:, 1]


def read_row_ids(examples_uri: str) -> list[RowId]:
    """Returns the ids of the rows of the test split, see `Batch.row_ids`."""
    files, numbers = read_row_id_arrays(examples_uri)
    return list(zip(files.to_pylist(), numbers.tolist(), strict=True))


def read_groups(examples_uri: str) -> np.ndarray | None:
    """Returns the group of each row of the test split, int32 `(rows,)` from 0; None if no row has one."""
    path = GROUPS.path(examples_uri)
    return np.load(path) if path.exists() else None


def read_ids(examples_uri: str) -> pa.Array | None:
    """Returns the id of each row of the test split, string `(rows,)`, null for none; None without data.roles.id."""
    path = IDS.path(examples_uri)
    return pq.read_table(path).column("id").combine_chunks() if path.exists() else None


def read_originals(examples_uri: str, spec: DatasetSpec) -> list[tuple[Row, Row]]:
    """Returns pairs of some test rows as stored, and the same rows with the original files in place of the pixels."""
    path = PICTURE_FILES.path(examples_uri)
    rows = codec.read_rows([str(path)], spec, 2 * MAX_ORIGINALS) if path.exists() else []
    return list(zip(rows[::2], rows[1::2], strict=True))


def split_files(examples_uri: str, split: str) -> list[str]:
    """Returns the TFRecord files of one split, in order."""
    return sorted(str(path) for path in (Path(examples_uri) / f"Split-{split}").glob("*.tfrecord"))


def first_rows(examples_uri: str, split: str, spec: DatasetSpec, count: int) -> list[Row]:
    """Returns the first `count` rows of a split as stored: bytes, ints and floats by feature name."""
    return codec.read_rows(split_files(examples_uri, split), spec, count)
