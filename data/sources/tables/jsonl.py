"""Reads JSON Lines, one object a line, and JSON files that hold one array of objects."""

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

TOO_LONG = "a number of thousands of digits"  # that Python refuses to read
BETWEEN = re.compile(r"[\s,]*")
# The begin of a line in which an array of objects begins, and what does not tell yet whether one does.
ARRAY = re.compile(rb"[ \t\r\f\v]*\[[ \t\r\f\v]*(\{|\n|\Z)")
UNTOLD = re.compile(rb"[ \t\r\f\v]*(\[[ \t\r\f\v]*)?\Z")
LINE_BYTES = 64  # that are looked at first
PIECE_BYTES = 2**20  # of a file that are decoded at once, at least
MAX_CUT = 16  # characters of a word, a number or an escape that a piece may have cut


def columns(path: Path) -> list[str]:
    """Returns the keys of the first object; raises DataError when the first line is none."""
    first = next(read(path))
    if first.problem:
        raise DataError(f"{first.problem}.")
    return list(first.cells)


def read(path: Path) -> Iterator[Record]:
    """Yields the objects; what is none is a Problem.

    Raises:
        DataError: The file is not UTF-8 text, damaged, or has no object.
    """
    found, name = None, archives.name_of(path)
    with opened(path) as file:
        for found in objects(TextFile(path, file), name):
            yield Record(f"{name}:{found.line}", found.cells, found.problem, number=found.line)
    if not found:
        raise DataError(f"{name} has no rows.")


class Object(NamedTuple):
    """What stands in a line, or at a place of an array.

    Attributes:
        line: The line in which it begins.
        size: How many characters it has, about.
        cells: Its values; none where it is no object.
        is_in_array: Whether it stands in an array, to be read to its end.
        problem: Why it cannot be used; None where it can.
    """

    line: int
    size: int
    cells: dict[str, Any]
    is_in_array: bool
    problem: Problem | None = None


def objects(text: TextFile, name: str, piece_bytes: int = PIECE_BYTES) -> Iterator[Object]:
    """Yields the objects in a file from where its next line begins, and what stands there in the place of one.

    Args:
        text: The file; no more lines of it are read than for what is yielded, of an array some bytes more.
        name: The file as messages name it.
        piece_bytes: How many bytes of an array are held in memory, more where an object is larger.

    Raises:
        DataError: An array of objects is not whole.
    """
    for line, size, cells, problem, is_in_array in _values(text, name, piece_bytes):
        where = f"{name}:{line}"
        if not isinstance(cells, dict):
            wrong = Problem(where, "", "a JSON object", problem or type(cells).__name__, line)
        elif bad := [key for key in cells if not is_name(key)]:
            found = f"{bad[0]!r}, with a zero byte or half of a surrogate pair"
            wrong = Problem(where, "", "names that are Unicode text", found, line)
        else:
            yield Object(line, size, cells, is_in_array)
            continue
        yield Object(line, size, {}, is_in_array, wrong)


def _values(text: TextFile, name: str, piece_bytes: int) -> Iterator[tuple[int, int, Any, str, bool]]:
    """Yields the line in which each value begins, its size, the value, what is wrong where it is none, and whether it
    is of an array.
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
        begin, is_last = text.ahead(size)
        begin = begin if text.num_bytes else begin.removeprefix(codecs.BOM_UTF8)
        if is_last or not UNTOLD.match(begin):
            return bool(ARRAY.match(begin))
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


def _array(file: TextFile, name: str, piece_bytes: int) -> Iterator[tuple[int, int, Any]]:
    """Yields the line in which each value of an array begins, its size and the value; see `objects`."""
    decoder, line = json.JSONDecoder(), file.num_lines + 1
    text, position, counted = "", 0, 0
    while "[" not in text:
        text += file.take(piece_bytes)
    position = text.index("[") + 1
    while True:
        position = BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, position), position
        if text[position : position + 1] == "]":
            _refuse_more(text[position + 1 :], file, f"{name}:{line}")
            return
        try:
            value, end = decoder.raw_decode(text, position)
            error, is_cut = None, isinstance(value, int | float) and end >= len(text) - MAX_CUT  # 1 of 1e5
        except (ValueError, RecursionError) as raised:
            value, end, error, is_cut = None, position, raised, _is_cut(raised, text)
        more = file.take(max(piece_bytes, len(text) - position)) if is_cut else ""
        if more:
            text, position, counted = text[position:] + more, 0, 0
        elif error:
            reason = getattr(error, "msg", TOO_LONG if isinstance(error, ValueError) else "nested too deep")
            where = line + text.count("\n", counted, getattr(error, "pos", counted))
            raise DataError(f"{name}:{where}: the array of objects cannot be read any further ({reason}).") from error
        else:
            yield line, end - position, value
            position = end


def _refuse_more(text: str, file: TextFile, where: str) -> None:
    """Raises DataError where something follows the end of an array."""
    while not text.strip():
        text = file.take(PIECE_BYTES)
        if not text:
            return
    raise DataError(f"{where}: the array of objects ends here, and more follows; remove it.")


def _is_cut(error: Exception, text: str) -> bool:
    """Returns whether a value that cannot be read may only be cut off at the end of a text."""
    is_text = isinstance(error, json.JSONDecodeError) and error.msg.startswith("Unterminated string")
    return is_text or getattr(error, "pos", 0) >= len(text) - MAX_CUT
