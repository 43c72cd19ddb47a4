"""Reads the rows of files as batches and assigns them to splits."""

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.columnar import columns, encoding, role_columns, split_plan
from data.columnar.batches import SPLIT_INDEX, Batch, encoded, max_batch_rows
from data.columnar.split_plan import TimeColumn
from data.columnar.splitting import BUCKETS, RULE_VERSION, StratifiedSplit, bucket, stratify
from data.config import DataConfig
from data.errors import DataError
from data.kinds.cell import to_list
from data.kinds.image import content_of
from data.kinds.registry import kind_of
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.tables.block_cache import blocks
from data.sources.tables.formats import columns_of, files_of
from data.spec import READ_ORDER, SPLITS, DatasetSpec, ImageFeature, Problem

MAX_READ_ROWS, MAX_SAMPLED_ROWS = 2000, 64  # read for the sample of a split rule; kept in the rule


@dataclass(frozen=True)
class FileRows:
    """All rows of the files, as batches; every file is read once.

    Attributes:
        paths: Split -> its files.
        kind: Their format.
        config: Section `data` of the run file.
        spec: Features that the rows must have.
        plan: Returns the split plan, see `find_plan`.
    """

    paths: Mapping[str, Sequence[Path]]
    kind: str
    config: DataConfig
    spec: DatasetSpec
    plan: Callable[[], Mapping[str, Any]] = dict

    def __iter__(self) -> Iterator[Batch]:
        cuts, plan = _cuts(self.paths, self.config), self.plan()
        times = TimeColumn.of(plan, self.config, self.spec)
        stratified = self._stratify(plan.get("stratified", {}), cuts)
        rule = _SplitRule("train", cuts, stratified, times)
        files = [(split, path) for split in READ_ORDER for path in self.paths.get(split, ())]
        sizes = [_num_bytes(path, self.kind) for _, path in files]
        total, bytes_before = sum(sizes), 0
        for number, ((split, path), size) in enumerate(zip(files, sizes, strict=True), start=1):
            for block in self._blocks(path):
                batch = self._batch(block, path, rule if split == "train" else _SplitRule(split))
                share = (bytes_before + block.share * size) / total if size and block.share else 0.0
                yield replace(batch, share=share, path=str(path), path_number=number)
            bytes_before += size

    def _blocks(self, path: Path) -> Iterator[Block]:
        """Yields the rows of a file in blocks of at most the rows of a batch."""
        file_blocks, max_rows = blocks(path, self.kind, self.config), max_batch_rows(self.spec)
        return itertools.chain.from_iterable(block.pieces(max_rows) for block in file_blocks)

    def _batch(self, block: Block, path: Path, rule: "_SplitRule") -> Batch:
        unusable = [(problem,) for problem in block.problems]
        if self.kind.endswith("_folder"):
            block, problems_of_folder = class_folders.of_classes(
                block, path, self.spec.features[class_folders.LABEL].classes
            )
            unusable += [(problem,) for problem in problems_of_folder]
        splits_by_time = None
        if rule.times:
            options = columns.read_options(self.kind, self.config, path.parent)
            block, splits_by_time, time_problems = rule.times.splits(block, options)
            unusable += time_problems
        stored = self._stored(block, path, self.spec)
        usable = block if len(stored.kept) == len(block) else block.take(stored.kept)
        groups = self._texts(usable, self.config.group)
        if splits_by_time is not None:
            splits = splits_by_time[stored.kept]
        elif rule.cuts:
            splits = rule.splits(self._keys(usable, stored, groups, path.parent))
        else:
            splits = np.full(len(usable), SPLIT_INDEX[rule.split], np.int8)
        stored, weights = role_columns.without_weight(stored, self.spec)
        return Batch(
            stored.columns,
            splits,
            usable.file,
            usable.numbers,
            *encoded(stored.columns, self.spec),
            usable.names,
            groups,
            stored.files,
            _with_splits([*unusable, *stored.problems.values()], rule.split, rule.cuts),
            stored.distinct,
            ids=self._texts(usable, self.config.roles.id),
            weights=weights,
        )

    def _stored(self, block: Block, path: Path, spec: DatasetSpec) -> columns.Stored:
        options = columns.read_options(self.kind, self.config, path.parent)
        unused = {*self.config.ignore, *self.config.role_columns, *self.spec.features}
        return columns.store(block, role_columns.with_weight(spec), options, unused=unused)

    def _stratify(self, stratified: Mapping[str, Sequence[str]], cuts: Mapping[str, range]) -> StratifiedSplit | None:
        """Returns the splits of the rows of stratified classes, label -> classes; None without any."""
        labels = {name: self.spec.features[name] for name in stratified}
        stratified_classes = [
            (name, labels[name].classes.index(class_name)) for name in labels for class_name in stratified[name]
        ]
        if not stratified_classes or not cuts:
            return None
        keys, inputs, members = [], [], []
        for path in self.paths["train"]:
            options = columns.read_options(self.kind, self.config, path.parent)
            for block in self._blocks(path):
                classes = {name: split_plan.classes_of(block, name, label, options) for name, label in labels.items()}
                is_member = np.stack([classes[name] == class_index for name, class_index in stratified_classes], axis=1)
                member_rows = np.flatnonzero(is_member.any(axis=1))
                if len(member_rows):
                    usable_rows, block_keys, block_inputs = self._keys_and_inputs(block.take(member_rows), path)
                    keys.append(block_keys)
                    inputs.append(block_inputs)
                    members.append(is_member[member_rows[usable_rows]])
        if not keys:
            return None
        rows_of_classes = [np.flatnonzero(column) for column in np.concatenate(members).T]
        shares = {split: (cut.stop - cut.start) / BUCKETS for split, cut in cuts.items()}
        return stratify(np.concatenate(keys), np.concatenate(inputs), rows_of_classes, shares)

    def sample(self) -> dict[str, int]:
        """Returns digest of the stored inputs -> bucket of the split, for some of the first rows; see `agree`.

        Empty where rows are files or have pictures, which are split by their bytes.
        """
        path, rows = self.paths["train"][0], 0
        buckets_by_digest: dict[int, set[int]] = {}
        if self.kind.endswith("_folder") or self.spec.of(ImageFeature):
            return {}
        with contextlib.suppress(DataError):  # ingest reports it with all other problems
            for block in self._blocks(path):
                sampled = block.take(np.arange(min(len(block), MAX_READ_ROWS - rows)))
                _, keys, inputs = self._keys_and_inputs(sampled, path)
                for key, digest in zip((keys % BUCKETS).tolist(), inputs.tolist(), strict=True):
                    buckets_by_digest.setdefault(digest, set()).add(key)
                rows += len(sampled)
                if rows == MAX_READ_ROWS:
                    break
        unambiguous = sorted(digest for digest, buckets in buckets_by_digest.items() if len(buckets) == 1)
        return {f"{digest:016x}": min(buckets_by_digest[digest]) for digest in unambiguous[:MAX_SAMPLED_ROWS]}

    def _keys_and_inputs(self, block: Block, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns the indices of usable rows, found without decoding pictures, the keys that decide their splits, and
        the digests of their inputs; keys and digests are uint64 `(rows,)`.
        """
        without_pictures = {
            name: feature for name, feature in self.spec.features.items() if not isinstance(feature, ImageFeature)
        }
        spec = self.spec.model_copy(update={"features": without_pictures})
        stored = self._stored(block, path, spec)
        usable = block.take(stored.kept)
        keys = self._keys(usable, stored, self._texts(usable, self.config.group), path.parent)[:, 0]
        has_pictures = len(without_pictures) < len(self.spec.features)  # which are among the cells as files
        return stored.kept, keys, keys if has_pictures else encoded(stored.columns, spec)[1][:, 0]

    def _keys(self, block: Block, stored: columns.Stored, groups: pa.Array | None, folder: Path) -> np.ndarray:
        """Returns the key that decides each row's split, uint64 `(rows, 2)`.

        The digest of its group, else of its id; of a row without these, of all its cells but those of targets, as
        text. Cells of ignored columns count: when a column is ignored from now on, or gets another kind, rows that a
        published model was trained on must not become test rows.
        """
        role_texts = [
            column_texts
            for column_texts in (groups, self._texts(block, self.config.roles.id))
            if column_texts is not None
        ]
        texts = pc.coalesce(*role_texts).cast(pa.binary()) if role_texts else None
        if texts is not None and not texts.null_count:
            return encoding.digests(texts)
        targets = self.spec.targets()
        names = [name for name in block.columns if name not in targets]
        cells = {name: self._content(block, name, stored, folder) for name in names}
        keys = encoding.digests(encoding.encode(pa.RecordBatch.from_pydict(cells), names))
        if texts is None:
            return keys
        is_valid = texts.is_valid().to_numpy(zero_copy_only=False)
        return np.where(is_valid[:, None], encoding.digests(texts.fill_null(b"")), keys)

    def _content(self, block: Block, name: str, stored: columns.Stored, folder: Path) -> pa.Array:
        """Returns the cells of a column as text, binary; of lists what is stored, of pictures the encoded file."""
        feature = self.spec.features.get(name)
        if feature is not None and kind_of(feature).split_by_stored:
            column = stored.columns.column(name)
            return encoding.in_bytes(column) if feature.is_list else column
        if not isinstance(feature, ImageFeature):
            return role_columns.in_utf8(block.column(name))
        if name not in stored.columns.schema.names:  # not decoded
            cells = block.column(name)
            cells = cells if isinstance(cells, list) else to_list(cells)
            return pa.array([content_of(cell, folder) for cell in cells], pa.binary())
        pixels = stored.columns.column(name)
        return pc.coalesce(stored.files[name], pixels) if name in stored.files else pixels

    def _texts(self, block: Block, name: str | None) -> pa.Array | None:
        """Returns the cells of a column as text, null for missing values; None without such a column."""
        cells = block.column(name) if name else None
        return None if cells is None else role_columns.texts(cells, self.config.missing_values)


def _num_bytes(path: Path, kind: str) -> int:
    """Returns the size of a file, of a folder of a table that of its files; 0 of a folder whose files are rows."""
    return sum(file.stat().st_size for file in files_of(path, kind) if file.is_file())


@dataclass(frozen=True)
class _SplitRule:
    """How rows of one file are assigned to splits.

    Attributes:
        split: The split that the file is named for.
        cuts: Split -> range of buckets, of 1,000, whose rows go to that split.
        stratified: The splits of the rows of stratified classes.
        times: The column by which rows are split; None where that is by content.
    """

    split: str
    cuts: Mapping[str, range] = field(default_factory=dict)
    stratified: StratifiedSplit | None = None
    times: TimeColumn | None = None

    def splits(self, keys: np.ndarray) -> np.ndarray:
        """Returns the split of each row, int8 `(rows,)`, by its key, uint64 `(rows, 2)`."""
        splits, buckets = np.full(len(keys), SPLIT_INDEX[self.split], np.int8), keys[:, 0] % BUCKETS
        for name, cut in self.cuts.items():
            splits[(buckets >= cut.start) & (buckets < cut.stop)] = SPLIT_INDEX[name]
        return self.stratified.apply(keys[:, 0], splits) if self.stratified else splits


def _with_splits(
    unusable: Sequence[tuple[Problem, ...]], split: str, cuts: Mapping[str, range]
) -> tuple[tuple[str, tuple[Problem, ...]], ...]:
    """Returns the problems of unusable rows, in the order of the file, each with its split: where splits are cut, the
    number of the row decides it.
    """
    located = []
    for problems in unusable:
        row_number, where = problems[0].number, problems[0].where
        bucket_of_row = bucket(
            (str(row_number) if row_number else Path(where).name).encode("utf-8", "replace"), BUCKETS
        )
        located.append(
            (row_number, next((name for name, cut in cuts.items() if bucket_of_row in cut), split), problems)
        )
    return tuple(
        (split_of_row, problems)
        for _, split_of_row, problems in sorted(located, key=lambda row_of_file: row_of_file[0])
    )


def _cuts(paths: Mapping[str, Sequence[Path]], config: DataConfig) -> dict[str, range]:
    """Returns split without files of its own -> the range of buckets of the training files' rows that it gets."""
    cuts, begin = {}, 0
    for split in SPLITS[1:]:
        if split not in paths:
            end = begin + round(getattr(config.splits, split) * BUCKETS)
            cuts[split], begin = range(begin, end), end
    return cuts


def find_plan(paths: Mapping[str, Sequence[Path]], kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns `Dataset.split_plan` for files."""
    if config.roles.time:
        return {"time": split_plan.time_plan(paths["train"], kind, config, spec)}
    if config.group or not _cuts(paths, config):
        return {}
    rare = split_plan.rare_classes(paths["train"], kind, config, spec)
    return {"stratified": rare} if rare else {}


def split_rule(
    paths: Mapping[str, Sequence[Path]], kind: str, config: DataConfig, spec: DatasetSpec, test: Callable[[], str]
) -> dict[str, Any]:
    """Returns `Dataset.split_rule` for files; `test` returns the digest of the files of the test split."""
    cuts = {split: [cut.start, cut.stop] for split, cut in _cuts(paths, config).items()}
    rule = {"version": RULE_VERSION, "cuts": cuts, "test_spans": config.test_spans}
    if isinstance(config.files, dict) and "test" in paths:  # another file may hold rows that were trained on
        rule["test"] = test()
    if not cuts:
        return rule
    if config.roles.time:
        return rule | {"by": "time", "column": config.roles.time}
    # Keys are of text: 3 in a CSV file differs from 3.0 in another, and from 3 in a Parquet file.
    units = {name: feature.unit for name, feature in spec.features.items() if getattr(feature, "unit", "")}
    rule |= {"format": kind, **config.notation._asdict(), "units": units}
    rule |= {"by": list(config.key_columns), "rows": FileRows(paths, kind, config, spec).sample()}
    if any(name in spec.features and not spec.features[name].optional for name in config.key_columns):
        return rule  # each row has the key by which it is split
    # The first JSON object may lack columns of others, and has none that the settings do not name.
    named_columns = {*spec.features, *config.ignore, *config.role_columns}
    columns = named_columns if kind == "jsonl" else columns_of(paths["train"][0], kind, config)
    names = [
        f"{name} as a picture" if isinstance(spec.features.get(name), ImageFeature) else name
        for name in sorted(columns)
        if name not in spec.targets()
    ]
    return rule | {"columns": hashlib.sha256("\0".join(names).encode()).hexdigest()[:16]}
