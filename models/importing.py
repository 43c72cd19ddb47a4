"""Imports without garbage collection."""

import contextlib
import gc
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """Within this block, for imports, the garbage collector does not run; what was imported is never scanned later.

    Modules stay as long as the process. While TFX, Beam and TensorFlow are imported, their objects soon are half a
    million, which the collector would scan again and again, as it would in the run: 2.0 of the 13 CPU s until the first
    training step of Fashion-MNIST.
    """
    num_modules, was_enabled = len(sys.modules), gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if len(sys.modules) > num_modules:  # else all was imported, and frozen, by an earlier block
            gc.freeze()
        if was_enabled:
            gc.enable()
