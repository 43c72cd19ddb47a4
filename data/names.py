"""Which of several listed names a text is: a class, a category, the folder of a class."""

import functools
import unicodedata
from collections.abc import Sequence


def place(text: str, names: Sequence[str]) -> int | None:
    """Returns the place of the name that a text is, from 0; None where it is none of them.

    As it stands, else without the spaces around it, else in Unicode's normal form C, since one letter may be written
    in several ways: macOS names folders in another form than keyboards type.
    """
    table, stripped = _table(tuple(names)), text.strip()
    return next((table[key] for key in (text, stripped, _normal(stripped)) if key in table), None)


@functools.lru_cache(maxsize=256)
def _table(names: tuple[str, ...]) -> dict[str, int]:
    """Returns the places by the names, and by those in Unicode's normal form C; of equal ones the first."""
    every = list(enumerate(names))[::-1]
    return {_normal(name.strip()): index for index, name in every} | {name: index for index, name in every}


def _normal(name: str) -> str:
    return unicodedata.normalize("NFC", name)
