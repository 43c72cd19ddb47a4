"""Reads data frames from installed R packages, without R.

A package keeps its data in a lazy-load database: `Rdata.rdx` has the offset and length of each compressed object in
`Rdata.rdb` (R Internals, "Lazy loading").
"""

import bz2
import gzip
import lzma
import warnings
import zlib
from pathlib import Path

from data.errors import DataError


def read_table(package: Path, name: str):
    """Returns the pandas.DataFrame `name` of the installed R package in the folder `package`.

    Raises:
        DataError: The package's data is damaged, or has no such table.
    """
    try:
        index = _parse(gzip.decompress((package / "data" / "Rdata.rdx").read_bytes()))
        offset, length = map(int, index["variables"][name])
        with (package / "data" / "Rdata.rdb").open("rb") as file:
            file.seek(offset)
            return _parse(_decompress(file.read(length)))
    except (OSError, EOFError, KeyError, ValueError, lzma.LZMAError, zlib.error) as error:
        raise DataError(f"{package} has no readable table {name} ({error}); fetch it again.") from error


def _parse(content: bytes):
    import rdata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about the encoding of texts, which it guesses
        return rdata.conversion.convert(rdata.parser.parse_data(content))


def _decompress(block: bytes) -> bytes:
    """Returns the content of an object: four bytes of length, a letter for the method (none: zlib), and the data."""
    method, content = block[4:5], block[5:]
    if method == b"2":
        return bz2.decompress(content)
    if method == b"Z":
        return lzma.decompress(content, lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA2}])
    return zlib.decompress(block[4:])
