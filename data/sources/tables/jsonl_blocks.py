"""Reads JSON Lines as columns: plain lines many at once, all others by `jsonl`, which they equal."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data.blocks import Block, blocks_of
from data.errors import DataError
from data.sources import archives
from data.sources.records import TextFile, opened
from data.sources.tables import jsonl
from data.spec import Problem
from data.texts import is_name

BLOCK_BYTES = 4 * 2**20  # of text
MARK = 7_310_962_548_107_433_926  # a number that is put between lines; one that hardly any file has


@dataclass
class _Piece:
    """Some objects of a file, the lines they begin in, the problems of others among them, and their size."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    size: int = 0

    def __len__(self) -> int:
        return len(self.rows) + len(self.problems)

    def add(self, found: jsonl.Object) -> None:
        """Takes one more object."""
        self.size += found.size
        if found.problem:
            self.problems.append(found.problem)
        else:
            self.rows.append(found.cells)
            self.lines.append(found.line)

    def extend(self, other: "_Piece") -> None:
        """Takes the objects of another piece."""
        self.rows += other.rows
        self.lines += other.lines
        self.problems += other.problems
        self.size += other.size

    def blocks(self, name: str) -> Iterator[Block]:
        """Yields the objects as blocks."""
        return blocks_of(name, self.rows, np.array(self.lines, np.int64), tuple(self.problems))


def read(path: Path, block_bytes: int = BLOCK_BYTES) -> Iterator[Block]:
    """Yields the objects that `jsonl.read` yields, some at a time; raises DataError as it does.

    Args:
        path: The file.
        block_bytes: About how many bytes of text a block has.
    """
    name, some, count = archives.name_of(path), _Piece(), 0
    with opened(path) as file:
        try:
            for piece in _pieces(TextFile(path, file), name, block_bytes):
                count += len(piece)
                some.extend(piece)
                if 2 * some.size >= block_bytes and len(some):
                    yield from some.blocks(name)
                    some = _Piece()
        except DataError:
            if len(some):
                yield from some.blocks(name)
            raise
    if len(some):
        yield from some.blocks(name)
    if not count:
        raise DataError(f"{name} has no rows.")


def _pieces(text: TextFile, name: str, block_bytes: int) -> Iterator[_Piece]:
    """Yields the objects of a file: plain lines at once, others exactly; the first may have a byte order mark."""
    num_exact = 1
    while True:
        if num_exact:
            yield from _exactly(text, name, num_exact, block_bytes)
        content, is_last = text.ahead(block_bytes)
        if not content:
            return
        size = len(content) if is_last else content.rfind(b"\n") + 1
        rows = _plain(content[:size])
        num_exact = 0 if rows else max(size, 1)
        if rows:
            first = text.num_lines + 1
            text.skip(size)
            yield _Piece(rows, list(range(first, first + len(rows))), size=size)


def _exactly(text: TextFile, name: str, num_bytes: int, block_bytes: int) -> Iterator[_Piece]:
    """Yields the objects that begin in so many bytes, one at least; those before a DataError, too."""
    end, piece = text.num_bytes + num_bytes, _Piece()
    try:
        for found in jsonl.objects(text, name, text.num_lines + 1):
            piece.add(found)
            if piece.size >= block_bytes:
                yield piece
                piece = _Piece()
            # Of an array more objects may follow when all is read.
            if text.num_bytes >= end and text.ahead(1)[0]:
                break
    except DataError:
        yield piece
        raise
    yield piece


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
