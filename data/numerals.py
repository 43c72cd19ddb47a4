"""Parses numbers as people write them: with decimal marks, thousands separators, and units before or after them."""

import functools
import re
from typing import NamedTuple


class Notation(NamedTuple):
    """How a table writes numbers.

    Attributes:
        decimal: The decimal mark, `.` or `,`.
        thousands: The thousands separator, which a number may leave out; empty for none. A blank is one of any width.
    """

    decimal: str = "."
    thousands: str = ""


PLAIN = Notation()
BLANKS = " \u00a0\u202f\u2009"  # plain, no-break, narrow no-break, thin
REQUIRED_UNITS = ("%", "‰")
"""Units that every cell of a column must have or none: in a column with 3%, 0.03 is ambiguous."""
SEPARATOR_PATTERNS = {" ": f"[{BLANKS}]", "'": "['\u2019]"}
MAX_LENGTH = 100
"""Characters of a number; one this short, with an exponent of two digits, is finite in float64."""
MINUS = "\u2212"  # the typographic minus sign
DASHES = "[-\u2013\u2014]{1,2}"  # instead of decimals, as in 77,- EUR
DAYS = (19_000_101, 21_001_231)  # between which whole numbers of eight digits may be days


def parsed(text: str, notation: Notation = PLAIN, unit: str = "") -> float | None:
    """Returns the number in a text, None where it is not a number; in the plain notation it may be NaN or infinite."""
    text = text.strip()
    if notation != PLAIN or unit:
        if len(text) >= MAX_LENGTH or not _compiled(notation, unit).fullmatch(text):
            return None
        text = _without_marks(text, notation, unit)
    try:
        return None if "_" in text else float(text.replace(MINUS, "-"))  # Python takes 1_000
    except ValueError:
        return None


def pattern(notation: Notation, unit: str) -> str:
    """Returns a regular expression, for Python and RE2, that matches the text of a number in a notation."""
    decimal, separator = (
        re.escape(notation.decimal),
        SEPARATOR_PATTERNS.get(notation.thousands, re.escape(notation.thousands)),
    )
    integer = rf"[0-9]+|[1-9][0-9]{{0,2}}(?:{separator}[0-9]{{3}})+" if separator else "[0-9]+"
    number = rf"(?:(?:{integer})(?:{decimal}[0-9]*)?|{decimal}[0-9]+)(?:[eE][-+]?[0-9]{{1,2}})?"
    number = rf"(?:(?:{integer}){decimal}{DASHES}|{number})"
    sign, blank, escaped_unit = f"[-+{MINUS}]?", f"[{BLANKS}]?", re.escape(unit)
    if not unit:
        return sign + number
    alternatives = [
        sign + blank + escaped_unit + blank + number,
        escaped_unit + blank + sign + number,
        sign + number + blank + escaped_unit,
    ]
    alternatives += [] if unit in REQUIRED_UNITS else [sign + number]
    return "(?:" + "|".join(alternatives) + ")"


def marks(notation: Notation, unit: str) -> str:
    """Returns a regular expression of what to delete from a text that matches `pattern`: separators, blanks, unit."""
    separator = SEPARATOR_PATTERNS.get(notation.thousands, re.escape(notation.thousands))
    dashes = re.escape(notation.decimal) + DASHES
    return "|".join(part for part in (dashes, re.escape(unit), f"[{BLANKS}]", separator) if part)


def example(notation: Notation, unit: str) -> str:
    """Returns an example of a number in this notation."""
    return f"1{notation.thousands}234{notation.decimal}5{' ' * bool(unit)}{unit}"


@functools.lru_cache(maxsize=256)
def _compiled(notation: Notation, unit: str) -> re.Pattern:
    return re.compile(pattern(notation, unit))


def _without_marks(text: str, notation: Notation, unit: str) -> str:
    return re.sub(marks(notation, unit), "", text).replace(notation.decimal, ".")
