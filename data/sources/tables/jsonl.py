"""Reads JSON Lines, one object a line, and JSON files that hold one array of objects."""

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from data.errors import DataError
from data.sources import archives
from data.sources.records import Record, text_lines
from data.spec import Problem
from data.texts import is_name

TOO_LONG = "a number of thousands of digits"  # that Python refuses to read
BETWEEN = re.compile(r"[\s,]*")


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
    for found in objects(text_lines(path), name):
        yield Record(f"{name}:{found.line}", found.cells, found.problem)
    if not found:
        raise DataError(f"{name} has no rows.")


class Object(NamedTuple):
    """What stands in a line, or at a place of an array.

    Attributes:
        line: The line in which it begins.
        size: How many characters it has, about.
        cells: Its values; none where it is no object.
        problem: Why it cannot be used; None where it can.
    """

    line: int
    size: int
    cells: dict[str, Any]
    problem: Problem | None = None


def objects(lines: Iterable[str], name: str, first_line: int = 1) -> Iterator[Object]:
    """Yields the objects in the lines of a file, and what stands there in the place of one.

    Args:
        lines: The lines; no more of them are read than for what is yielded.
        name: The file as messages name it.
        first_line: The number of the first.

    Raises:
        DataError: An array of objects is not whole.
    """
    for line, size, cells, problem in _values(enumerate(lines, start=first_line), name):
        where = f"{name}:{line}"
        if not isinstance(cells, dict):
            wrong = Problem(where, "", "a JSON object", problem or type(cells).__name__)
        elif bad := [key for key in cells if not is_name(key)]:
            found = f"{bad[0]!r}, with a zero byte or half of a surrogate pair"
            wrong = Problem(where, "", "names that are Unicode text", found)
        else:
            yield Object(line, size, cells)
            continue
        yield Object(line, size, {}, wrong)


def _values(lines: Iterator[tuple[int, str]], name: str) -> Iterator[tuple[int, int, Any, str]]:
    """Yields the line in which each value begins, its size, the value, and what is wrong where it is none."""
    for number, line in lines:
        if not line.strip():
            continue
        if line.lstrip()[:1] == "[" and line.strip()[1:].lstrip()[:1] in ("", "{"):
            yield from _array(line + "".join(rest for _, rest in lines), number, name)
            return
        yield number, len(line), *_value(line)


def _value(line: str) -> tuple[Any, str]:
    try:
        return json.loads(line), ""
    except json.JSONDecodeError as error:
        return None, f"{line.strip()[:30]!r} (column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]})"
    except RecursionError:
        return None, "one that is nested too deep"
    except ValueError:
        return None, TOO_LONG


def _array(text: str, line: int, name: str) -> Iterator[tuple[int, int, Any, str]]:
    """Yields as `_values` does the values of an array; `line` is the first of the text. It is held in memory."""
    decoder, position, counted = json.JSONDecoder(), text.index("[") + 1, 0
    while True:
        position = BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, position), position
        if text[position : position + 1] == "]":
            if text[position + 1 :].strip():
                raise DataError(f"{name}:{line}: the array of objects ends here, and more follows; remove it.")
            return
        begin = position
        try:
            value, position = decoder.raw_decode(text, begin)
        except (ValueError, RecursionError) as error:
            reason = getattr(error, "msg", TOO_LONG if isinstance(error, ValueError) else "nested too deep")
            where = line + text.count("\n", counted, getattr(error, "pos", counted))
            raise DataError(f"{name}:{where}: the array of objects cannot be read any further ({reason}).") from error
        yield line, position - begin, value, ""
