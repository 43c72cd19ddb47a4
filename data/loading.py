"""The data set that a run file's `data` section names: of the catalog, or made of files."""

import importlib
from collections.abc import Mapping
from pathlib import Path

from data import catalog
from data.config import DataConfig
from data.secrets import resolve
from data.spec import READ_ORDER, BadRow, Dataset, Row, Stream

SHARE_BUCKETS = 100_000


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
    """Returns all rows, each with its split; raises DataError when no source has the data, or it is damaged.

    With `train_share` below 1 as many rows of the training split are left out, the same each time.
    """
    rows = _every_row(dataset, config)
    if config.train_share == 1:
        return rows
    from data.splitting import bucket  # loads NumPy, which a look at the settings need not wait for

    kept = round(config.train_share * SHARE_BUCKETS)
    return (
        (split, row)
        for split, row in rows
        if split != "train" or isinstance(row, BadRow) or bucket(_content(row), SHARE_BUCKETS) < kept
    )


def _content(row: Row) -> bytes:
    parts = (value.tobytes() if hasattr(value, "tobytes") else repr(value).encode() for value in row.values())
    return b"share" + b"\0".join(parts)  # other buckets than those of the splits


def _every_row(dataset: Dataset, config: DataConfig) -> Stream:
    folder = Path(resolve(str(config.folder))) if config.folder else None
    found = catalog.open_splits(dataset, config.source, folder)
    if not isinstance(found, Mapping):
        return found
    return ((split, row) for split in READ_ORDER for row in found[split])
