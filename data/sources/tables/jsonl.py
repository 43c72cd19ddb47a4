"""Reads JSON Lines: one object a line."""

import json
from collections.abc import Iterator
from pathlib import Path

from data.errors import DataError
from data.sources.records import Record, text_lines
from data.spec import Problem


def columns(path: Path) -> list[str]:
    """Returns the keys of the first object; raises DataError when the first line is none."""
    first = next(read(path))
    if first.problem:
        raise DataError(f"{first.problem}.")
    return list(first.cells)


def read(path: Path) -> Iterator[Record]:
    """Yields the objects; a line that is none is a Problem.

    Raises:
        DataError: The file is not UTF-8 text, damaged, or has no object.
    """
    count = 0
    for number, line in enumerate(text_lines(path), start=1):
        if not line.strip():
            continue
        count += 1
        where = f"{path}:{number}"
        try:
            cells = json.loads(line)
        except json.JSONDecodeError as error:
            found = f"{line.strip()[:30]!r} (column {error.colno}: {error.msg[:1].lower()}{error.msg[1:]})"
            yield Record(where, {}, Problem(where, "", "a JSON object", found))
            continue
        except RecursionError:
            yield Record(where, {}, Problem(where, "", "a JSON object", "one that is nested too deep"))
            continue
        if isinstance(cells, dict):
            yield Record(where, cells)
        else:
            yield Record(where, {}, Problem(where, "", "a JSON object", type(cells).__name__))
    if not count:
        raise DataError(f"{path} has no rows.")
