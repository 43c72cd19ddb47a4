"""The split plan of files, which needs all rows: which classes are rare, and the first time of each split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data.columnar import columns
from data.columnar.splitting import RARE, by_time, time_starts
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.kinds import date, number
from data.kinds.cell import Cells, Column, Reading, Unusable, exact, patched, plain, shown
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.tables.kept import blocks
from data.spec import DatasetSpec, DateFeature, LabelFeature, NumberFeature, Problem, TargetFeature

Paths = Sequence[Path]
Kinds = DateFeature | NumberFeature | TargetFeature


def rare_classes(paths: Paths, kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, list[str]]:
    """Returns label -> its classes that have rows, but fewer than RARE; without labels that have none.

    Stops reading as soon as every class has RARE rows.

    Args:
        paths: The files that splits are cut off.
        kind: Their format.
        config: How they are read.
        spec: What the rows hold.
    """
    labels = spec.of(LabelFeature)
    if not labels:
        return {}
    counts = {name: np.zeros(len(feature.classes), np.int64) for name, feature in labels.items()}
    for name, values in _labels(paths, kind, config, labels):
        counts[name] += np.bincount(values[values >= 0], minlength=len(counts[name]))
        if all((of_label >= RARE).all() for of_label in counts.values()):
            break
    rare = {
        name: [feature.classes[index] for index in np.flatnonzero((counts[name] > 0) & (counts[name] < RARE))]
        for name, feature in labels.items()
    }
    return {name: classes for name, classes in rare.items() if classes}


def _labels(
    paths: Paths, kind: str, config: DataConfig, labels: Mapping[str, LabelFeature]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names of labels, each with the classes of some rows."""
    for path in paths:
        if kind.endswith("_folder"):  # which need not be read
            (feature,) = labels.values()
            listing = class_folders.examples(path, class_folders.column_of(kind))
            names: list[str | None] = [listing.class_of(file) for file in listing.files]
            how = columns.reading(kind, config, path)
            yield class_folders.LABEL, _classes(pa.array(names, pa.string()), feature, how)
            continue
        how = columns.reading(kind, config, path.parent)
        for block in blocks(path, kind, config):
            for name, feature in labels.items():
                yield name, classes_of(block, name, feature, how)


def classes_of(block: Block, name: str, feature: LabelFeature, how: Reading) -> np.ndarray:
    """Returns the class of each row in a label, int64 `(rows,)`; -1 of a cell that cannot be used."""
    cells = block.column(name)
    return _classes([None] * len(block) if cells is None else cells, feature, how)


def _classes(cells: Cells, feature: LabelFeature, how: Reading) -> np.ndarray:
    return columns.column(cells, feature, how).values.fill_null(-1).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class Times:
    """The column by which rows are split.

    Attributes:
        name: Its name, `data.roles.time`.
        feature: What its cells are.
        starts: Split -> its first time, see `data.columnar.splitting.time_starts`.
    """

    name: str
    feature: Kinds
    starts: Mapping[str, float]

    @classmethod
    def of(cls, plan: Mapping[str, Any], config: DataConfig, spec: DatasetSpec) -> "Times | None":
        """Returns the time column of a plan; None where rows are not split by time."""
        found, name = plan.get("time"), config.roles.time
        if not found or not name:
            return None
        return cls(name, _declared(name, spec) or _plain_kind(found["kind"]), found["starts"])

    def splits(self, block: Block, how: Reading) -> tuple[Block, np.ndarray, list[tuple[Problem, ...]]]:
        """Returns the rows that have a time, the split of each, int8, and the problem of each other row."""
        times, errors = read_times(block, self.name, self.feature, how)
        kept = np.flatnonzero(~np.isnan(times))
        problems = [
            (
                Problem(
                    block.where(row), self.name, f"{error.expected} (data.roles.time)", error.found, block.number(row)
                ),
            )
            for row, error in sorted(errors.items())
        ]
        return block.take(kept) if errors else block, by_time(times[kept], self.starts), problems


