"""Numbers, lists and names as parts of a sentence."""

import unicodedata
from collections.abc import Iterable, Sequence


def counted(count: int, noun: str, plural: str = "") -> str:
    """Returns `1 file`, `2,225 files`."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def joined(names: Sequence[str], max_names: int = 8) -> str:
    """Returns `a, b and c`, or `a, b, c and 4 more` if there are more than `max_names`."""
    if len(names) > max_names:
        return f"{', '.join(names[:max_names])} and {len(names) - max_names:,} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)


def quoted(column: str) -> str:
    """Returns the name of a column, in quotes if it is empty or has whitespace."""
    return column if column and not any(letter.isspace() for letter in column) else repr(column)


def similar_values(values: Iterable[str], noun: str) -> list[str]:
    """Returns a sentence for each kind of difference: values that differ only in case, blanks or Unicode form.

    Args:
        values: The distinct values of a column.
        noun: What they are, in the plural: `classes` or `values`.
    """
    similar: dict[str, list[str]] = {}
    groups: dict[str, list[str]] = {}
    for name in values:
        groups.setdefault(_folded(name), []).append(name)
    for group in groups.values():
        if len(group) > 1:
            similar.setdefault(_difference(group), []).append(joined([quoted(name) for name in group]))
    return [
        f"{noun} {joined(groups_of_names, 3)} differ in {difference} only; make them one in the data"
        for difference, groups_of_names in similar.items()
    ]


def _folded(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).split())


def _difference(names: Sequence[str]) -> str:
    """Returns in what names differ that are equal when folded."""
    normalized = {
        "case": lambda name: name.casefold(),
        "blanks": lambda name: " ".join(name.split()),
        "Unicode form": lambda name: unicodedata.normalize("NFKC", name),
    }
    return next(
        (difference for difference, normalize in normalized.items() if len(set(map(normalize, names))) == 1),
        "case, blanks or Unicode form",
    )
