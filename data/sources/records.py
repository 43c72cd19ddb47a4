"""What every reader of files yields: records, one a row of the file, their cells as they stand there."""

import gzip
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from data.errors import DataError
from data.sources import archives
from data.spec import Problem


@dataclass(frozen=True)
class Record:
    """One row of a file.

    Attributes:
        where: The file and the row in it: the line of a text file, else a count from 1.
        cells: Column -> what stands there; None for nothing.
        problem: Why the row as a whole cannot be used; None where it can.
        group: Which rows it belongs to; None where each stands for itself. Readers of files know of none.
    """

    where: str
    cells: Mapping[str, Any]
    problem: Problem | None = None
    group: str | None = None


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading bytes, through gzip when its name ends with .gz; of a .zip file the one table in it.

    Raises:
        DataError: It cannot be opened, is empty, or is no whole gzip file; see `archives.opened`.
    """
    if archives.is_zip(path):
        with archives.opened(path) as file:
            yield file
        return
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes); fetch it again.")
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({str(error).rstrip('.')}); fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def text_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, their ends as they are; a byte order mark is left out.

    Raises:
        DataError: The file is empty or in another encoding; says where, and the command that converts it.
    """
    name = archives.name_of(path)
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                _refuse_wide(line, name)
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                raise DataError(
                    f"{name}:{number}: expected UTF-8, found byte 0x{line[error.start]:02x} at position "
                    f"{error.start + 1} of the line; convert the file: iconv -f LATIN1 -t UTF-8 "
                    f"{name.rpartition('/')[2]}"
                ) from error


def _refuse_wide(line: bytes, name: str) -> None:
    for encoding, mark in (("UTF-32", b"\xff\xfe\0\0"), ("UTF-16", b"\xff\xfe"), ("UTF-16", b"\xfe\xff")):
        if line.startswith(mark):
            raise DataError(
                f"{name}:1: expected UTF-8, found {encoding}; convert the file: iconv -f {encoding} -t UTF-8 "
                f"{name.rpartition('/')[2]}"
            )
    if b"\0" in line:
        raise DataError(f"{name}:1: expected UTF-8 text, found a zero byte; it is binary, or UTF-16 without a mark.")
