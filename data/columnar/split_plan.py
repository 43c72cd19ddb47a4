"""The split plan of files, computed from all rows: the rare classes, or the first time of each split."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from data.columnar import columns
from data.columnar.splitting import RARE_ROWS, by_time, time_starts
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.kinds import date, number
from data.kinds.cell import Cells, Column, ReadOptions, Unusable, as_plain_types, convert_cells, convert_doubtful, shown
from data.sources.blocks import Block
from data.sources.folders import classes as class_folders
from data.sources.tables.block_cache import blocks
from data.spec import DatasetSpec, DateFeature, LabelFeature, NumberFeature, Problem, TargetFeature

Paths = Sequence[Path]
TimeFeature = DateFeature | NumberFeature | TargetFeature


def rare_classes(paths: Paths, kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, list[str]]:
    """Returns label -> its classes with at least one row but fewer than RARE_ROWS; only labels with such classes.

    Stops reading as soon as every class has RARE_ROWS rows.

    Args:
        paths: The training files, which other splits are cut from.
        kind: Their format.
        config: Section `data` of the run file.
        spec: Features of the rows.
    """
    labels = spec.of(LabelFeature)
    if not labels:
        return {}
    counts = {name: np.zeros(len(feature.classes), np.int64) for name, feature in labels.items()}
    for name, values in _classes_by_label(paths, kind, config, labels):
        counts[name] += np.bincount(values[values >= 0], minlength=len(counts[name]))
        if all((label_counts >= RARE_ROWS).all() for label_counts in counts.values()):
            break
    rare = {
        name: [feature.classes[index] for index in np.flatnonzero((counts[name] > 0) & (counts[name] < RARE_ROWS))]
        for name, feature in labels.items()
    }
    return {name: classes for name, classes in rare.items() if classes}


def _classes_by_label(
    paths: Paths, kind: str, config: DataConfig, labels: Mapping[str, LabelFeature]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yields names of labels, each with the class indices of some rows, int64 `(rows,)`."""
    for path in paths:
        if kind.endswith("_folder"):  # which need not be read
            (feature,) = labels.values()
            listing = class_folders.examples(path, class_folders.column_of(kind))
            names: list[str | None] = [listing.class_of(file) for file in listing.files]
            options = columns.read_options(kind, config, path)
            yield class_folders.LABEL, _class_indices(pa.array(names, pa.string()), feature, options)
            continue
        options = columns.read_options(kind, config, path.parent)
        for block in blocks(path, kind, config):
            for name, feature in labels.items():
                yield name, classes_of(block, name, feature, options)


def classes_of(block: Block, name: str, feature: LabelFeature, options: ReadOptions) -> np.ndarray:
    """Returns the class index of each row in a label, int64 `(rows,)`; -1 for an unusable cell."""
    cells = block.column(name)
    return _class_indices([None] * len(block) if cells is None else cells, feature, options)


def _class_indices(cells: Cells, feature: LabelFeature, options: ReadOptions) -> np.ndarray:
    return columns.column(cells, feature, options).values.fill_null(-1).to_numpy(zero_copy_only=False)


@dataclass(frozen=True)
class TimeColumn:
    """The column by which rows are split.

    Attributes:
        name: Its name, `data.roles.time`.
        feature: Its kind and format.
        starts: Split -> its first time, see `data.columnar.splitting.time_starts`.
    """

    name: str
    feature: TimeFeature
    starts: Mapping[str, float]

    @classmethod
    def of(cls, plan: Mapping[str, Any], config: DataConfig, spec: DatasetSpec) -> "TimeColumn | None":
        """Returns the time column of a plan; None where rows are not split by time."""
        saved_plan, name = plan.get("time"), config.roles.time
        if not saved_plan or not name:
            return None
        return cls(name, _time_feature(name, spec) or _default_feature(saved_plan["kind"]), saved_plan["starts"])

    def splits(self, block: Block, options: ReadOptions) -> tuple[Block, np.ndarray, list[tuple[Problem, ...]]]:
        """Returns the rows that have a time, the split of each, int8 `(rows,)`, and the problem of each other row."""
        times, errors = read_times(block, self.name, self.feature, options)
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


