"""Cells of files -> values of features; what cannot be one is named, with what would do."""

import difflib
import math
from collections.abc import Collection
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from data import pictures
from data.scripts import listed
from data.sources import encoding
from data.sources.records import Record
from data.spec import (
    BadRow,
    BooleanFeature,
    CategoryFeature,
    DatasetSpec,
    DateFeature,
    Feature,
    ImageFeature,
    LabelFeature,
    LocatedRow,
    NumberFeature,
    Problem,
    TargetFeature,
    TextFeature,
)
from data.texts import is_unicode

# The largest magnitudes that training can square in float32: of an input its square, of a target the sum of the squared
# errors of 10^8 rows.
MAX_INPUT, MAX_TARGET = math.sqrt(np.finfo(np.float32).max), 1e15
MAX_CLASSES_SHOWN = 8
BOOLEANS = {
    "true": True, "t": True, "yes": True, "y": True, "1": True, "1.0": True,
    "false": False, "f": False, "no": False, "n": False, "0": False, "0.0": False,
}  # fmt: skip
MAX_SHOWN = 40  # characters of a cell
MAX_SECONDS = 1e18  # since 1970, each way: what int64 holds


class _Unusable(ValueError):
    """A cell that cannot be used: `expected` and `found`."""

    def __init__(self, expected: str, found: str):
        super().__init__(expected, found)
        self.expected, self.found = expected, found


def to_row(
    record: Record,
    spec: DatasetSpec,
    folder: Path,
    *,
    textual: bool,
    unused: Collection[str] = (),
    missing: Collection[str] = (),
) -> LocatedRow | BadRow:
    """Returns a record as a row of a data set, or everything that is wrong with it.

    Args:
        record: The record.
        spec: What the row must hold.
        folder: Where relative paths of images start.
        textual: Whether all cells are text, as in CSV, so that numbers are too.
        unused: Columns that may be there and are left out.
        missing: Texts that stand for nothing, where all cells are text.
    """
    if record.problem:
        return BadRow((record.problem,))
    values: dict[str, Any] = {}
    problems: list[Problem] = []
    files: dict[str, bytes] = {}
    for name, feature in spec.features.items():
        cell = record.cells.get(name)
        absent = cell is None or (textual and (cell in missing or _is_missing(cell, feature, missing)))
        if (absent or _is_blank(cell, feature)) and feature.optional:
            continue
        try:
            if isinstance(feature, ImageFeature):
                content = None if absent else content_of(cell, folder)
                values[name] = _image(None if absent else cell, feature, content)
                if content and not _is_raw(content, feature):
                    files[name] = content
            else:
                values[name] = _value(None if absent else cell, feature, textual)
        except _Unusable as error:
            problems.append(Problem(record.where, name, error.expected, error.found))
    for name in record.cells:
        if name not in spec.features and name not in unused:
            problems.append(Problem(record.where, name, "no column of this name", "one"))
    return BadRow(tuple(problems)) if problems else LocatedRow(values, record.where, record.group, files)


def _is_missing(cell: str, feature: Feature, missing: Collection[str]) -> bool:
    """Returns whether a cell with spaces around it stands for nothing; in a text spaces may mean something."""
    return not isinstance(feature, TextFeature) and cell.strip() in missing


def _is_blank(cell: Any, feature: Feature) -> bool:
    """Returns whether there is nothing to read in a text, of a file as of a cell."""
    return isinstance(feature, TextFeature) and isinstance(cell, str | bytes) and not cell.strip()


def _value(cell: Any, feature: Feature, textual: bool) -> Any:
    if isinstance(feature, NumberFeature | TargetFeature):
        return _number(cell, feature, textual)
    if isinstance(feature, LabelFeature):
        return _label(cell, feature)
    if isinstance(feature, BooleanFeature):
        return _boolean(cell)
    if isinstance(feature, DateFeature):
        return _date(cell, feature)
    if isinstance(feature, CategoryFeature):
        return _category(cell, feature)
    if _is_blank(cell, feature):
        raise _Unusable("text", "blanks only" if cell else "an empty text")
    return _text(cell)


def _boolean(cell: Any) -> float:
    word = str(cell).strip().lower()
    if word in BOOLEANS:
        return float(BOOLEANS[word])
    raise _Unusable("yes or no", shown(cell))


def _date(cell: Any, feature: DateFeature) -> int:
    """Returns seconds since 1970; a moment without a time zone is taken as UTC."""
    try:
        if feature.format == "unix":
            return _seconds(float(cell))
        if isinstance(cell, str):
            iso = feature.format == "iso"
            # Behind a date without a time fromisoformat takes no Z.
            text = cell.strip().removesuffix("Z")
            cell = datetime.fromisoformat(text) if iso else datetime.strptime(cell.strip(), feature.format)
        elif not isinstance(cell, datetime):
            cell = datetime(cell.year, cell.month, cell.day)
        return int((cell if cell.tzinfo else cell.replace(tzinfo=UTC)).timestamp())
    except (AttributeError, OverflowError, TypeError, ValueError):
        expected = {"iso": "a date such as 2026-01-31 or 2026-01-31T12:00:00", "unix": "seconds since 1970"}
        raise _Unusable(expected.get(feature.format, f"a date as {feature.format}"), shown(cell)) from None


def _seconds(number: float) -> int:
    if abs(number) > MAX_SECONDS:
        raise ValueError
    return int(number)


