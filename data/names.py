"""Finds a text among listed names: a class, a category, the folder of a class."""

import functools
import unicodedata
from collections.abc import Sequence


def index_of(text: str, names: Sequence[str]) -> int | None:
    """Returns the index of a text among names, from 0; None where it is not among them.

    It is compared as it stands, else without the spaces around it, else in Unicode's normal form C, since one letter
    may be written in several ways: macOS names folders in another form than keyboards type.
    """
    table, stripped = _table(tuple(names)), text.strip()
    return next((table[key] for key in (text, stripped, _normal(stripped)) if key in table), None)


@functools.lru_cache(maxsize=256)
def _table(names: tuple[str, ...]) -> dict[str, int]:
    """Returns name -> index, with names also in Unicode's normal form C; of equal names the first."""
    last_first = list(enumerate(names))[::-1]
    return {_normal(name.strip()): index for index, name in last_first} | {name: index for index, name in last_first}


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