def read_times(
    block: Block, name: str, feature: TimeFeature, options: ReadOptions
) -> tuple[np.ndarray, dict[int, Unusable]]:
    """Returns the times of rows, float64 `(rows,)`, NaN for unusable cells, and row -> error of those cells.

    A date becomes seconds since 1970; a number stays float64, since float32 would make close times equal.
    """
    cells = block.column(name)
    cells = [None] * len(block) if cells is None else as_plain_types(cells)
    stored = _time_column(cells, feature, options.of(optional=True))
    is_valid = stored.values.is_valid().to_numpy(zero_copy_only=False)
    values = stored.values.fill_null(0).to_numpy(zero_copy_only=False).astype(np.float64)
    missing = Unusable(_expected_cell(feature), shown(None))
    errors = {row: stored.problems.get(row, missing) for row in np.flatnonzero(~is_valid).tolist()}
    return np.where(is_valid, values, np.nan), errors


def _time_column(cells: Cells, feature: TimeFeature, options: ReadOptions) -> Column:
    """Returns dates as int64, numbers as float64; null for missing and unusable cells."""
    if isinstance(feature, DateFeature):
        return date.column(cells, feature.model_copy(update={"optional": True}), options)
    convert = partial(number.value, feature=NumberFeature(optional=True, unit=feature.unit), options=options)
    if isinstance(cells, list):
        return convert_cells(cells, convert, pa.float64())
    numbers = number.as_floats(cells, options, unit=feature.unit)
    is_valid = np.abs(numbers) <= number.MAX_INPUT
    return convert_doubtful(pa.array(np.where(is_valid, numbers, 0.0)), ~is_valid, cells, convert)


def _expected_cell(feature: TimeFeature) -> str:
    if isinstance(feature, DateFeature):
        return date.EXPECTED.get(feature.format, f"a date as {feature.format}")
    return "a number"


def _time_feature(name: str, spec: DatasetSpec) -> TimeFeature | None:
    """Returns the feature by which rows are split; None where the column is not a feature.

    Raises:
        ConfigError: The feature is neither a date nor a number.
    """
    feature = spec.features.get(name)
    if feature is None or isinstance(feature, TimeFeature):
        return feature
    raise ConfigError(
        f"data.roles.time: expected a column of dates or numbers, {name} is a {feature.kind}; name another, or set its "
        "kind in data.features."
    )


def _default_feature(kind: str) -> TimeFeature:
    return NumberFeature() if kind == "number" else DateFeature()


def _kind_of(cells: Cells, options: ReadOptions) -> str | None:
    """Returns the kind, date or number, of the first value in a column that is not a feature; None without values."""
    for cell in cells if isinstance(cells, list) else (scalar.as_py() for scalar in cells):
        if not options.is_absent(cell):
            try:
                number.value(cell, NumberFeature(), options)
            except Unusable:
                return "date"
            return "number"
    return None


def check_time(config: DataConfig, spec: DatasetSpec) -> None:
    """Raises ConfigError where rows cannot be split by the column that the settings name."""
    if config.roles.time:
        _time_feature(config.roles.time, spec)


def time_plan(paths: Paths, kind: str, config: DataConfig, spec: DatasetSpec) -> dict[str, Any]:
    """Returns `kind` of the column `data.roles.time` and `starts`, the first time of each split; reads all rows.

    Raises:
        DataError: There are fewer different times than splits.
    """
    name = str(config.roles.time)
    declared, all_times, column_kind = _time_feature(name, spec), [np.zeros(0)], None
    for path in paths:
        options = columns.read_options(kind, config, path.parent)
        for block in blocks(path, kind, config):
            cells = block.column(name)
            if not declared and not column_kind and cells is not None:
                column_kind = _kind_of(as_plain_types(cells), options.of(optional=True))
            times, _ = read_times(block, name, declared or _default_feature(column_kind or "date"), options)
            all_times.append(times[~np.isnan(times)])
    try:
        starts = time_starts(np.concatenate(all_times), config.cut_shares)
    except ValueError as error:
        raise DataError(
            f"data.roles.time: column {name} has {error}, expected at least {len(config.cut_shares) + 1}, one for each "
            "split: dates such as 2026-01-31, or numbers; dates in another form need their column among data.features."
        ) from None
    return {"kind": declared.kind if declared else column_kind or "date", "starts": starts}
