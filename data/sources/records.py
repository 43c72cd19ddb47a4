"""What every reader of files yields: records, one a row of the file, their cells as they stand there."""

import gzip
import shlex
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import IO, Any

from data.errors import DataError
from data.sources import archives, encoding
from data.spec import Problem

MAX_SAMPLE = 65_536  # bytes that are read to recognise an encoding


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
            raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
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
    name, beyond_ascii = archives.name_of(path), False
    with opened(path) as file:
        for number, line in enumerate(file, start=1):
            if number == 1:
                _refuse_wide(line, path)
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                yield line.decode()
            except UnicodeDecodeError as error:
                byte = f"byte 0x{line[error.start]:02x} at position {error.start + 1} of the line"
                rest = line if beyond_ascii else line + file.read(MAX_SAMPLE)
                found, fix = _other_encoding(rest, byte, path, is_mixed=beyond_ascii)
                raise DataError(f"{name}:{number}: expected UTF-8, found {found}; {fix}") from error
            beyond_ascii = beyond_ascii or not line.isascii()


def _other_encoding(content: bytes, byte: str, path: Path, *, is_mixed: bool) -> tuple[str, str]:
    """Returns what was found in the place of UTF-8, and how to mend it, in words."""
    likely = encoding.recognised(content)
    found = f"what looks like {likely} ({byte})" if likely else byte
    if is_mixed:  # to convert all of it would spoil the lines that are right
        return found, "lines before it are UTF-8: mend this one."
    return found, _conversion(path, likely or "ITS_ENCODING")


def _conversion(path: Path, encoded: str) -> str:
    """Returns the command that makes a UTF-8 file of a file, of what is packed in it."""
    unpack = {".gz": "zcat", ".zip": "unzip -p"}.get(path.suffix.lower())
    table = PurePath(archives.name_of(path))
    ending = (table.with_suffix("") if table.suffix.lower() == ".gz" else table).suffix
    stem = (path.stem if unpack else path.name).removesuffix(ending)
    target = path.with_name(f"{stem}.utf8{ending}")
    file, converted = shlex.quote(str(path)), shlex.quote(str(target))
    command = f"iconv -f {encoded} -t UTF-8"
    command = f"{unpack} {file} | {command}" if unpack else f"{command} {file}"
    return f"convert the file: {command} > {converted}"


def _refuse_wide(line: bytes, path: Path) -> None:
    name, encoded = archives.name_of(path), encoding.marked(line)
    if encoded:
        raise DataError(f"{name}:1: expected UTF-8, found {encoded}; {_conversion(path, encoded)}")
    if b"\0" in line:
        raise DataError(f"{name}:1: expected UTF-8 text, found a zero byte; it is binary, or UTF-16 without a mark.")
