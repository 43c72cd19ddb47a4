"""Finds a text among listed names: a class, a category, the folder of a class."""

import functools
import unicodedata
from collections.abc import Sequence


def index_of(text: str, names: Sequence[str]) -> int | None:
    """Returns the index of a text among names, from 0; None where it is not among them.

    It is compared unchanged, then without the spaces around it, then in Unicode's normal form C, since one letter may
    be encoded in several ways: macOS names folders in another form than keyboards type.
    """
    table, stripped = _table(tuple(names)), text.strip()
    return next((table[key] for key in (text, stripped, _normal(stripped)) if key in table), None)


@functools.lru_cache(maxsize=256)
def _table(names: tuple[str, ...]) -> dict[str, int]:
    """Returns name -> index, with names also in Unicode's normal form C; of equal names the first."""
    in_reverse = list(enumerate(names))[::-1]
    return {_normal(name.strip()): index for index, name in in_reverse} | {name: index for index, name in in_reverse}


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
