"""The rows of files, as batches, and how they find their splits."""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.columnar import columns, encoding
from data.columnar.batches import PLACES, Batch, encoded
from data.columnar.splitting import RULE_VERSION, bucket
from data.config import DataConfig
from data.kinds.cell import word, words_of_floats
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.tables.formats import columns_of
from data.sources.tables.kept import blocks
from data.spec import READ_ORDER, SPLITS, DatasetSpec, ImageFeature, Problem

BUCKETS = 1000  # of which each split has as many as its share


@dataclass(frozen=True)
class FileRows:
    """All rows of the files, as batches; every file is read once.

    Attributes:
        paths: Split -> its files.
        kind: Their format.
        config: How they are read.
        spec: What the rows must hold.
    """

    paths: Mapping[str, Sequence[Path]]
    kind: str
    config: DataConfig
    spec: DatasetSpec

    def __iter__(self) -> Iterator[Batch]:
        cuts = _cuts(self.paths, self.config)
        sizes = {path: path.stat().st_size for found in self.paths.values() for path in found if path.is_file()}
        total, before = sum(sizes.values()), 0
        for split in READ_ORDER:
            for path in self.paths.get(split, ()):
                size = sizes.get(path, 0)
                for block in blocks(path, self.kind, self.config):
                    batch = self._batch(block, path, split, cuts if split == "train" else {})
                    yield replace(batch, share=(before + block.share * size) / total) if size and block.share else batch
                before += size

    def _batch(self, block: Block, path: Path, split: str, cuts: Mapping[str, range]) -> Batch:
        of_rows = [(problem,) for problem in block.problems]
        if self.kind.endswith("_folder"):
            block, others = class_folders.of_classes(block, path, self.spec.features[class_folders.LABEL].classes)
            of_rows += [(problem,) for problem in others]
        how = columns.reading(self.kind, self.config, path.parent)
        found = columns.store(block, self.spec, how, unused={*self.config.ignore, *self.config.aside})
        usable = block if len(found.kept) == len(block) else block.take(found.kept)
        groups = self._texts(usable, self.config.group)
        keys = self._keys(usable, found, groups)
        return Batch(
            found.columns,
            _splits(keys, split, cuts),
            usable.file,
            usable.numbers,
            *encoded(found.columns, self.spec),
            usable.names,
            groups,
            found.files,
            _with_splits([*of_rows, *found.problems.values()], split, cuts),
            found.distinct,
        )

    def _keys(self, block: Block, found: columns.Stored, groups: pa.Array | None) -> np.ndarray:
        """Returns what decides about each row's split, uint64 `(rows, 2)`.

        Its group, else its id, else (also where it has neither) all its cells but those of targets, as text, also of
        columns that are ignored: a column that is left out from now on, or is of another kind, must not make test rows
        of those that a published model was trained on.
        """
        kept = [name for name in block.columns if name not in self.spec.targets()]
        cells = {name: self._content(block, name, found) for name in kept}
        keys = encoding.digests(encoding.encode(pa.RecordBatch.from_pydict(cells), kept))
        for column in (self._texts(block, self.config.roles.id), groups):
            if column is not None:
                is_there = column.is_valid().to_numpy(zero_copy_only=False)
                by_column = encoding.digests(column.cast(pa.binary()).fill_null(b""))
                keys = np.where(is_there[:, None], by_column, keys)
        return keys

    def _content(self, block: Block, name: str, found: columns.Stored) -> pa.Array:
        """Returns the cells of a column as text; of pictures the files, or the pixels of those without."""
        if not isinstance(self.spec.features.get(name), ImageFeature):
            return _texts(block.column(name))
        pixels = found.columns.column(name)
        return pc.coalesce(found.files[name], pixels) if name in found.files else pixels

    def _texts(self, block: Block, name: str | None) -> pa.Array | None:
        """Returns the cells of a column as text, null for nothing; None without such a column."""
        cells = block.column(name) if name else None
        if cells is None:
            return None
        texts = _texts(cells)
        nothing = pc.is_in(texts, pa.array([one.encode() for one in self.config.missing_values], pa.binary()))
        texts = pc.if_else(nothing, pa.scalar(None, pa.binary()), texts) if self.kind == "csv" else texts
        return texts.cast(pa.string())


def _texts(cells: pa.Array | list) -> pa.Array:
    """Returns cells as text in UTF-8, binary, without the spaces around them; null for nothing."""
    if isinstance(cells, pa.Array):
        if pa.types.is_binary(cells.type):
            return cells
        if pa.types.is_string(cells.type) or pa.types.is_integer(cells.type):
            return pc.utf8_trim_whitespace(cells.cast(pa.string())).cast(pa.binary())
        if pa.types.is_float32(cells.type) or pa.types.is_float64(cells.type):
            return words_of_floats(cells)
        cells = cells.to_pylist()
    return pa.array([None if cell is None else word(cell).encode("utf-8", "replace") for cell in cells], pa.binary())


def _splits(keys: np.ndarray, split: str, cuts: Mapping[str, range]) -> np.ndarray:
    """Returns the split of each row, int8 `(rows,)`, by what decides about it."""
    found, numbers = np.full(len(keys), PLACES[split], np.int8), keys[:, 0] % BUCKETS
    for name, cut in cuts.items():
        found[(numbers >= cut.start) & (numbers < cut.stop)] = PLACES[name]
    return found


def _with_splits(
    unusable: Sequence[tuple[Problem, ...]], split: str, cuts: Mapping[str, range]
) -> tuple[tuple[str, tuple[Problem, ...]], ...]:
    """Returns rows that cannot be used, in the order of the file, with their splits: where those are cut, by the place
    of the row.
    """
    found = []
    for problems in unusable:
        file, _, number = problems[0].where.rpartition(":")
        row = int(number) if file and number.isdecimal() else 0
        drawn = bucket((str(row) if row else Path(problems[0].where).name).encode("utf-8", "replace"), BUCKETS)
        found.append((row, next((name for name, cut in cuts.items() if drawn in cut), split), problems))
    return tuple((place, problems) for _, place, problems in sorted(found, key=lambda one: one[0]))


def _cuts(paths: Mapping[str, Sequence[Path]], config: DataConfig) -> dict[str, range]:
    """Returns which thousandths of the training files go to each split that has no files of its own."""
    cuts, begin = {}, 0
    for split in SPLITS[1:]:
        if split not in paths:
            end = begin + round(getattr(config.splits, split) * BUCKETS)
            cuts[split], begin = range(begin, end), end
    return cuts


def split_rule(
    paths: Mapping[str, Sequence[Path]], kind: str, config: DataConfig, spec: DatasetSpec, test: Callable[[], str]
) -> dict[str, Any]:
    """Returns what `Dataset.split_rule` is, for files; `test` returns the digest of those of the test split."""
    cuts = {split: [cut.start, cut.stop] for split, cut in _cuts(paths, config).items()}
    rule = {"version": RULE_VERSION, "cuts": cuts, "test_spans": config.test_spans}
    if isinstance(config.files, dict) and "test" in paths:  # another file may hold rows that were trained on
        rule["test"] = test()
    if not cuts:
        return rule
    rule["cells"] = "text" if kind == "csv" else "values"  # 3 of a CSV file is not 3 of a Parquet file
    if config.aside:
        return rule | {"by": config.aside[0]}
    columns = columns_of(paths["train"][0], kind, config)
    names = [
        f"{name} as a picture" if isinstance(spec.features.get(name), ImageFeature) else name
        for name in sorted(columns)
        if name not in spec.targets()
    ]
    return rule | {"by": "all cells", "columns": hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]}
