"""Numbers and lists as sentences have them."""

from collections.abc import Sequence


def counted(count: int, noun: str) -> str:
    """Returns `1 file`, `2,225 files`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def some(names: Sequence[str], most: int = 8) -> str:
    """Returns `a, b and c`, or of many `a, b, c and 4 more`."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else "".join(names)
