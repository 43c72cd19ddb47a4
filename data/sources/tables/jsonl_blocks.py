"""Reads JSON Lines as columns: plain lines many at once, all others by `jsonl`, which they equal."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import DataError
from data.sources import archives
from data.sources.blocks import Block, RowBuffer
from data.sources.records import TextFile, opened
from data.sources.tables import jsonl
from data.texts import is_name

BLOCK_BYTES = 4 * 2**20  # of text
MARK = 7_310_962_548_107_433_926  # a number that is put between lines; one that hardly any file has


def read(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yields the objects that `jsonl.read` yields, some at a time; raises DataError as it does.

    Args:
        path: The file.
        block_bytes: About how many bytes of text a block has.
    """
    name, count = archives.name_of(path), 0
    some = RowBuffer(name)
    with opened(path) as file:
        text = TextFile(path, file)
        try:
            for size in _fill(some, text, block_bytes):
                count += size
                if 2 * some.size >= block_bytes:
                    yield from (replace(block, share=text.share) for block in some.blocks())
        except DataError:
            yield from some.blocks()
            raise
    yield from (replace(block, share=1.0) for block in some.blocks())
    if not count:
        raise DataError(f"{name} has no rows.")


def _fill(some: RowBuffer, text: TextFile, block_bytes: int) -> Iterator[int]:
    """Fills a buffer with the objects of a file; yields when it may be emptied, how many were added.

    Plain lines are read at once, others exactly; the first may have a byte order mark.
    """
    num_exact = 1
    while True:
        if num_exact:
            yield from _fill_exactly(some, text, num_exact, block_bytes)
        content, is_last = text.ahead(block_bytes)
        if not content:
            return
        size = len(content) if is_last else content.rfind(b"\n") + 1
        rows = _plain(content[:size])
        num_exact = 0 if rows else max(size, 1)
        if rows:
            first = text.num_lines + 1
            text.skip(size)
            some.rows += rows
            some.numbers += range(first, first + len(rows))
            some.size += size
            yield len(rows)


def _fill_exactly(some: RowBuffer, text: TextFile, num_bytes: int, block_bytes: int) -> Iterator[int]:
    """Fills a buffer with the objects that begin in so many bytes, one at least; yields as `_fill` does."""
    end = text.num_bytes + num_bytes
    for found in jsonl.objects(text, some.file, min(block_bytes, jsonl.PIECE_BYTES)):
        some.add(found.cells, found.line, found.problem, found.size)
        yield 1
        if text.num_bytes >= end and not found.is_in_array:
            return


def _plain(content: bytes) -> list[dict[str, Any]] | None:
    """Returns the objects of lines, one each; None where one has no object, several, or one that needs a message.

    The lines are decoded at once, with a number between them that stands in none. Where it is found between all values
    no object, list or text goes beyond its line.
    """
    try:
        text = content.decode()
        if str(MARK) in text:
            return None
        values = json.loads("[" + text.removesuffix("\n").replace("\n", f",{MARK},") + "]")
    except (ValueError, RecursionError):
        return None
    rows, marks = values[::2], values[1::2]
    are_objects = set(map(type, rows)) == {dict} and set(map(type, marks)) <= {int}
    are_lines = len(marks) == text.count("\n", 0, len(text) - 1) == marks.count(MARK)
    if not (are_objects and are_lines):
        return None
    return rows if all(map(is_name, {name for keys in set(map(tuple, rows)) for name in keys})) else None
