"""Numbers and lists as sentences have them."""

import unicodedata
from collections.abc import Sequence


def counted(count: int, noun: str, plural: str = "") -> str:
    """Returns `1 file`, `2,225 files`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def some(names: Sequence[str], most: int = 8) -> str:
    """Returns `a, b and c`, or of many `a, b, c and 4 more`."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def named(column: str) -> str:
    """Returns the name of a column as a sentence has it: in quotes where it is not one word."""
    return column if column and not any(letter.isspace() for letter in column) else repr(column)


def alike(classes: Sequence[str]) -> list[str]:
    """Returns, a sentence for each kind, which classes differ in case, blanks or Unicode form only."""
    found: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for name in classes:
        groups.setdefault(_folded(name), []).append(name)
    for same in groups.values():
        if len(same) > 1:
            found.setdefault(_difference(same), []).append(some([named(name) for name in same]))
    return [f"classes {some(pairs, 3)} differ in {how} only; make them one in the data" for how, pairs in found.items()]


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _difference(same: Sequence[str]) -> str:
    """Returns what makes classes differ that are one when folded."""
    ways = {
        "case": lambda name: name.casefold(),
        "blanks": lambda name: " ".join(name.split()),
        "Unicode form": lambda name: unicodedata.normalize("NFKC", name),
    }
    return next((how for how, way in ways.items() if len(set(map(way, same))) == 1), "case, blanks or Unicode form")
