"""Recognises the notation of a table's numbers and dates: supported notations, and unsupported ones for messages."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from data.numerals import DASHES, PLAIN, REQUIRED_UNITS, Notation, example, parsed

NEARLY_ALL = 0.8  # share of the distinct cells that are not plain numbers, to be of one notation
# Blanks between thousands: plain, no-break, narrow no-break, thin.
_DIGITS = r"(\d{1,3}([.,'\u2019_ \u00a0\u202f\u2009]\d{2,3})+|\d+)([.,](\d+|" + DASHES + r"))?|[.,]\d+"
_MONEY = (
    r"[$¢-¥฿₠-₿]|[A-Z]{2,3}[$]|EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|RUB|Rs\.?|Fr\.|kr\.?|zł|Kč|"
    r"руб\.?|р\."  # noqa: RUF001
)
_UNITS = (
    r"%|‰|[kcm]?m[²³]?|[kmµ]?g|t|[cm]?l|h|min|m?s|[kM]?W|kWh|°[CF]?|km/h|mph|[kKMGT]?B|lbs?|oz|ft|in|mi|PS|hp|bhp|CC|kmpl|"
    r"kcal|K|M|Mio\.?|T[€$]|p\.\s?a\."
)
NUMBER = re.compile(
    rf"[(]?[-+\u2212\u2013]?\s?(?P<before>{_MONEY})?\s?[-+\u2212\u2013]?(?:{_DIGITS})\s?(?P<behind>{_MONEY}|{_UNITS})?[-)]?"
)
NOTATIONS = (
    PLAIN, Notation(".", ","), Notation(","), Notation(",", "."), Notation(",", " "), Notation(".", " "),
    Notation(".", "'"), Notation(",", "'"),
)  # fmt: skip
"""In order of likelihood: 1,234 is 1234 rather than 1.234."""
DATE_FORMATS = (
    "iso", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y%m%d",
    "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M", "%d-%m-%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %I:%M %p", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y",
    "%d. %B %Y", "%b %Y", "%B %Y", "%Y-%m", "%m/%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%y", "%y-%m-%d",
    "%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%Y\u5e74%m\u6708%d\u65e5",
)  # fmt: skip
"""Date formats in order of likelihood; `iso` as in `data.spec.DateFeature`."""
_MONTHS = (
    "jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", "mär", "mrz", "mai", "okt",
    "dez", "fév", "fev", "avr", "juin", "juil", "aoû", "aou", "déc", "ene", "abr", "ago", "dic", "gen", "mag", "giu",
    "lug", "set", "ott", "mei", "maj", "янв", "фев", "мар", "апр", "мая", "май", "июн", "июл", "авг", "сен", "окт",
    "ноя", "дек",
)  # fmt: skip
_MONTH = rf"(?:{'|'.join(_MONTHS)})[^\W\d_]*\.?"
_CLOCK = r"\d{1,2}[:.h]\d{2}(:\d{2}([.,]\d+)?)?(\s?[ap]\.?m\.?)?(\s?(Z|UTC|[-+]\d{2}:?\d{2}))?"
_DAYS = (
    r"\d{1,2}(?P<mark>[-./ ])\s?\d{1,2}(?P=mark)\s?\d{2}(\d{2})?",  # 31-12-24
    r"\d{4}(?P<sign>[-./ ])\d{1,2}(?P=sign)\d{1,2}",  # 2024.12.31
    rf"\d{{1,2}}\.?(st|nd|rd|th)?[-\s/.]?(de\s)?{_MONTH},?[-\s/.]?(de\s)?\d{{2,4}}",  # 3. März 2024
    rf"{_MONTH}[-\s/]\d{{1,2}}(st|nd|rd|th)?,?[-\s/]\d{{2,4}}",  # March 3rd, 2024
    rf"{_MONTH}[-\s/]*\d{{4}}",  # Mar 2024
    r"(19|20)\d\d[-/.](0?[1-9]|1[0-2])|(0?[1-9]|1[0-2])[-/.](19|20)\d\d",  # 2024-03
    r"(19|20)\d\d[-\s]?(Q[1-4]|W\d\d)|Q[1-4][-\s/]?(19|20)\d\d",
    r"\d{2,4}年\d{1,2}月(\d{1,2}日)?",
)
DATE = re.compile(
    rf"([^\W\d_]{{2,10}}\.?,?\s)?(?:{'|'.join(_DAYS)})([T\s,]+{_CLOCK})?|{_CLOCK}",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class NumberFormat:
    """Format of the numbers in a column.

    Attributes:
        unit: Their unit; empty for none.
        notations: All notations in which every cell is a number, the likeliest first.
    """

    unit: str
    notations: tuple[Notation, ...]


def recognise(cells: Collection[str]) -> NumberFormat | None:
    """Returns the format in which all cells are numbers; None where there is none, or the units differ.

    Args:
        cells: The distinct cells of a column, without missing values.
    """
    units = _units(cells)
    unit = next(iter(units), "")
    if not cells or len(units) > 1 or (unit in REQUIRED_UNITS and units[unit] < len(cells)):
        return None
    notations = tuple(
        notation for notation in NOTATIONS if all(parsed(cell, notation, unit) is not None for cell in cells)
    )
    return NumberFormat(unit, notations) if notations else None


def _units(cells: Collection[str]) -> Counter[str]:
    """Returns unit -> number of cells that are a number with this unit."""
    matches = (NUMBER.fullmatch(cell.strip()) for cell in cells)
    units = (match["before"] or match["behind"] for match in matches if match)
    return Counter(unit for unit in units if unit)


def common(number_formats: Iterable[NumberFormat]) -> tuple[Notation, ...]:
    """Returns the notations that all columns of numbers of a table share, the likeliest first."""
    columns = [numbers.notations for numbers in number_formats]
    return tuple(notation for notation in NOTATIONS if all(notation in notations for notations in columns))


def read_differently(cells: Iterable[str], notation: Notation, other_notation: Notation, unit: str = "") -> str | None:
    """Returns a cell that is a different number in the other notation, such as `1,234`; None where there is none."""
    return next((cell for cell in cells if parsed(cell, notation, unit) != parsed(cell, other_notation, unit)), None)


@dataclass(frozen=True)
class MostlyNumbers:
    """The format of a column in which nearly all distinct cells are numbers.

    Attributes:
        notation: Notation of the numbers.
        unit: Their unit; empty for none.
        non_numbers: The distinct cells that are no numbers in this format.
    """

    notation: Notation
    unit: str
    non_numbers: tuple[str, ...]


def recognise_most(cells: Collection[str], table_notation: Notation = PLAIN) -> MostlyNumbers | None:
    """Returns the format in which nearly all cells are numbers, but not all; None where there is none.

    Args:
        cells: The distinct cells of a column, without missing values.
        table_notation: The notation of the other columns; if it is the plain one, all notations are tried.
    """
    units = _units(cells)
    if len(units) > 1:
        return None
    unit = next(iter(units), "")
    formats = (
        MostlyNumbers(notation, unit, tuple(cell for cell in cells if parsed(cell, notation, unit) is None))
        for notation in (NOTATIONS if table_notation == PLAIN else (table_notation,))
    )
    best = min(formats, key=lambda mostly: len(mostly.non_numbers))
    has_few = bool(best.non_numbers) and len(cells) - len(best.non_numbers) >= NEARLY_ALL * len(cells)
    # Numbers in another format are no missing values: `find_unsupported` describes them.
    return best if has_few and not any(NUMBER.fullmatch(cell) for cell in best.non_numbers) else None


@dataclass(frozen=True)
class UnsupportedFormat:
    """A number or date format that no reader supports; its cells are read as text.

    Attributes:
        description: Sentence about the format, with an example.
        remedy: What to do so that the cells are read as numbers or dates.
    """

    description: str
    remedy: str


def find_unsupported(cells: Collection[str], table_notation: Notation = PLAIN) -> UnsupportedFormat | None:
    """Returns the unsupported format of cells that are not plain numbers; None where they are not numbers or dates.

    Args:
        cells: The distinct cells of a column, without spaces around them.
        table_notation: The notation of the other columns.
    """
    non_numbers = [cell for cell in cells if not is_number(cell)]
    for noun, pattern in (("dates or times", DATE), ("numbers", NUMBER)):
        matching = [cell for cell in non_numbers if pattern.fullmatch(cell)]
        if not matching or len(matching) < NEARLY_ALL * len(non_numbers):
            continue
        units = _units(matching) if pattern is NUMBER else Counter()
        if len(units) > 1:
            return _several_units(matching, units, table_notation)
        required_unit = next((unit for unit in units if unit in REQUIRED_UNITS and units[unit] < len(cells)), "")
        if required_unit:
            without_unit = next(cell for cell in cells if not _units([cell]))
            return UnsupportedFormat(
                f"some of its numbers have {required_unit} and some have none, such as {matching[0]!r} and "
                f"{without_unit!r}",
                f"write {required_unit} beside all of them in the data, or beside none",
            )
        plain = "2024-01-31" if pattern is DATE else example(Notation(table_notation.decimal), "")
        return UnsupportedFormat(
            f"its cells look like {noun} in a notation that is not read yet, such as {max(matching[:20], key=len)!r}",
            f"convert them in the data, to such as {plain}",
        )
    return None


def _several_units(cells: Sequence[str], units: Counter[str], table_notation: Notation) -> UnsupportedFormat:
    examples = [next(cell for cell in cells if _units([cell])[unit]) for unit, _ in units.most_common(2)]
    if table_notation == PLAIN:
        cells_and_units = [(cell, next(iter(_units([cell])), "")) for cell in cells]
        matching_notations = (
            notation
            for notation in NOTATIONS
            if all(parsed(cell, notation, unit) is not None for cell, unit in cells_and_units)
        )
        table_notation = next(matching_notations, table_notation)
    common_unit = units.most_common(1)[0][0]
    return UnsupportedFormat(
        f"its cells are numbers with several units, such as {examples[0]!r} and {examples[1]!r}",
        f"convert them in the data to one unit, such as {example(Notation(table_notation.decimal), common_unit)}",
    )


def is_number(text: str) -> bool:
    """Returns whether the readers parse a text as a number; unlike Python they refuse 1_000."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
