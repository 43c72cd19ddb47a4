"""The data set that a run file's `data` section names: of the catalog, or made of files."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from data import catalog
from data.config import DataConfig
from data.secrets import resolve
from data.spec import READ_ORDER, Dataset, Stream


def module(config: DataConfig) -> str:
    """Returns the module that provides the data set; what it imports is the code that ingest depends on."""
    return "data.local" if config.name is None else f"data.catalog.{config.name}"


def load(config: DataConfig, name: str, base: Path) -> Dataset:
    """Returns the data set; reads no rows.

    Args:
        config: The `data` section.
        name: The pipeline's name, for files.
        base: Where relative paths of files start.

    Raises:
        ConfigError: The files are not there or not described as they must be.
        DataError: A file's header is not that of the features.
        KeyError: There is no data set of that name.
    """
    if config.name is not None:
        return catalog.load(config.name)
    # By its name: a named data set does not depend on the readers of files, nor wait for what they import.
    return importlib.import_module(module(config)).dataset(config, name, base)


def open_rows(dataset: Dataset, config: DataConfig) -> Stream:
    """Returns all rows, each with its split; raises DataError when no source has the data, or it is damaged."""
    folder = Path(resolve(str(config.folder))) if config.folder else None
    found = catalog.open_splits(dataset, config.source, folder)
    if not isinstance(found, Mapping):
        return found
    return ((split, row) for split in READ_ORDER for row in found[split])
