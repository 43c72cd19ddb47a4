"""The named data sets; each module here defines one `DATASET`."""

import importlib
import logging
import pkgutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from data.errors import DataError, SourceUnavailable
from data.spec import Dataset, Splits

logger = logging.getLogger(__name__)


def names() -> list[str]:
    """Returns the names of the data sets, sorted, without importing them."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def load(name: str) -> Dataset:
    """Returns a data set by name; raises KeyError when there is none of that name."""
    if name not in names():
        raise KeyError(name)
    return importlib.import_module(f"{__name__}.{name}").DATASET


def open_splits(dataset: Dataset, source: str = "auto", folder: Path | None = None) -> Splits | Iterable[Any]:
    """Returns the splits, or batches of all rows, from a source; `auto`: the first source that has the data.

    Raises:
        DataError: No source has the data, or the data is damaged.
    """
    reasons = []
    for candidate in dataset.sources if source == "auto" else [source]:
        try:
            splits = dataset.sources[candidate](folder)
        except SourceUnavailable as error:
            reasons.append(f"{candidate}: {error}")
        else:
            logger.info("%s read from source %s", dataset.spec.name, candidate)
            return splits
    raise DataError(f"Data set {dataset.spec.name} was not found. " + " ".join(reasons))
