"""Reads JSON Lines, one object per line, and JSON files with one array of objects."""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import DataError
from data.sources import archives
from data.sources.records import Record, TextFile, opened
from data.spec import Problem
from data.texts import is_name

TOO_LONG = "a number of thousands of digits"  # Python refuses to parse it
SEPARATORS = re.compile(r"[\s,]*")
# Begin of a line in which an array of objects begins, and begin of a line that is too short to decide.
ARRAY = re.compile(rb"[ \t\r\f\v]*\[[ \t\r\f\v]*(\{|\n|\Z)")
UNDECIDED = re.compile(rb"[ \t\r\f\v]*(\[[ \t\r\f\v]*)?\Z")
LINE_BYTES = 64  # that are examined first
PIECE_BYTES = 2**20  # least number of bytes that are decoded together
MAX_CUT_CHARACTERS = 16  # of a word, a number or an escape that may be cut off at the end of a piece


def columns(path: Path) -> list[str]:
    """Returns the keys of the first object; raises DataError when the first line is not an object."""
    first = next(read(path))
    if first.problem:
        raise DataError(f"{first.problem}.")
    return list(first.cells)


def read(path: Path) -> Iterator[Record]:
    """Yields the objects; another JSON value, or an invalid line, is a Problem.

    Raises:
        DataError: The file is not UTF-8 text, damaged, or has no object.
    """
    item, name = None, archives.name_of(path)
    with opened(path) as file:
        for item in objects(TextFile(path, file), name):
            yield Record(f"{name}:{item.line}", item.cells, item.problem, number=item.line)
    if not item:
        raise DataError(f"{name} has no rows.")


class Object(NamedTuple):
    """An object of a line, or an element of an array.

    Attributes:
        line: Line in which it begins.
        size: Approximate number of characters.
        cells: Its values by key; empty where it cannot be used.
        is_in_array: Whether it is an element of an array, which must be read to its end.
        problem: Its problem; None for a usable object.
    """

    line: int
    size: int
    cells: dict[str, Any]
    is_in_array: bool
    problem: Problem | None = None


def objects(text: TextFile, name: str, piece_bytes: int = PIECE_BYTES) -> Iterator[Object]:
    """Yields the objects of a file from its next line on, and the problems of values that are not objects.

    Args:
        text: The file; only the lines of the objects yielded so far are read, of an array some bytes more.
        name: The file as messages name it.
        piece_bytes: Number of bytes of an array in memory; more if an object is larger.

    Raises:
        DataError: An array of objects is incomplete or damaged.
    """
    for line, size, cells, problem, is_in_array in _values(text, name, piece_bytes):
        where = f"{name}:{line}"
        if not isinstance(cells, dict):
            invalid = Problem(where, "", "a JSON object", problem or type(cells).__name__, line)
        elif invalid_names := [key for key in cells if not is_name(key)]:
            description = f"{invalid_names[0]!r}, with a zero byte or half of a surrogate pair"
            invalid = Problem(where, "", "names that are Unicode text", description, line)
        else:
            yield Object(line, size, cells, is_in_array)
            continue
        yield Object(line, size, {}, is_in_array, invalid)


def _values(text: TextFile, name: str, piece_bytes: int) -> Iterator[tuple[int, int, Any, str, bool]]:
    """Yields for each value the line in which it begins, its size, the value, the error of an invalid line (else
    empty), and whether it is an element of an array.
    """
    lines = iter(text)
    while not _is_array(text):
        line = next(lines, "")
        if not line:
            return
        if line.strip():
            yield text.num_lines, len(line), *_value(line), False
    for number, size, value in _array(text, name, piece_bytes):
        yield number, size, value, "", True


def _is_array(text: TextFile) -> bool:
    """Returns whether an array of objects begins in the next line."""
    size = LINE_BYTES
    while True:
        next_bytes, is_last = text.ahead(size)
        next_bytes = next_bytes if text.num_bytes else next_bytes.removeprefix(codecs.BOM_UTF8)
        if is_last or not UNDECIDED.match(next_bytes):
            return bool(ARRAY.match(next_bytes))
        size *= 2


def _value(line: str) -> tuple[Any, str]:
    try:
        return json.loads(line), ""
    except json.JSONDecodeError as error:
        return None, f"{line.strip()[:30]!r} (column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]})"
    except RecursionError:
        return None, "one that is nested too deep"
    except ValueError:
        return None, TOO_LONG


def _array(text_file: TextFile, name: str, piece_bytes: int) -> Iterator[tuple[int, int, Any]]:
    """Yields for each element of an array the line in which it begins, its size and the value; see `objects`."""
    decoder, line = json.JSONDecoder(), text_file.num_lines + 1
    text, position, counted_to = "", 0, 0
    while "[" not in text:
        text += text_file.take(piece_bytes)
    position = text.index("[") + 1
    while True:
        position = SEPARATORS.match(text, position).end()  # type: ignore[union-attr]
        line, counted_to = line + text.count("\n", counted_to, position), position
        if text[position : position + 1] == "]":
            _refuse_trailing(text[position + 1 :], text_file, f"{name}:{line}")
            return
        try:
            value, end = decoder.raw_decode(text, position)
            error, is_cut = None, isinstance(value, int | float) and end >= len(text) - MAX_CUT_CHARACTERS  # 1 of 1e5
        except (ValueError, RecursionError) as raised:
            value, end, error, is_cut = None, position, raised, _is_cut(raised, text)
        next_text = text_file.take(max(piece_bytes, len(text) - position)) if is_cut else ""
        if next_text:
            text, position, counted_to = text[position:] + next_text, 0, 0
        elif error:
            reason = getattr(error, "msg", TOO_LONG if isinstance(error, ValueError) else "nested too deep")
            where = line + text.count("\n", counted_to, getattr(error, "pos", counted_to))
            raise DataError(f"{name}:{where}: the array of objects cannot be read any further ({reason}).") from error
        else:
            yield line, end - position, value
            position = end


def _refuse_trailing(text: str, file: TextFile, where: str) -> None:
    """Raises DataError where any text follows the end of an array."""
    while not text.strip():
        text = file.take(PIECE_BYTES)
        if not text:
            return
    raise DataError(f"{where}: the array of objects ends here, and more follows; remove it.")


def _is_cut(error: Exception, text: str) -> bool:
    """Returns whether a value may be invalid only because it is cut off at the end of `text`."""
    is_text = isinstance(error, json.JSONDecodeError) and error.msg.startswith("Unterminated string")
    return is_text or getattr(error, "pos", 0) >= len(text) - MAX_CUT_CHARACTERS