def read_times(block: Block, name: str, feature: Kinds, how: Reading) -> tuple[np.ndarray, dict[int, Unusable]]:
    """Returns the times of rows, float64 `(rows,)`, NaN for unusable cells, and row -> error of those cells.

    A date becomes seconds since 1970; a number stays float64, since float32 would merge near times.
    """
    cells = block.column(name)
    cells = [None] * len(block) if cells is None else plain(cells)
    stored = _column(cells, feature, how.of(optional=True))
    is_valid = stored.values.is_valid().to_numpy(zero_copy_only=False)
    values = stored.values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    missing = Unusable(_expected(feature), shown(None))
    errors = {row: stored.problems.get(row, missing) for row in np.flatnonzero(~is_valid).tolist()}
    return np.where(is_valid, values, np.nan), errors


def _column(cells: Cells, feature: Kinds, how: Reading) -> Column:
    """Returns dates as int64, numbers as float64; null for missing and unusable cells."""
    if isinstance(feature, DateFeature):
        return date.column(cells, feature.model_copy(update={"optional": True}), how)
    convert = partial(number.value, feature=NumberFeature(optional=True, unit=feature.unit), how=how)
    if isinstance(cells, list):
        return exact(cells, convert, pa.float64())
    numbers = number.as_floats(cells, how, unit=feature.unit)
    is_valid = np.abs(numbers) <= number.MAX_INPUT
    return patched(pa.array(np.where(is_valid, numbers, 0.0)), ~is_valid, cells, convert)


def _expected(feature: Kinds) -> str:
    if isinstance(feature, DateFeature):
        return date.EXPECTED.get(feature.format, f"a date as {feature.format}")
    return "a number"


def _declared(name: str, spec: DatasetSpec) -> Kinds | None:
    """Returns the feature by which rows are split; None where the column is no feature.

    Raises:
        ConfigError: It is neither a date nor a number.
    """
    feature = spec.features.get(name)
    if feature is None or isinstance(feature, Kinds):
        return feature
    raise ConfigError(
        f"data.roles.time: expected a column of dates or numbers, {name} is a {feature.kind}; name another, or set its "
        "kind in data.features."
    )


def _plain_kind(kind: str) -> Kinds:
    return NumberFeature() if kind == "number" else DateFeature()


def _kind_of(cells: Cells, how: Reading) -> str | None:
    """Returns what the first cell of a column that is no feature is, date or number; None where all are absent."""
    for cell in cells if isinstance(cells, list) else (one.as_py() for one in cells):
        if not how.is_absent(cell):
            try:
                number.value(cell, NumberFeature(), how)
            except Unusable:
                return "date"
            return "number"
    return None


def check_time(config: DataConfig, spec: DatasetSpec) -> None:
    """Raises ConfigError where rows cannot be split by the column that the settings name."""
    if config.roles.time:
        _declared(config.roles.time, spec)


def time_plan(paths: Paths, kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns `kind` of the column `data.roles.time` and `starts`, the first time of each split; reads all rows.

    Raises:
        DataError: There are too few different times.
    """
    name = str(config.roles.time)
    declared, all_times, column_kind = _declared(name, spec), [np.zeros(0)], None
    for path in paths:
        how = columns.reading(kind, config, path.parent)
        for block in blocks(path, kind, config):
            cells = block.column(name)
            if not declared and not column_kind and cells is not None:
                column_kind = _kind_of(plain(cells), how.of(optional=True))
            times, _ = read_times(block, name, declared or _plain_kind(column_kind or "date"), how)
            all_times.append(times[~np.isnan(times)])
    try:
        starts = time_starts(np.concatenate(all_times), config.cut_shares)
    except ValueError as error:
        raise DataError(
            f"data.roles.time: column {name} has {error}, expected at least {len(config.cut_shares) + 1}, one for each "
            "split: dates such as 2026-01-31, or numbers; dates in another form need their column among data.features."
        ) from None
    return {"kind": declared.kind if declared else column_kind or "date", "starts": starts}
