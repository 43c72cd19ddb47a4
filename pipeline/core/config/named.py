"""Loads a run file by pipeline name or path, with its data set."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from data import catalog, loading
from data.errors import ConfigError
from data.spec import Dataset
from pipeline.core.config.messages import unknown
from pipeline.core.config.run_file import Positions, parse_with_positions
from pipeline.core.config.settings import RunConfig

CONFIGS = Path(__file__).parents[2] / "configs"


@dataclass(frozen=True)
class NamedConfig:
    """A resolved run file.

    Attributes:
        name: Name of the pipeline: the name of the file without extension.
        config: The settings, defaults filled in.
        dataset: The data set that the settings name.
        base: Folder of the run file, to which data paths are relative.
    """

    name: str
    config: RunConfig
    dataset: Dataset
    base: Path


def names() -> list[str]:
    """Returns the names of the pipelines that ship with Headrace."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def load(name_or_file: str, overrides: Sequence[str] = ()) -> NamedConfig:
    """Returns the settings of a named pipeline or of a YAML file, with `a.b=3` overrides applied.

    Raises:
        ConfigError: There is no such pipeline or file, or a setting is invalid; the message has its position.
        DataError: A data file lacks a column that the settings name.
    """
    path = find(name_or_file)
    check_name(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text ({error}).") from error
    config, positions = parse_with_positions(text, path.name, overrides)
    base = path.resolve().parent
    return NamedConfig(path.stem, config, find_data(config, path, base, positions=positions), base)


def check_name(path: Path) -> None:
    """Raises ConfigError if the name of a run file is no valid pipeline name."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", path.stem):
        raise ConfigError(
            f"{path.name}: a pipeline is named after its file, which takes letters, digits, - and _ only."
        )


def find(name_or_file: str) -> Path:
    """Returns the path of a run file by pipeline name or path; raises ConfigError if there is none."""
    if name_or_file.endswith((".yaml", ".yml")) or "/" in name_or_file:
        path = Path(name_or_file)
        if not path.is_file():
            raise ConfigError(
                f"There is no run file {path}; `headrace list` shows the pipelines that ship with Headrace."
            )
        return path
    if name_or_file not in names():
        raise ConfigError(unknown("pipeline", name_or_file, names()))
    return CONFIGS / f"{name_or_file}.yaml"


def find_data(config: RunConfig, path: Path, base: Path, *, positions: Positions | None = None) -> Dataset:
    """Returns the data set of the settings, after checking settings against it; reads no rows.

    Args:
        config: The settings.
        path: The run file, for its name in messages and the pipeline's.
        base: Folder to which data paths are relative.
        positions: Positions of the settings, for messages; None if they were not read from a run file.

    Raises:
        ConfigError: No such data set, source or file, data that the task cannot learn from, a batch larger than the
            training split, or a threshold on a metric that the task does not compute, outside its range, or a least
            value of a metric of which lower is better, or the reverse.
        DataError: A data file lacks a column that the settings name.
    """
    name, source, file = config.data.name, config.data.source, path.name
    positions = positions or Positions(file)
    if name is not None and name not in catalog.names():
        raise ConfigError(f"{positions.of(('data', 'name'))}: data.name: {unknown('data set', name, catalog.names())}")
    try:
        dataset = loading.load(config.data, path.stem, base)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    if source not in ("auto", *dataset.sources):
        where = positions.of(("data", "source"))
        raise ConfigError(f"{where}: data.source: {unknown('source', source, ['auto', *dataset.sources])}")
    try:
        config.model.check_features(dataset.spec)
    except ValueError as error:
        raise ConfigError(f"{file}: task {config.task}: {error}") from None
    # For files, the number of rows is unknown until they are read.
    rows, batch_size = dataset.spec.num_rows.get("train"), config.train.batch_size
    if rows and batch_size > rows:
        raise ConfigError(
            f"{positions.of(('train', 'batch_size'))}: train.batch_size: expected at most {rows:,}, the rows of "
            f"{name}'s training split, found {batch_size:,}."
        )
    _check_thresholds(config, dataset, positions)
    return dataset


def _check_thresholds(config: RunConfig, dataset: Dataset, positions: Positions) -> None:
    ranges = config.model.metric_ranges(dataset.spec)
    lower_is_better = config.model.lower_is_better(dataset.spec)
    for name, threshold in config.evaluate.thresholds.items():
        keys = ("evaluate", "thresholds", name)
        if name not in ranges:
            raise ConfigError(f"{positions.of(keys)}: evaluate.thresholds: {unknown('metric', name, ranges)}")
        side, better = ("max", "lower") if name in lower_is_better else ("min", "higher")
        bound, (least, greatest) = getattr(threshold, side), ranges[name]
        where = f"{positions.of(keys)}: evaluate.thresholds.{name}"
        if bound is None:
            other = "min" if side == "max" else "max"
            raise ConfigError(f"{where}: expected {side}, since a {better} {name} is better, found {other}.")
        if not least <= bound <= greatest:
            raise ConfigError(f"{where}.{side}: expected from {least:g} to {greatest:g}, found {bound:g}.")
