"""The data set of a run file's `data` section: a named one of the catalog, or files."""

import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import catalog
from data.config import DataConfig
from data.secrets import resolve
from data.spec import READ_ORDER, BadRow, Dataset, DatasetSpec, LocatedRow, Splits

if TYPE_CHECKING:  # NumPy and Arrow, which reading the settings need not load
    from data.columnar.batches import Batch, Batches

SHARE_BUCKETS = 100_000


def module(config: DataConfig) -> str:
    """Returns the name of the module that provides the data set; ingest depends on this module and its imports."""
    return "data.local" if config.name is None else f"data.catalog.{config.name}"


def load(config: DataConfig, name: str, base: Path, plan: Mapping[str, Any] | None = None) -> Dataset:
    """Returns the data set; reads no rows.

    Args:
        config: The `data` section.
        name: The pipeline's name, for files.
        base: Where relative paths of files start.
        plan: The split plan of an earlier reading, see `Dataset.split_plan`; None: it is computed when it is needed.

    Raises:
        ConfigError: The files are missing, or the settings do not describe them.
        DataError: The columns of a file are not those of the features.
        KeyError: The catalog has no data set of that name.
    """
    if config.name is not None:
        return catalog.load(config.name)
    # Imported by name: a named data set neither depends on the file readers nor waits for their imports.
    return importlib.import_module(module(config)).dataset(config, name, base, plan)


def open_batches(dataset: Dataset, config: DataConfig) -> "Batches":
    """Returns all rows as batches; raises DataError when no source has the data, or the data is damaged.

    With `train_share` below 1 only that share of the rows of the training split is kept, the same ones each time.
    """
    folder = Path(resolve(str(config.folder))) if config.folder else None
    opened = catalog.open_splits(dataset, config.source, folder)
    batches = _batches_of_splits(opened, dataset.spec) if isinstance(opened, Mapping) else opened
    if config.train_share == 1:
        return batches
    num_buckets = round(config.train_share * SHARE_BUCKETS)
    return (_keep_train_share(batch, num_buckets) for batch in batches)


def _batches_of_splits(splits: Splits, spec: DatasetSpec) -> "Batches":
    from data.columnar import batches

    return batches.of_rows(((split, row) for split in READ_ORDER for row in splits[split]), spec)


def _keep_train_share(batch: "Batch", num_buckets: int) -> "Batch":
    import numpy as np

    from data.columnar.batches import SPLIT_INDEX

    # By the second half of the digest: splits are cut by the first half, and the share must not depend on it.
    is_kept = (batch.splits != SPLIT_INDEX["train"]) | (batch.digests[:, 1] % SHARE_BUCKETS < num_buckets)
    return batch.take(np.flatnonzero(is_kept))


def open_rows(dataset: Dataset, config: DataConfig) -> Iterator[tuple[str, LocatedRow | BadRow]]:
    """Returns the rows of `open_batches` one by one, each with its split; slow, for few rows."""
    from data.columnar import batches

    return batches.rows(open_batches(dataset, config), dataset.spec)
