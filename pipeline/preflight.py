"""What is checked before any work: cheap, and without TensorFlow."""

import os
import shutil
from collections import Counter
from typing import Any

import psutil

from data import loading
from data.checks import RowChecks
from data.errors import ConfigError
from data.spec import SPLITS, LabelFeature
from pipeline import database
from pipeline.config import NamedConfig
from pipeline.places import Places

MIB = 2**20
MAX_CLASSES = 10  # that `headrace check` counts, the most frequent
# Models, event files and ML Metadata of a run; measured on digits and Fashion-MNIST: 3 to 20 MiB.
BASE_MIB = 100
# Activations and gradients of a small network for one float32 input, in inputs.
INPUTS_PER_STEP = 200


def check(named: NamedConfig, places: Places) -> None:
    """Raises ConfigError when the run cannot come to its end on this machine as it is."""
    _check_destination(places)
    _check_disk(named, places)
    _check_memory(named)
    database.check(places)


def read_everything(named: NamedConfig) -> dict[str, Any]:
    """Reads all rows as ingest does, and returns what there is: `splits`, each with `rows` and `classes`, and `notes`.

    Raises:
        DataError: The data is not fit to be trained on.
    """
    spec = named.dataset.spec
    labels = [name for name, feature in spec.features.items() if isinstance(feature, LabelFeature)]
    watcher = RowChecks(named.config.data.checks, spec)
    rows: Counter[str] = Counter()
    classes: dict[str, Counter[str]] = {split: Counter() for split in SPLITS}
    for split, row in watcher.watch(loading.open_rows(named.dataset, named.config.data)):
        rows[split] += 1
        classes[split].update(spec.features[name].classes[row[name]] for name in labels)
    found = {split: {"rows": rows[split], "classes": dict(classes[split].most_common(MAX_CLASSES))} for split in SPLITS}
    return {"splits": found, "notes": watcher.notes}


def _check_destination(places: Places) -> None:
    if places.serving.exists() and not os.access(places.serving, os.W_OK):
        raise ConfigError(
            f"{places.serving} cannot be written to; run `chmod u+w {places.serving}`, or mount its file system for "
            "writing."
        )


def _check_disk(named: NamedConfig, places: Places) -> None:
    needed = named.dataset.num_bytes() / MIB + BASE_MIB
    there = next(folder for folder in (places.runs, *places.runs.parents) if folder.exists())
    free = shutil.disk_usage(there).free / MIB
    if free < needed:
        raise ConfigError(
            f"{places.runs} has {free:,.0f} MiB free, a run of {named.name} needs about {needed:,.0f}; "
            "free some or choose another --home."
        )


def _check_memory(named: NamedConfig) -> None:
    batch = named.config.train.batch_size
    needed = batch * named.dataset.spec.row_bytes() * 4 * INPUTS_PER_STEP / MIB
    available = psutil.virtual_memory().available / MIB
    if needed > available:
        raise ConfigError(
            f"train.batch_size: a step of {batch:,} examples needs about {needed:,.0f} MiB of memory, "
            f"{available:,.0f} are available; lower it."
        )
