"""Records, the rows of a file one by one with their cells unchanged, and text files as the exact readers read them."""

import gzip
import os
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
MAX_CHARACTER = 4  # bytes of UTF-8


@dataclass(frozen=True)
class Record:
    """One row of a file.

    Attributes:
        where: Location of the row, for a message: its file and its number in it.
        cells: Column -> value of the cell; None for an empty one.
        problem: Problem of the row as a whole; None for a usable row.
        group: Group of the row; None without one. Readers of files do not set it.
        number: Number of the row in its file: its line in a text file, else counted from 1; 0 where the row is a file.
    """

    where: str
    cells: Mapping[str, Any]
    problem: Problem | None = None
    group: str | None = None
    number: int = 0


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens a file for reading bytes, decompressed if its name ends with .gz; for a .zip file the one table in it.

    Raises:
        DataError: It cannot be opened, is empty, or is a truncated or damaged gzip file; see `archives.opened`.
    """
    if archives.is_zip(path):
        with archives.opened(path) as file:
            yield file
        return
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
        with gzip.open(path) if archives.is_gzip(path) else path.open("rb") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({str(error).rstrip('.')}); fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


class TextFile:
    """A UTF-8 text file, read by lines, or by bytes where the caller decodes them.

    Attributes:
        num_lines: Number of lines that have been read.
        num_bytes: Number of bytes that have been read.
    """

    def __init__(self, path: Path, file: IO[bytes]):
        """Reads a file that is `opened`."""
        self._path, self._file, self._buffer, self._position = path, file, b"", 0
        self._has_non_ascii = False
        self._line_bytes_read = 0  # of a line that is read in part
        self.num_lines = self.num_bytes = 0
        self._size = path.stat().st_size if archives.is_gzip(path) else archives.num_bytes(path)

    @property
    def share(self) -> float:
        """Returns the share of the file that has been read, up to 1; of a gzip file that of its compressed bytes."""
        num_read = self.num_bytes
        if isinstance(self._file, gzip.GzipFile):  # its uncompressed size is unknown
            num_read = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
        return min(num_read / max(self._size, 1), 1.0)

    def __iter__(self) -> Iterator[str]:
        """Yields the lines, their ends as they are; a byte order mark is left out.

        Raises:
            DataError: The file is in another encoding; the message has the line, and the command that converts it.
        """
        while line := self._line():
            self.num_lines += 1
            self.num_bytes += len(line)
            if self.num_lines == 1:
                _refuse_wide(line, self._path)
                line = line.removeprefix(b"\xef\xbb\xbf")
            try:
                text = line.decode()
            except UnicodeDecodeError as error:
                raise self._not_utf8(line, error.start) from error
            self._has_non_ascii = self._has_non_ascii or not line.isascii()
            yield text

    def ahead(self, size: int) -> tuple[bytes, bool]:
        """Returns the next `size` bytes without reading on, fewer at the end, and whether the file ends with them."""
        num_available = len(self._buffer) - self._position
        if num_available < size:
            self._buffer, self._position = self._buffer[self._position :] + self._file.read(size - num_available), 0
        content = self._buffer[self._position : self._position + size]
        return content, len(content) < size

    def take(self, size: int) -> str:
        """Reads about `size` bytes, whole characters up to one that is not UTF-8; returns empty text at the end.

        Raises:
            DataError: The next byte is not UTF-8, as in iteration.
        """
        content, _ = self.ahead(max(size, MAX_CHARACTER))
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            if not error.start:
                self.num_lines += not self._line_bytes_read
                raise self._not_utf8(self.ahead(MAX_SAMPLE)[0].partition(b"\n")[0], 0) from error
            content = content[: error.start]
            text = content.decode()
        if not self.num_bytes:
            text = text.removeprefix("\ufeff")
        begin = content.rfind(b"\n") + 1
        self.num_lines += content.count(b"\n") + (begin < len(content)) - bool(self._line_bytes_read)
        self._line_bytes_read = len(content) - begin + (0 if begin else self._line_bytes_read)
        self._position += len(content)
        self.num_bytes += len(content)
        self._has_non_ascii = self._has_non_ascii or not text.isascii()
        return text

    def skip(self, size: int) -> None:
        """Skips bytes that `ahead` returned; they must be whole lines of UTF-8."""
        lines = self._buffer[self._position : self._position + size]
        self.num_lines += lines.count(b"\n")
        self._has_non_ascii = self._has_non_ascii or not lines.isascii()
        self._position += size
        self.num_bytes += size

    def _line(self) -> bytes:
        if self._position == len(self._buffer):
            return self._file.readline()
        begin, end = self._position, self._buffer.find(b"\n", self._position) + 1
        if end:
            self._position = end
            return self._buffer[begin:end]
        self._position = len(self._buffer)
        return self._buffer[begin:] + self._file.readline()

    def _not_utf8(self, line: bytes, position: int) -> DataError:
        byte = f"byte 0x{line[position]:02x} at position {self._line_bytes_read + position + 1} of the line"
        sample = line if self._has_non_ascii else line + self.ahead(MAX_SAMPLE)[0]
        description, fix = _other_encoding(sample, byte, self._path, is_mixed=self._has_non_ascii)
        return DataError(f"{archives.name_of(self._path)}:{self.num_lines}: expected UTF-8, found {description}; {fix}")


def text_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, as `TextFile` does; raises DataError also when the file is empty."""
    with opened(path) as file:
        yield from TextFile(path, file)


def _other_encoding(content: bytes, byte: str, path: Path, *, is_mixed: bool) -> tuple[str, str]:
    """Returns phrases for a message: the likely encoding, and the remedy."""
    encoding_name = encoding.recognised(content)
    description = f"what looks like {encoding_name} ({byte})" if encoding_name else byte
    if is_mixed:  # converting the whole file would damage the other lines
        return description, "lines before it are UTF-8: mend this one."
    return description, _conversion(path, encoding_name or "ITS_ENCODING")


def _conversion(path: Path, encoding_name: str) -> str:
    """Returns the command that converts a file, decompressed, to UTF-8."""
    unpack_command = {".gz": "zcat", ".zip": "unzip -p"}.get(path.suffix.lower())
    table = PurePath(archives.name_of(path))
    ending = (table.with_suffix("") if archives.is_gzip(table) else table).suffix
    stem = (path.stem if unpack_command else path.name).removesuffix(ending)
    target = path.with_name(f"{stem}.utf8{ending}")
    file, converted = shlex.quote(str(path)), shlex.quote(str(target))
    command = f"iconv -f {encoding_name} -t UTF-8"
    command = f"{unpack_command} {file} | {command}" if unpack_command else f"{command} {file}"
    return f"convert the file: {command} > {converted}"


def _refuse_wide(line: bytes, path: Path) -> None:
    name, encoding_name = archives.name_of(path), encoding.marked(line)
    if encoding_name:
        raise DataError(f"{name}:1: expected UTF-8, found {encoding_name}; {_conversion(path, encoding_name)}")
    if b"\0" in line:
        raise DataError(f"{name}:1: expected UTF-8 text, found a zero byte; it is binary, or UTF-16 without a mark.")
