"""Reads the one table in a zip file, and recognises compressed files."""

import contextlib
import lzma
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path, PurePath, PurePosixPath
from typing import IO

from data.config import TABLE_ENDINGS
from data.errors import DataError

# TensorFlow reads TFRecord files itself, but not from a zip file.
TABLE_SUFFIXES = tuple(ending for ending, kind in TABLE_ENDINGS.items() if kind != "tfrecord")
DOCUMENT_SUFFIXES = ("", ".txt", ".md", ".rst", ".html", ".pdf")  # of files that may accompany a table
MAX_DOCUMENTS = 10
# Text is compressed to a tenth, at best to a hundredth: larger files with a higher ratio are taken for zip bombs.
MAX_BYTES, MAX_RATIO = 2**30, 200
MAX_SHOWN = 5
MAX_NAME = 80  # characters


def is_zip(path: Path) -> bool:
    """Returns whether a path has the ending of a zip file."""
    return path.suffix.lower() == ".zip"


def is_gzip(path: PurePath) -> bool:
    """Returns whether a path has the ending of a gzip file."""
    return path.suffix.lower() == ".gz"


def name_of(path: Path) -> str:
    """Returns the name of a file in messages; of a zip file with the table in it, such as `rows.zip/rows.csv`.

    Raises:
        DataError: It is a zip file that does not hold one table, or is damaged.
    """
    if not is_zip(path) or path.is_dir():
        return str(path)
    with _archive(path) as archive:
        return f"{path}/{_shown(_table(path, archive))}"


def unpacked_bytes(path: Path) -> int:
    """Returns the size of the table in a zip file; raises DataError as `name_of` does."""
    with _archive(path) as archive:
        return _table(path, archive).file_size


def num_bytes(path: Path) -> int:
    """Returns the uncompressed size of a table; 0 for gzip, where it is unknown. Raises DataError as `name_of` does."""
    if is_zip(path):
        return unpacked_bytes(path)
    return 0 if is_gzip(path) else path.stat().st_size


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """Opens the table in a zip file for reading bytes.

    Raises:
        DataError: The file is damaged, has a password, unpacks to far more than a table would, or holds no table or
            several.
    """
    with _archive(path) as archive:
        info = _table(path, archive)
        packed = max(min(info.compress_size, path.stat().st_size), 1)
        if info.file_size > MAX_BYTES and info.file_size > MAX_RATIO * packed:
            raise DataError(
                f"{path}: {_shown(info)} has {packed:,} bytes that unpack to {info.file_size:,}, as a zip bomb's do; "
                "unpack it where there is room, if you trust it."
            )
        if info.flag_bits & 1:
            raise DataError(f"{path}: {_shown(info)} is protected by a password; unpack it first.")
        with archive.open(info) as file:
            yield file


@contextlib.contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        if path.stat().st_size == 0:
            raise DataError(f"{path} is empty (0 bytes); write or fetch it again.")
        with zipfile.ZipFile(path) as archive:
            yield archive
    except NotImplementedError as error:
        raise DataError(
            f"{path} is packed in a way that cannot be read here ({str(error).rstrip('.')}); unpack it first."
        ) from error
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, ValueError, struct.error) as error:
        raise DataError(f"{path} is not a whole zip file ({str(error).rstrip('.')[:120]}); fetch it again.") from error
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from error


def _table(path: Path, archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Returns the entry of the one table, else of the only file; hidden entries and those of macOS do not count."""
    files = [info for info in archive.infolist() if not info.is_dir() and not _is_hidden(info.filename)]
    tables = [info for info in files if _ending(info) in TABLE_SUFFIXES]
    others = [info for info in files if _ending(info) not in (*TABLE_SUFFIXES, *DOCUMENT_SUFFIXES)]
    if len(files) == 1:
        return files[0]
    if len(tables) == 1 and not others and len(files) <= MAX_DOCUMENTS:
        return tables[0]
    raise DataError(
        f"{path} holds {_contents(files)}, expected one table ({', '.join(TABLE_SUFFIXES)}); unpack it and name what "
        "to read."
    )


def _is_hidden(name: str) -> bool:
    return any(part.startswith((".", "__MACOSX")) for part in PurePosixPath(name).parts)


def _shown(info: zipfile.ZipInfo) -> str:
    name = info.filename if info.filename.isprintable() else repr(info.filename)[1:-1]
    return name if len(name) <= MAX_NAME else f"...{name[-MAX_NAME:]}"


def _ending(info: zipfile.ZipInfo) -> str:
    return PurePosixPath(info.filename).suffix.lower()


def _contents(files: list[zipfile.ZipInfo]) -> str:
    """Returns a short phrase about the files of a zip file, for a message."""
    if not files:
        return "no files"
    if len(files) <= MAX_SHOWN:
        return f"{len(files)} files ({', '.join(map(_shown, files))})"
    counts = Counter(_ending(info) or "no ending" for info in files)
    return f"{len(files):,} files ({', '.join(f'{count:,} {name}' for name, count in counts.most_common(MAX_SHOWN))})"
