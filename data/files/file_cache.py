"""A cache, in the user's cache folder, of facts about files that are unchanged by size, mtime and inode.

`recall` and `keep` are for callers whose own keys identify the content.
"""

import contextlib
import functools
import hashlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import platformdirs

from data.files import checksums

# Two writes within one tick of the clock give one mtime: facts about files that new are not cached.
SETTLED_SECONDS = 2.0
KEPT_SECONDS = 30 * 86400.0  # since it was computed


def sha256s(paths: Sequence[Path], *, trust: bool) -> list[str]:
    """Returns the SHA-256 of each file, in hexadecimal.

    Args:
        paths: The files.
        trust: Whether a file that is unchanged since it was read last is not read again.
    """
    keys = [_key("sha256", [path]) for path in paths]
    cached = recall(keys) if trust else {}
    digests = {key: cached.get(key) or checksums.sha256(path) for key, path in zip(keys, paths, strict=True)}
    settled = {key: digests[key] for key, path in zip(keys, paths, strict=True) if _is_settled([path])}
    keep({key: value for key, value in settled.items() if cached.get(key) != value})
    return [digests[key] for key in keys]


def facts(paths: Sequence[Path], about: str, compute: Callable[[], Any]) -> Any:
    """Returns the result of `compute`, JSON values; from the cache if these files and `about` are unchanged.

    A change of any code in `data/` invalidates the cache.
    """
    about = f"{_code()} {about}"
    key = _key(about, paths)
    cached = recall([key])
    if key in cached:
        return json.loads(cached[key])
    settled, result = _is_settled(paths), compute()
    if settled and key == _key(about, paths):  # not written to meanwhile
        keep({key: json.dumps(result)})
    return result


@functools.cache
def _code() -> str:
    """Returns a digest of the code that facts about data depend on: readers, cells, checks and guesses."""
    files = sorted(Path(__file__).parents[1].rglob("*.py"))
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()


def _key(about: str, paths: Sequence[Path]) -> str:
    """Returns the key of a fact about unchanged files; a digest, since a path may hold a secret."""
    states = [path.stat() for path in paths]
    stamps = [
        [str(path.resolve()), state.st_size, state.st_mtime_ns, state.st_ino]
        for path, state in zip(paths, states, strict=True)
    ]
    return hashlib.sha256(json.dumps([about, stamps]).encode()).hexdigest()


def _is_settled(paths: Sequence[Path]) -> bool:
    return all(path.stat().st_mtime < time.time() - SETTLED_SECONDS for path in paths)


def recall(keys: Sequence[str]) -> dict[str, str]:
    """Returns key -> value of the cached keys; empty where the cache cannot be used.

    Args:
        keys: Digests of all that a value depends on.
    """
    values = {}
    with contextlib.suppress(OSError, sqlite3.Error), _database() as database:
        for key in keys:
            for (value,) in database.execute("select value from known where key = ?", (key,)):
                values[key] = value
    return values


def keep(values: dict[str, str]) -> None:
    """Caches values and deletes old ones; does nothing where the cache cannot be used."""
    if not values:
        return
    now = time.time()
    with contextlib.suppress(OSError, sqlite3.Error), _database() as database, database:
        rows = [(key, value, now) for key, value in values.items()]
        database.executemany("insert or replace into known (key, value, written) values (?, ?, ?)", rows)
        database.execute("delete from known where written < ?", (now - KEPT_SECONDS,))


@contextlib.contextmanager
def _database() -> Iterator[sqlite3.Connection]:
    path = Path(platformdirs.user_cache_dir("headrace")) / "files.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(path, timeout=5)) as database:
        database.execute("create table if not exists known (key text primary key, value text, written real)")
        yield database
