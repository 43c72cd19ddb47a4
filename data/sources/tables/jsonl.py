"""Reads JSON Lines, one object a line, and JSON files that hold one array of objects."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.sources import archives
from data.sources.records import Record, text_lines
from data.spec import Problem
from data.texts import is_name

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
    count, name = 0, archives.name_of(path)
    for line, cells, problem in _values(path, name):
        count += 1
        where = f"{name}:{line}"
        if not isinstance(cells, dict):
            yield Record(where, {}, Problem(where, "", "a JSON object", problem or type(cells).__name__))
        elif bad := [key for key in cells if not is_name(key)]:
            found = f"{bad[0]!r}, with a zero byte or half of a surrogate pair"
            yield Record(where, {}, Problem(where, "", "names that are Unicode text", found))
        else:
            yield Record(where, cells)
    if not count:
        raise DataError(f"{name} has no rows.")


def _values(path: Path, name: str) -> Iterator[tuple[int, Any, str]]:
    """Yields the line in which each value begins, the value, and what is wrong where it is none."""
    lines = enumerate(text_lines(path), start=1)
    for number, line in lines:
        if not line.strip():
            continue
        if line.lstrip()[:1] == "[" and line.strip()[1:].lstrip()[:1] in ("", "{"):
            yield from _array(line + "".join(rest for _, rest in lines), number, name)
            return
        yield number, *_value(line)


def _value(line: str) -> tuple[Any, str]:
    try:
        return json.loads(line), ""
    except json.JSONDecodeError as error:
        return None, f"{line.strip()[:30]!r} (column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]})"
    except RecursionError:
        return None, "one that is nested too deep"


def _array(text: str, line: int, name: str) -> Iterator[tuple[int, Any, str]]:
    """Yields as `_values` does the values of an array; `line` is the first of the text. It is held in memory."""
    decoder, position, counted = json.JSONDecoder(), text.index("[") + 1, 0
    while True:
        position = BETWEEN.match(text, position).end()  # type: ignore[union-attr]
        line, counted = line + text.count("\n", counted, position), position
        if text[position : position + 1] == "]":
            if text[position + 1 :].strip():
                raise DataError(f"{name}:{line}: the array of objects ends here, and more follows; remove it.")
            return
        try:
            value, position = decoder.raw_decode(text, position)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = getattr(error, "msg", "nested too deep")
            where = line + text.count("\n", counted, getattr(error, "pos", counted))
            raise DataError(f"{name}:{where}: the array of objects cannot be read any further ({reason}).") from error
        yield line, value, ""
