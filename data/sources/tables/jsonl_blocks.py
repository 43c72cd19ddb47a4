"""Reads JSON Lines as columns: plain lines many at once, others with `jsonl`; the results are equal."""

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
SEPARATOR = 7_310_962_548_107_433_926  # put between lines; hardly any file contains this number


def read(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yields the objects that `jsonl.read` yields, in blocks; raises DataError as it does.

    Args:
        path: The file.
        block_bytes: Approximate size of the text of a block, in bytes.
    """
    name, count = archives.name_of(path), 0
    buffer = RowBuffer(name)
    with opened(path) as file:
        text = TextFile(path, file)
        try:
            for size in _fill(buffer, text, block_bytes):
                count += size
                if 2 * buffer.size >= block_bytes:
                    yield from (replace(block, share=text.share) for block in buffer.blocks())
        except DataError:
            yield from buffer.blocks()
            raise
    yield from (replace(block, share=1.0) for block in buffer.blocks())
    if not count:
        raise DataError(f"{name} has no rows.")


def _fill(buffer: RowBuffer, text: TextFile, block_bytes: int) -> Iterator[int]:
    """Fills a buffer with the objects of a file; whenever it may be emptied, yields the number of objects added.

    Plain lines are read together, others by `jsonl`; also the first, which may have a byte order mark.
    """
    num_exact = 1
    while True:
        if num_exact:
            yield from _fill_exactly(buffer, text, num_exact, block_bytes)
        content, is_last = text.ahead(block_bytes)
        if not content:
            return
        size = len(content) if is_last else content.rfind(b"\n") + 1
        rows = _read_plain(content[:size])
        num_exact = 0 if rows else max(size, 1)
        if rows:
            first = text.num_lines + 1
            text.skip(size)
            buffer.rows += rows
            buffer.numbers += range(first, first + len(rows))
            buffer.size += size
            yield len(rows)


def _fill_exactly(buffer: RowBuffer, text: TextFile, num_bytes: int, block_bytes: int) -> Iterator[int]:
    """Fills a buffer with the objects that begin in the next `num_bytes`, at least one; yields as `_fill` does."""
    end = text.num_bytes + num_bytes
    for item in jsonl.objects(text, buffer.file, min(block_bytes, jsonl.PIECE_BYTES)):
        buffer.add(item.cells, item.line, item.problem, item.size)
        yield 1
        if text.num_bytes >= end and not item.is_in_array:
            return


def _read_plain(content: bytes) -> list[dict[str, Any]] | None:
    """Returns the objects of lines, one per line; None where a line has no object, several, or one with a problem.

    The lines are decoded together, with a number between them that none contains. If it is between all values, no
    object, list or text extends beyond its line.
    """
    try:
        text = content.decode()
        if str(SEPARATOR) in text:
            return None
        values = json.loads("[" + text.removesuffix("\n").replace("\n", f",{SEPARATOR},") + "]")
    except (ValueError, RecursionError):
        return None
    rows, separators = values[::2], values[1::2]
    are_objects = set(map(type, rows)) == {dict} and set(map(type, separators)) <= {int}
    are_lines = len(separators) == text.count("\n", 0, len(text) - 1) == separators.count(SEPARATOR)
    if not (are_objects and are_lines):
        return None
    return rows if all(map(is_name, {name for keys in set(map(tuple, rows)) for name in keys})) else None
