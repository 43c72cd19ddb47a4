"""Numbers and dates in a notation that is not read yet: decimal commas, thousands marks, units, names of months."""

import re
from collections.abc import Collection
from dataclasses import dataclass

NEARLY_ALL = 0.8  # of the different cells that are no plain numbers, to be of one notation
# Blanks between thousands: plain, no-break, narrow no-break, thin.
_DIGITS = r"(\d{1,3}([.,'\u2019_ \u00a0\u202f\u2009]\d{2,3})+|\d+)([.,]\d+)?|[.,]\d+"
_MONEY = (
    r"[$¢-¥฿₠-₿]|[A-Z]{2,3}[$]|EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|RUB|Rs\.?|Fr\.|kr\.?|zł|Kč|"
    r"руб\.?|р\."  # noqa: RUF001
)
_UNITS = (
    r"%|‰|[kcm]?m[²³]?|[kmµ]?g|t|[cm]?l|h|min|m?s|[kM]?W|kWh|°[CF]?|km/h|mph|[kKMGT]?B|lbs?|oz|ft|in|mi|PS|hp|bhp|CC|kmpl|"
    r"kcal|K|M|Mio\.?|T[€$]|p\.\s?a\."
)
NUMBER = re.compile(
    rf"[(]?[-+\u2212\u2013]?\s?(?:{_MONEY})?\s?[-+\u2212\u2013]?(?:{_DIGITS})\s?(?:{_MONEY}|{_UNITS})?[-)]?"
)
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
class Unread:
    """What cells look like that are taken for words so far.

    Attributes:
        looks: A sentence, with one of them.
        remedy: What to do to have them read as what they are.
    """

    looks: str
    remedy: str


def unread(cells: Collection[str]) -> Unread | None:
    """Returns what cells that are no plain numbers look like; None where they are neither numbers nor dates.

    Args:
        cells: The different cells of a column, without spaces around them.
    """
    odd = [cell for cell in cells if not is_number(cell)]
    for what, plain, pattern in (("dates or times", "2024-01-31", DATE), ("numbers", "1234.5", NUMBER)):
        like = [cell for cell in odd if pattern.fullmatch(cell)]
        if like and len(like) >= NEARLY_ALL * len(odd):
            example = max(like[:20], key=len)
            return Unread(
                f"its cells look like {what} in a notation that is not read yet, such as {example!r}",
                f"convert them in the data, to such as {plain}",
            )
    return None


def is_number(text: str) -> bool:
    """Returns whether a text is a number as the readers take it; Python takes 1_000 as well."""
    try:
        float(text)
    except ValueError:
        return False
    return "_" not in text
