"""Reads the idx format of MNIST and the data sets modelled on it.

Format: two zero bytes, a type byte (8 = uint8), the number of dimensions, then each dimension as a big-endian int32,
then the values (Yann LeCun, "The MNIST database of handwritten digits").
"""

import gzip
import zlib
from pathlib import Path

import numpy as np

from data.errors import DataError


def read_idx(path: Path) -> np.ndarray:
    """Returns the uint8 array of a gzipped idx file, in the shape that its header states.

    Raises:
        DataError: The file is not gzip, not idx of uint8, or shorter or longer than its header says.
    """
    try:
        content = gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({error}); fetch it again.") from error
    if len(content) < 4 or content[:3] != b"\0\0\x08":
        raise DataError(f"{path} is not an idx file of uint8: it begins with {content[:4]!r}; fetch it again.")
    num_dims = content[3]
    shape = tuple(np.frombuffer(content, ">i4", num_dims, offset=4).tolist())
    values = np.frombuffer(content, np.uint8, offset=4 + 4 * num_dims)
    if values.size != np.prod(shape):
        raise DataError(f"{path} holds {values.size:,} values, its header says {shape}; fetch it again.")
    return values.reshape(shape)