def word(cell: Any) -> str:
    """Returns a cell that is a class or a category as text, without the spaces around it: `new` lists them so, too."""
    if isinstance(cell, float) and cell.is_integer():
        cell = int(cell)  # pandas makes floats of whole numbers beside missing ones
    return str(cell).lower() if isinstance(cell, bool) else str(cell).strip()


def _category(cell: Any, feature: CategoryFeature) -> str:
    if isinstance(cell, bytes | dict | list) or cell is None:
        return _text(cell)
    if cell in feature.values:
        return cell
    value = word(cell)
    if feature.values and value not in feature.values:
        raise _one_of(feature.values, value, cell)
    return _text(value)


def _one_of(choices: tuple[str, ...], value: str, cell: Any) -> _Unusable:
    close = difflib.get_close_matches(value, choices, n=1) if cell is not None else []
    found = shown(cell) + (f" (meant {close[0]!r}?)" if close else "")
    return _Unusable(f"one of {listed(choices, MAX_CLASSES_SHOWN)}", found)


def _number(cell: Any, feature: NumberFeature | TargetFeature, textual: bool) -> float:
    try:
        # float() takes True, "25" and "1_000" as well
        if isinstance(cell, bool) or (isinstance(cell, str) and (not textual or "_" in cell)):
            raise ValueError
        number = float(cell)
    except (TypeError, ValueError):
        raise _Unusable("a number", shown(cell)) from None
    if not math.isfinite(number):
        raise _Unusable("a finite number", shown(cell))
    most = MAX_TARGET if isinstance(feature, TargetFeature) else MAX_INPUT
    if abs(number) > most:
        raise _Unusable(f"a number from {-most:.2g} to {most:.2g}: float32 cannot hold squares of others", shown(cell))
    for bound, wrong, word in ((feature.min, number.__lt__, "least"), (feature.max, number.__gt__, "most")):
        if bound is not None and wrong(bound):
            raise _Unusable(f"at {word} {bound:g}", shown(cell))
    return number


def _label(cell: Any, feature: LabelFeature) -> int:
    """Returns the index of a class given by name; a whole number is an index where no class is called by a number."""
    if isinstance(cell, bytes):
        cell = cell.decode("utf-8", errors="replace")
    name = cell if cell in feature.classes else word(cell)
    if name in feature.classes:
        return feature.classes.index(name)
    is_index = isinstance(cell, int | float) and not isinstance(cell, bool) and cell in range(len(feature.classes))
    if is_index and not any(name.strip().lstrip("+-").replace(".", "", 1).isdigit() for name in feature.classes):
        return int(cell)
    raise _one_of(feature.classes, name, cell)


def _text(cell: Any) -> str:
    text = cell
    if isinstance(cell, bytes):
        try:
            text = cell.decode()
        except UnicodeDecodeError:
            raise _Unusable("UTF-8 text", _encoded(cell) or f"{shown(cell)} of no text") from None
    if not isinstance(text, str):
        raise _Unusable("text", shown(cell))
    if not is_unicode(text):
        raise _Unusable("Unicode text", f"half of a surrogate pair in {shown(text)}")
    if "\0" in text:
        found = _encoded(cell) if isinstance(cell, bytes) else None
        raise _Unusable("text", found or f"a zero byte at character {text.index(chr(0)) + 1:,}")
    return text


def _encoded(content: bytes) -> str | None:
    """Returns what encoding bytes seem to be in; None where none fits."""
    likely = encoding.recognised(content)
    return f"what looks like {likely}" if likely else None


def _image(cell: Any, feature: ImageFeature, content: bytes | None) -> np.ndarray:
    """Returns uint8 `(height, width, channels)` of an encoded image, or of raw bytes of the right number."""
    if content is None:
        raise _Unusable(pictures.ANY_FORMAT, f"no file {shown(cell)}" if isinstance(cell, str) else shown(cell))
    shape = (feature.height, feature.width, feature.channels)
    if _is_raw(content, feature):
        return np.frombuffer(content, np.uint8).reshape(shape)
    try:
        return pictures.decode(content, shape)
    except pictures.UnusablePictureError as error:
        raise _Unusable(error.expected, error.found) from None


def _is_raw(content: bytes, feature: ImageFeature) -> bool:
    # BM, which a BMP file begins with, is two pixels as likely as any
    size = feature.height * feature.width * feature.channels
    return len(content) == size and pictures.format_of(content) in (None, "BMP")


def content_of(cell: Any, folder: Path) -> bytes | None:
    """Returns the bytes of an image cell: bytes, a path from `folder`, or Hugging Face's `{bytes, path}`; else None."""
    if isinstance(cell, dict):
        cell = cell.get("bytes") or cell.get("path")
    if isinstance(cell, str):
        try:
            return (folder / cell).read_bytes()
        except (OSError, ValueError):
            return None
    return cell if isinstance(cell, bytes) else None


def shown(cell: Any) -> str:
    """Returns a cell as a message shows it: short, and bytes never."""
    if cell is None:
        return "nothing"
    if isinstance(cell, bytes):
        return f"{len(cell):,} bytes"
    if isinstance(cell, dict | list):
        return f"a {type(cell).__name__} of {len(cell)}"
    text = repr(cell) if isinstance(cell, str) else str(cell)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}... ({len(text):,} characters)"
