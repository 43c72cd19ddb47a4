"""Devices and precision of a training."""

from collections.abc import Sequence

import tensorflow as tf

from models.precision import gpu_capabilities


def choose_strategy(name: str, devices: Sequence[str] | None = None) -> tf.distribute.Strategy:
    """Returns the distribution strategy.

    Args:
        name: `auto`, `one_device` or `mirrored`.
        devices: Names of the devices to use; by default the GPUs, and without a GPU the logical CPUs.
    """
    if devices is None:
        kind = "GPU" if tf.config.list_physical_devices("GPU") else "CPU"
        devices = [device.name for device in tf.config.list_logical_devices(kind)]
    is_mirrored = name == "mirrored" or (name == "auto" and len(devices) > 1 and "GPU" in devices[0])
    return tf.distribute.MirroredStrategy(devices) if is_mirrored else tf.distribute.get_strategy()


def device_names(strategy: tf.distribute.Strategy) -> str:
    """Returns a short description of the devices of a strategy."""
    if isinstance(strategy, tf.distribute.MirroredStrategy):
        return f"{strategy.num_replicas_in_sync} mirrored devices"
    return "one GPU" if tf.config.list_physical_devices("GPU") else "CPU"


def choose_precision(name: str, capabilities: Sequence[tuple[int, int]] | None = None) -> str:
    """Returns the name of the Keras dtype policy.

    Args:
        name: `auto` or the name of a policy.
        capabilities: CUDA compute capability of each GPU; by default of those of this machine.
    """
    if name != "auto":
        return name
    if capabilities is None:
        capabilities = gpu_capabilities()
    if not capabilities or min(capabilities) < (7, 0):
        return "float32"
    # Tensor cores take float16 from 7.0 (Volta) and bfloat16, which needs no loss scaling, from 8.0 (Ampere).
    return "mixed_bfloat16" if min(capabilities) >= (8, 0) else "mixed_float16"
