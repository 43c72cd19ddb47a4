"""Sequences in requests of rectangular tensors: shorter rows are padded after their end."""

from typing import Any

import numpy as np


def without_padding(values: np.ndarray) -> list[Any]:
    """Returns the values `(values,)` of a row up to the last that is no padding: not NaN, not an empty text."""
    is_value = values != b"" if values.dtype.kind in "OS" else ~np.isnan(values)
    (positions,) = np.nonzero(is_value)
    return values[: positions[-1] + 1].tolist() if len(positions) else []
