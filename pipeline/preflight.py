"""What is checked before any work: cheap, and without TensorFlow."""

import shutil

import psutil

from data.errors import ConfigError
from data.spec import ImageFeature
from pipeline import database
from pipeline.config import NamedConfig
from pipeline.places import Places

MIB = 2**20
# Models, event files and ML Metadata of a run; measured on digits and Fashion-MNIST: 3 to 20 MiB.
BASE_MIB = 100
# Activations and gradients of a small network for one float32 input, in inputs.
INPUTS_PER_STEP = 200


def check(named: NamedConfig, places: Places) -> None:
    """Raises ConfigError when the run cannot come to its end on this machine as it is."""
    _check_disk(named, places)
    _check_memory(named)
    database.check(places)


def row_bytes(named: NamedConfig) -> int:
    """Returns the size of one stored example, in bytes."""
    sizes = [
        feature.height * feature.width * feature.channels if isinstance(feature, ImageFeature) else 8
        for feature in named.dataset.spec.features.values()
    ]
    return sum(sizes) + 64


def _check_disk(named: NamedConfig, places: Places) -> None:
    rows = sum(named.dataset.spec.num_rows.values())  # 0 where it is not known before they are read
    needed = rows * row_bytes(named) / MIB + BASE_MIB
    free = shutil.disk_usage(places.runs).free / MIB
    if free < needed:
        raise ConfigError(
            f"{places.runs} has {free:,.0f} MiB free, a run of {named.name} needs about {needed:,.0f}; "
            "free some or choose another --home."
        )


def _check_memory(named: NamedConfig) -> None:
    batch = named.config.train.batch_size
    needed = batch * row_bytes(named) * 4 * INPUTS_PER_STEP / MIB
    available = psutil.virtual_memory().available / MIB
    if needed > available:
        raise ConfigError(
            f"train.batch_size: a step of {batch:,} examples needs about {needed:,.0f} MiB of memory, "
            f"{available:,.0f} are available; lower it."
        )
