"""Rows of a file one by one, their cells as they stand there, and its text as the exact readers read it."""

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
        where: The file and the row in it, as a message names them.
        cells: Column -> what stands there; None for nothing.
        problem: Why the row as a whole cannot be used; None where it can.
        group: Which rows it belongs to; None where each stands for itself. Readers of files know of none.
        number: Where it stands in its file: its line in a text file, else a count from 1; 0 of a file by itself.
    """

    where: str
    cells: Mapping[str, Any]
    problem: Problem | None = None
    group: str | None = None
    number: int = 0


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
        with gzip.open(path) if archives.is_gzip(path) else path.open("rb") as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not a whole gzip file ({str(error).rstrip('.')}); fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


class TextFile:
    """A UTF-8 text file, read by lines and, where someone else decodes it, by the bytes ahead.

    Attributes:
        num_lines: How many lines have been read.
        num_bytes: How many bytes they have.
    """

    def __init__(self, path: Path, file: IO[bytes]):
        """Reads a file that is `opened`."""
        self._path, self._file, self._ahead, self._at = path, file, b"", 0
        self._beyond_ascii = False
        self._in_line = 0  # bytes of a line that is taken in part
        self.num_lines = self.num_bytes = 0
        self._size = path.stat().st_size if archives.is_gzip(path) else archives.num_bytes(path)

    @property
    def share(self) -> float:
        """Returns how much of the file has been read, up to 1: of its packed bytes where gzip has packed it."""
        read = self.num_bytes
        if isinstance(self._file, gzip.GzipFile):  # only reading it to its end tells how many others there are
            read = os.lseek(self._file.fileno(), 0, os.SEEK_CUR)
        return min(read / max(self._size, 1), 1.0)

    def __iter__(self) -> Iterator[str]:
        """Yields the lines, their ends as they are; a byte order mark is left out.

        Raises:
            DataError: The file is in another encoding; says where, and the command that converts it.
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
            self._beyond_ascii = self._beyond_ascii or not line.isascii()
            yield text

    def ahead(self, size: int) -> tuple[bytes, bool]:
        """Returns the bytes that come next, `size` of them or all that is left, and whether they are all."""
        left = len(self._ahead) - self._at
        if left < size:
            self._ahead, self._at = self._ahead[self._at :] + self._file.read(size - left), 0
        found = self._ahead[self._at : self._at + size]
        return found, len(found) < size

    def take(self, size: int) -> str:
        """Returns about `size` bytes that come next, whole characters up to one that is not UTF-8; empty at the end.

        Raises:
            DataError: The next byte is of another encoding, as in iteration.
        """
        content, _ = self.ahead(max(size, MAX_CHARACTER))
        try:
            text = content.decode()
        except UnicodeDecodeError as error:
            if not error.start:
                self.num_lines += not self._in_line
                raise self._not_utf8(self.ahead(MAX_SAMPLE)[0].partition(b"\n")[0], 0) from error
            content = content[: error.start]
            text = content.decode()
        if not self.num_bytes:
            text = text.removeprefix("\ufeff")
        begin = content.rfind(b"\n") + 1
        self.num_lines += content.count(b"\n") + (begin < len(content)) - bool(self._in_line)
        self._in_line = len(content) - begin + (0 if begin else self._in_line)
        self._at += len(content)
        self.num_bytes += len(content)
        self._beyond_ascii = self._beyond_ascii or not text.isascii()
        return text

    def skip(self, size: int) -> None:
        """Goes on behind bytes that `ahead` returned; they are whole lines, and UTF-8."""
        lines = self._ahead[self._at : self._at + size]
        self.num_lines += lines.count(b"\n")
        self._beyond_ascii = self._beyond_ascii or not lines.isascii()
        self._at += size
        self.num_bytes += size

    def _line(self) -> bytes:
        if self._at == len(self._ahead):
            return self._file.readline()
        begin, end = self._at, self._ahead.find(b"\n", self._at) + 1
        if end:
            self._at = end
            return self._ahead[begin:end]
        self._at = len(self._ahead)
        return self._ahead[begin:] + self._file.readline()

    def _not_utf8(self, line: bytes, position: int) -> DataError:
        byte = f"byte 0x{line[position]:02x} at position {self._in_line + position + 1} of the line"
        rest = line if self._beyond_ascii else line + self.ahead(MAX_SAMPLE)[0]
        found, fix = _other_encoding(rest, byte, self._path, is_mixed=self._beyond_ascii)
        return DataError(f"{archives.name_of(self._path)}:{self.num_lines}: expected UTF-8, found {found}; {fix}")


def text_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a UTF-8 text file, as `TextFile` does; raises DataError also when the file is empty."""
    with opened(path) as file:
        yield from TextFile(path, file)


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
    ending = (table.with_suffix("") if archives.is_gzip(table) else table).suffix
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
