"""Ingest: a data set becomes TFRecord files of tf.train.Examples, one folder a split."""

import array
import contextlib
import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tfx.dsl.component.experimental.annotations import OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples
from threadpoolctl import threadpool_limits

from components.artifact_files import GROUPS, PICTURE_FILES, SUMMARY
from data import examples as codec
from data import loading, pictures
from data.checks.rows import RowChecks
from data.config import DataConfig
from data.errors import DataError
from data.spec import SPLITS, DatasetSpec, ImageFeature, LabelFeature, Row
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
    fingerprint: Parameter[str],
):
    """Writes every split of a run file's data.

    `data` is that section as JSON, `name` the pipeline's, `base` the run file's folder; `digest` stands for the
    content in the cache key.
    """
    config = DataConfig.model_validate_json(data)
    found = loading.load(config, name, Path(base))
    watcher = RowChecks(config.row_checks, found.spec, config.cut_shares)
    # On matrices as small as those that resize a picture BLAS waits for its own threads: reading 300 JPEGs of 640x480
    # takes 8 s by two on two busy cores, 2.5 by one.
    with threadpool_limits(1, user_api="blas"):
        summary = write_splits(watcher.watch(loading.open_rows(found, config)), found.spec, Path(examples.uri))
    SUMMARY.path(examples.uri).write_text(json.dumps(summary, indent=1))
    counts = [f"{values['rows']:,} {split}" for split, values in summary.items()]
    told = [f"{found.spec.name}: {', '.join(counts)}", *found.notes()]
    progress.report(summary="; ".join([*told, *watcher.notes]), short="; ".join([*told, *watcher.brief_notes]))
    examples.split_names = json.dumps(list(SPLITS))
    examples.set_string_custom_property("payload_format", "FORMAT_TF_EXAMPLE")


def write_splits(rows: Iterable[tuple[str, Row]], spec: DatasetSpec, folder: Path) -> dict[str, dict]:
    """Writes rows below `folder`, each into its split.

    Returns for each split its number of `rows`, its `digest` and its `classes`: label -> rows of each class, in order.

    Of the test split, too, which rows belong together, where they say so, and the files of some pictures: see
    `read_groups` and `read_originals`.

    Args:
        rows: Splits and rows.
        spec: What the rows must hold.
        folder: Receives `Split-<name>/data-00000.tfrecord` and so on.

    Raises:
        DataError: A row is not what the spec says.
    """
    groups, originals = _Groups(), _Originals(spec)
    total = {"of": sum(spec.num_rows.values())} if spec.num_rows else {}
    with contextlib.ExitStack() as stack:
        writers = {split: stack.enter_context(_SplitWriter(folder / f"Split-{split}", spec)) for split in SPLITS}
        for number, (split, row) in enumerate(rows, start=1):
            writer = writers[split]
            check_row(row, spec, where=f"{split} row {writer.rows + 1}")
            writer.write(codec.encode(row, spec))
            for name, counts in writer.classes.items():
                counts[int(row[name])] += 1
            if split == "test":
                groups.add(getattr(row, "group", None))
                originals.add(row)
            if number % 5000 == 0:
                progress.report(rows=number, **total)
    groups.write(GROUPS.path(folder))
    originals.write(PICTURE_FILES.path(folder))
    return {
        split: {"rows": writer.rows, "digest": writer.digest.hexdigest(), "classes": writer.classes}
        for split, writer in writers.items()
    }


class _Groups:
    """Numbers the groups of rows as they come."""

    def __init__(self):
        self._numbers: dict[str | int, int] = {}
        self._any = False
        self._of_rows = array.array("i")

    def add(self, group: str | None) -> None:
        key = len(self._of_rows) if group is None else group  # a row without a group is one of its own
        self._of_rows.append(self._numbers.setdefault(key, len(self._numbers)))
        self._any = self._any or group is not None

    def write(self, path: Path) -> None:
        """Writes int32 `(rows,)`; nothing where no row has a group."""
        if self._any:
            np.save(path, np.asarray(self._of_rows, np.int32))


class _Originals:
    """Keeps some rows whose pictures came as files that a served model takes: of each kind of file the first ones."""

    def __init__(self, spec: DatasetSpec):
        self._spec = spec
        self._of_kind: Counter[str] = Counter()
        self._serialized: list[bytes] = []
        self._room = ORIGINAL_BYTES

    def add(self, row: Row) -> None:
        files: Mapping[str, bytes] = getattr(row, "files", {})
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
        self.classes = {name: [0] * len(label.classes) for name, label in spec.of(LabelFeature).items()}
        self._folder, self._size, self._files = folder, 0, 0
        self._writer: tf.io.TFRecordWriter | None = None
        self.rows, self.digest = 0, hashlib.sha256()

    def write(self, serialized: bytes) -> None:
        if self._writer is None or self._size >= SHARD_BYTES:
            self.__exit__()
            self._writer = tf.io.TFRecordWriter(str(self._folder / f"data-{self._files:05d}.tfrecord"))
            self._files, self._size = self._files + 1, 0
        self._writer.write(serialized)
        self.digest.update(hashlib.sha256(serialized).digest())
        self.rows += 1
        self._size += len(serialized)

    def __enter__(self) -> "_SplitWriter":
        return self

    def __exit__(self, *_) -> None:
        if self._writer:
            self._writer.close()


def check_row(row: Row, spec: DatasetSpec, *, where: str) -> None:
    """Raises DataError, which begins with `where`, when a value is missing or an image or a label is not what the spec
    says.
    """
    for name, feature in spec.features.items():
        if name not in row:
            if not feature.optional:
                raise DataError(f"{where}: {name} is missing; the row has {', '.join(sorted(row)) or 'nothing'}.")
        elif isinstance(feature, ImageFeature):
            expected, image = (feature.height, feature.width, feature.channels), np.asarray(row[name])
            if image.dtype != np.uint8 or image.shape != expected:
                raise DataError(f"{where}, {name}: expected uint8 {expected}, found {image.dtype} {image.shape}.")
        elif isinstance(feature, LabelFeature) and not 0 <= int(row[name]) < len(feature.classes):
            raise DataError(
                f"{where}, {name}: expected a class from 0 to {len(feature.classes) - 1}, found {row[name]}."
            )


def read_summary(examples_uri: str) -> dict:
    """Returns what ingest wrote down: split name -> `rows` and `digest`."""
    return json.loads(SUMMARY.path(examples_uri).read_text())


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
