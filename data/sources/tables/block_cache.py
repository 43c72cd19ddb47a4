"""Caches blocks of files, and decoded pictures, that one command reads more than once, up to a size limit."""

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
PYTHON_VALUE_BYTES = 100  # about


class _BlockCache:
    """Blocks by file; a file is cached completely or not at all. `free_bytes` is how many more may be cached."""

    def __init__(self, max_bytes: int) -> None:
        self.free_bytes = max_bytes
        self.files: dict[Any, tuple[Path, list[Block]]] = {}


_CACHE: ContextVar[_BlockCache | None] = ContextVar("block_cache", default=None)


@contextlib.contextmanager
def caching(max_bytes: int = MAX_BYTES) -> Iterator[None]:
    """Makes `blocks` and `pictures.decode` cache their results within the block, each up to `max_bytes`."""
    token = _CACHE.set(_BlockCache(max_bytes))
    try:
        with pictures.caching(max_bytes):
            yield
    finally:
        _CACHE.reset(token)


def blocks(path: Path, kind: str, config: DataConfig) -> Iterator[Block]:
    """Yields the blocks of `formats.blocks`, from the cache if the file is unchanged and was read with these settings.

    The path may differ: `headrace new` reads the path that a person types, later that in the run file.
    """
    cache = _CACHE.get()
    if cache is None or kind.endswith("_folder") or not path.exists():
        return formats.blocks(path, kind, config)
    file_states = tuple(map(_file_state, formats.files_of(path, kind)))
    key = (path.resolve(), file_states, kind, config.delimiter, config.names, config.header)
    key += (config.sheet, config.ignore) if kind == "xlsx" else ()
    if key not in cache.files:
        return _read(path, kind, config, cache, key)
    cached_path, cached_blocks = cache.files[key]
    return (_renamed(block, cached_path, path) for block in cached_blocks)


def _read(path: Path, kind: str, config: DataConfig, cache: _BlockCache, key: Any) -> Iterator[Block]:
    cached_blocks: list[Block] | None = []
    size = 0
    for block in formats.blocks(path, kind, config):
        size += _num_bytes(block)
        if cached_blocks is not None and size <= cache.free_bytes:
            cached_blocks.append(block)
        else:
            cached_blocks = None
        yield block
    if cached_blocks is not None:
        cache.free_bytes -= size
        cache.files[key] = (path, cached_blocks)


def _renamed(block: Block, cached_path: Path, path: Path) -> Block:
    """Returns a cached block with `path` instead of the path by which it was read."""
    if cached_path == path:
        return block

    def renamed(where: str) -> str:
        return f"{path}{where.removeprefix(str(cached_path))}"

    problems = tuple(replace(problem, where=renamed(problem.where)) for problem in block.problems)
    return replace(block, file=renamed(block.file), problems=problems)


def _file_state(path: Path) -> tuple[str, int, int, int]:
    state = path.stat()
    return str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino


def _num_bytes(block: Block) -> int:
    return block.cells.nbytes + PYTHON_VALUE_BYTES * len(block.mixed) * len(block)
