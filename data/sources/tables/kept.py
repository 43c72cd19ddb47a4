"""Blocks of files, and decoded pictures, that one command reads more than once: up to a bound they are kept."""

import contextlib
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import replace
from pathlib import Path
from typing import Any

from data import pictures
from data.config import DataConfig
from data.sources.blocks import Block
from data.sources.tables import formats

MAX_BYTES = 256 * 2**20
MIXED_BYTES = 100  # of a Python value, about


class _Kept:
    """Files as they were read, each whole or not at all."""

    def __init__(self, max_bytes: int) -> None:
        self.left = max_bytes
        self.files: dict[Any, tuple[Path, list[Block]]] = {}


_KEPT: ContextVar[_Kept | None] = ContextVar("kept", default=None)


@contextlib.contextmanager
def keeping(max_bytes: int = MAX_BYTES) -> Iterator[None]:
    """Within this block `blocks` and `pictures.decode` keep what they return, each up to so many bytes."""
    before = _KEPT.set(_Kept(max_bytes))
    try:
        with pictures.keeping(max_bytes):
            yield
    finally:
        _KEPT.reset(before)


def blocks(path: Path, kind: str, config: DataConfig) -> Iterator[Block]:
    """Yields as `formats.blocks` does, what is kept of an unchanged file that was read in the same way.

    By whatever path that was: `headrace new` reads what a person types, then what the run file names from its folder.
    """
    kept = _KEPT.get()
    if kept is None or kind.endswith("_folder") or not path.exists():
        return formats.blocks(path, kind, config)
    stamps = tuple(map(_stamp, formats.files_of(path, kind)))
    key = (path.resolve(), stamps, kind, config.delimiter, config.names, config.header)
    key += (config.sheet, config.ignore) if kind == "xlsx" else ()
    if key not in kept.files:
        return _read(path, kind, config, kept, key)
    before, found = kept.files[key]
    return (_named(block, before, path) for block in found)


def _read(path: Path, kind: str, config: DataConfig, kept: _Kept, key: Any) -> Iterator[Block]:
    found: list[Block] | None = []
    size = 0
    for block in formats.blocks(path, kind, config):
        size += _num_bytes(block)
        if found is not None and size <= kept.left:
            found.append(block)
        else:
            found = None
        yield block
    if found is not None:
        kept.left -= size
        kept.files[key] = (path, found)


def _named(block: Block, before: Path, now: Path) -> Block:
    """Returns a block of a file that messages name by another path than before."""
    if before == now:
        return block

    def named(where: str) -> str:
        return f"{now}{where.removeprefix(str(before))}"

    problems = tuple(replace(problem, where=named(problem.where)) for problem in block.problems)
    return replace(block, file=named(block.file), problems=problems)


def _stamp(path: Path) -> tuple[str, int, int, int]:
    state = path.stat()
    return str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino


def _num_bytes(block: Block) -> int:
    return block.cells.nbytes + MIXED_BYTES * len(block.mixed) * len(block)
