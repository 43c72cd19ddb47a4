"""How a table writes numbers and dates: what can be read, with the settings for it, and what cannot be read yet."""

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from data.numerals import DASHES, PLAIN, REQUIRED_UNITS, Notation, example, parsed

NEARLY_ALL = 0.8  # of the different cells that are no plain numbers, to be of one notation
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
"""From the likeliest on: 1,234 is rather 1234 than 1.234."""
DATE_FORMATS = (
    "iso", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d-%m-%Y", "%m-%d-%Y", "%Y.%m.%d", "%Y%m%d",
    "%d.%m.%Y %H:%M", "%m/%d/%Y %H:%M", "%d/%m/%Y %H:%M", "%Y/%m/%d %H:%M", "%d-%m-%Y %H:%M", "%d.%m.%Y %H:%M:%S",
    "%m/%d/%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%d-%m-%Y %H:%M:%S", "%m/%d/%Y %I:%M %p",
    "%m/%d/%Y %I:%M:%S %p", "%Y-%m-%d %I:%M %p", "%b %d, %Y", "%B %d, %Y", "%d %b %Y", "%d %B %Y", "%d-%b-%Y",
    "%d. %B %Y", "%b %Y", "%B %Y", "%Y-%m", "%m/%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y", "%d-%b-%y", "%y-%m-%d",
    "%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%a %b %d %H:%M:%S %Y", "%Y\u5e74%m\u6708%d\u65e5",
)  # fmt: skip
"""Formats of dates that are looked for, from the likeliest on; `iso` as `data.spec.DateFeature` has it."""
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
class Numbers:
    """How a column writes its numbers.

    Attributes:
        unit: What stands beside them; empty for nothing.
        notations: All notations in which every cell is a number, the likeliest first.
    """

    unit: str
    notations: tuple[Notation, ...]


def recognise(cells: Collection[str]) -> Numbers | None:
    """Returns how all cells are written as numbers; None where they are not, or not with one unit.

    Args:
        cells: The different cells of a column that hold something.
    """
    units = _units(cells)
    unit = next(iter(units), "")
    if not cells or len(units) > 1 or (unit in REQUIRED_UNITS and units[unit] < len(cells)):
        return None
    found = tuple(one for one in NOTATIONS if all(parsed(cell, one, unit) is not None for cell in cells))
    return Numbers(unit, found) if found else None


def _units(cells: Collection[str]) -> Counter[str]:
    """Returns what stands beside the numbers among cells, and how often."""
    matches = (NUMBER.fullmatch(cell.strip()) for cell in cells)
    beside = (match["before"] or match["behind"] for match in matches if match)
    return Counter(unit for unit in beside if unit)


def common(found: Iterable[Numbers]) -> tuple[Notation, ...]:
    """Returns the notations that all columns of numbers of a table share, the likeliest first."""
    columns = [numbers.notations for numbers in found]
    return tuple(one for one in NOTATIONS if all(one in notations for notations in columns))


def read_differently(cells: Iterable[str], one: Notation, other: Notation, unit: str = "") -> str | None:
    """Returns a cell that is another number in another notation, such as `1,234`; None where there is none."""
    return next((cell for cell in cells if parsed(cell, one, unit) != parsed(cell, other, unit)), None)


@dataclass(frozen=True)
class Unread:
    """What cells look like that are taken for words so far.

    Attributes:
        looks: A sentence, with one of them.
        remedy: What to do to have them read as what they are.
    """

    looks: str
    remedy: str


def unread(cells: Collection[str], table: Notation = PLAIN) -> Unread | None:
    """Returns what cells that are no plain numbers look like; None where they are neither numbers nor dates.

    Args:
        cells: The different cells of a column, without spaces around them.
        table: How the other columns write numbers.
    """
    odd = [cell for cell in cells if not is_number(cell)]
    for what, pattern in (("dates or times", DATE), ("numbers", NUMBER)):
        like = [cell for cell in odd if pattern.fullmatch(cell)]
        if not like or len(like) < NEARLY_ALL * len(odd):
            continue
        units = _units(like) if pattern is NUMBER else Counter()
        if len(units) > 1:
            return _of_several_units(like, units, table)
        share = next((unit for unit in units if unit in REQUIRED_UNITS and units[unit] < len(cells)), "")
        if share:
            bare = next(cell for cell in cells if not _units([cell]))
            return Unread(
                f"some of its numbers have {share} and some have none, such as {like[0]!r} and {bare!r}",
                f"write {share} beside all of them in the data, or beside none",
            )
        plain = "2024-01-31" if pattern is DATE else example(Notation(table.decimal), "")
        return Unread(
            f"its cells look like {what} in a notation that is not read yet, such as {max(like[:20], key=len)!r}",
            f"convert them in the data, to such as {plain}",
        )
    return None


def _of_several_units(cells: Sequence[str], units: Counter[str], table: Notation) -> Unread:
    shown = [next(cell for cell in cells if _units([cell])[unit]) for unit, _ in units.most_common(2)]
    if table == PLAIN:
        each = [(cell, next(iter(_units([cell])), "")) for cell in cells]
        fits = (one for one in NOTATIONS if all(parsed(cell, one, unit) is not None for cell, unit in each))
        table = next(fits, table)
    return Unread(
        f"its cells are numbers with several units, such as {shown[0]!r} and {shown[1]!r}",
        f"convert them in the data to one unit, such as {example(Notation(table.decimal), units.most_common(1)[0][0])}",
    )


def is_number(text: str) -> bool:
    """Returns whether a text is a number as the readers take it; Python takes 1_000 as well."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
