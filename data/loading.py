"""The data set that a run file's `data` section names: of the catalog, or made of files."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import catalog
from data.config import DataConfig
from data.secrets import resolve
from data.spec import READ_ORDER, BadRow, Dataset, DatasetSpec, LocatedRow, Splits

if TYPE_CHECKING:  # NumPy and Arrow, which a look at the settings need not wait for
    from data.columnar.batches import Batch, Batches

SHARE_BUCKETS = 100_000


def module(config: DataConfig) -> str:
    """Returns the module that provides the data set; what it imports is the code that ingest depends on."""
    return "data.local" if config.name is None else f"data.catalog.{config.name}"


def load(config: DataConfig, name: str, base: Path, plan: Mapping[str, Any] | None = None) -> Dataset:
    """Returns the data set; reads no rows.

    Args:
        config: The `data` section.
        name: The pipeline's name, for files.
        base: Where relative paths of files start.
        plan: What of the splits follows from all rows, see `Dataset.split_plan`; None where that is to be found.

    Raises:
        ConfigError: The files are not there or not described as they must be.
        DataError: A file's header is not that of the features.
        KeyError: There is no data set of that name.
    """
    if config.name is not None:
        return catalog.load(config.name)
    # By its name: a named data set does not depend on the readers of files, nor wait for what they import.
    return importlib.import_module(module(config)).dataset(config, name, base, plan)


def open_batches(dataset: Dataset, config: DataConfig) -> "Batches":
    """Returns all rows as batches; raises DataError when no source has the data, or it is damaged.

    With `train_share` below 1 only that share of the rows of the training split is kept, the same ones each time.
    """
    folder = Path(resolve(str(config.folder))) if config.folder else None
    opened = catalog.open_splits(dataset, config.source, folder)
    found = _of_splits(opened, dataset.spec) if isinstance(opened, Mapping) else opened
    if config.train_share == 1:
        return found
    kept = round(config.train_share * SHARE_BUCKETS)
    return (_with_share(batch, kept) for batch in found)


def _of_splits(splits: Splits, spec: DatasetSpec) -> "Batches":
    from data.columnar import batches

    return batches.of_rows(((split, row) for split in READ_ORDER for row in splits[split]), spec)


def _with_share(batch: "Batch", kept: int) -> "Batch":
    import numpy as np

    from data.columnar.batches import PLACES

    # By the other half of the digest than the splits, so that those do not decide which rows are left.
    is_kept = (batch.splits != PLACES["train"]) | (batch.digests[:, 1] % SHARE_BUCKETS < kept)
    return batch.take(np.flatnonzero(is_kept))


def open_rows(dataset: Dataset, config: DataConfig) -> Iterator[tuple[str, LocatedRow | BadRow]]:
    """Returns what `open_batches` does row by row, for few rows."""
    from data.columnar import batches

    return batches.rows(open_batches(dataset, config), dataset.spec)
