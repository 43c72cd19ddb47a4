"""A column is stored like its cells one by one, for all kinds of cells and all types of Arrow."""

import random
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from data.columnar.columns import column, feature_options, stored_type
from data.kinds.cell import ReadOptions, Unusable
from data.kinds.registry import kind_of
from data.numerals import Notation
from data.spec import (
    BooleanFeature,
    CategoryFeature,
    DateFeature,
    ImageFeature,
    LabelFeature,
    NumberFeature,
    SequenceFeature,
    TargetFeature,
    TensorFeature,
    TextFeature,
)

FEATURES = [
    NumberFeature(),
    NumberFeature(optional=True, min=-2.5, max=1e6),
    TargetFeature(),
    TargetFeature(min=0),
    NumberFeature(unit="%"),
    NumberFeature(unit="\u20ac", max=1e6),
    TargetFeature(unit="km/h"),
    BooleanFeature(),
    BooleanFeature(optional=True),
    DateFeature(),
    DateFeature(optional=True, format="unix"),
    DateFeature(format="%Y%m%d"),
    DateFeature(optional=True, format="%d.%m.%Y"),
    DateFeature(optional=True, format="%d/%m/%Y %H:%M"),
    DateFeature(format="%b %d, %Y"),
    CategoryFeature(),
    CategoryFeature(optional=True),
    CategoryFeature(values=("yes", "no", "3", "caf\u00e9", "None")),
    TextFeature(),
    TextFeature(optional=True),
    LabelFeature(classes=("cat", "dog", "None")),
    LabelFeature(classes=("1", "2.0", "-3", "007", "true")),
    LabelFeature(classes=("cat", "dog", "eel"), index_from=1),
    LabelFeature(classes=("caf\u00e9", "e\u0301t\u00e9", "yes ")),
    ImageFeature(height=1, width=2, channels=1),
    SequenceFeature(),
    SequenceFeature(optional=True, max_length=2, too_long="last", min=-1),
    SequenceFeature(optional=True, separator=" "),
    SequenceFeature(of="category", separator=","),
    SequenceFeature(of="category", values=("cat", "dog", "3"), optional=True),
    SequenceFeature(width=2),
    TensorFeature(shape=(1,)),
    TensorFeature(shape=(2, 1), dtype="int8", optional=True),
]
TEXTS = [
    "", " ", "\t", "\u3000", "\u00a0x\u00a0",
    "0", "1", "-1", " 1", "1 ", "\u20091", "+3", "-0", "1.", ".5", "1e5", "1E+05",
    "1e400", "1e-400", "-1e39", "2e19", "1e16", "1" * 120, "123456789012345678", "0.1", "1_000", "inf", "-Infinity",
    "nan", "NaN", "0x10", "\uff11", "\u0661", "--1", "1,5", "-999", " -999 ", "NA", "n/a", " NA", "None", "none",
    "yes", "Yes", " no ", "TRUE", "f", "1.0", "cat", "Cat", " dog", "3", "3.0", "-3", "007", "7", "2", "caf\u00e9",
    "cafe\u0301", "\u00e9te\u0301", "yes ", "a\0b", "plain text", " text with spaces  ", "2024-01-31", " 2024-02-29 ",
    "2023-02-29", "2024-01-31T12:30", "2024-01-31 12:30:59", "2024-01-31T12:30:59.75", "1960-01-01T00:00:00.25",
    "2024-01-31Z", "2024-01-31T12:30:59Z", "2024-01-31T12:30:59+02:00", "20240131", "20241331", "2024-W05-3",
    "0000-01-01", "0001-01-01", "0001-01-01T00:00:00+01:00", "9999-12-31", "9999-12-31T23:59:59-01:00", "2024-1-5",
    "31.01.2024", "1.2.2024", "30.02.2024", "31/01/2024 09:05", "31/01/2024  9:05", "Jan 31, 2024", "1706659200",
    "1e19", "1706659200.9", "-5.9", "3%", "3 %", "% 3", "3,0\u00a0%", "0.03", "%", "%3%", "1.234,50", "1,234.50",
    "1,23", "1.23", "12,345", "0,123", "1 234", "1\u00a0234,5", "1'234.5", "1\u20191'2", "1\u2019234\u2019567", "12 34",
    "1,234,56", "\u20ac 1.234,50", "1.234,50\u20ac", "-\u20ac12", "\u20ac-12", "\u2212\u20ac 5", "\u221212,5", "- 5",
    "100 km/h", "100km/h ", "1,5e3", "1e5\u20ac", "(12.50)", ",5", "5,", ",", ".", "1.234.567", "1.234,567.8",
    "1" * 99 + " km/h", "[1, 2]", "[[1, 2], [3, 4]]", "[1, null]", "[", "1 2 3", "cat, dog", "cat,,dog", '["cat", 3]',
]  # fmt: skip
NUMBERS = [0, 1, -1, 3, 7, 255, 20240131, 2**31, 2**53 + 1, -(2**62), 2**63 - 1, 1706659200]
FLOATS = [0.0, -0.0, 1.0, 2.0, -3.0, 0.1, 2.5, 1e15 + 2, 1e16, 1e39, -1e300, 5e-324, float("nan"), float("inf"), 1e6]
MOMENTS = [datetime(1969, 12, 31, 23, 59, 59, 250000), datetime(2024, 1, 31, 12, 30), datetime(1, 1, 1), datetime.max]
OTHERS = [
    None, True, False, b"cat", b"25", b"\xff\xfe", b"", b"ab", b" 1 ", b"a\0b", [1], {"a": 1}, [], "half \ud83d", 2**70,
    10**400, Decimal("1.50"), Decimal("1e-10"), Decimal("NaN"), Decimal(3), date(2024, 1, 31), time(12), timedelta(5),
    datetime(2024, 1, 31, tzinfo=timezone(timedelta(hours=2))), np.float32(0.1),
]  # fmt: skip
ALL_OPTIONS = [
    ReadOptions(textual=True, missing=frozenset({"", "NA", "-999", "None", "2024-01-31"})),
    ReadOptions(textual=True, missing=frozenset({""})),
    ReadOptions(textual=True),
    ReadOptions(),
    ReadOptions(missing=frozenset({"", "NA", "-999", "None"})),
    *(ReadOptions(True, frozenset({"", "-1"}), notation=Notation(*marks)) for marks in (",", ",.", ", ", ".,", ".'")),
]


def _columns(chance: random.Random) -> list:
    """Returns columns of every type that a reader yields, and Python lists of mixed ones."""
    bits, zone = [chance.getrandbits(60) - 2**59 for _ in range(8)], "Europe/Berlin"
    words = chance.choices(TEXTS, k=20) + [str(chance.uniform(-9, 9)) for _ in range(5)] + [None]
    floats = [*chance.sample(FLOATS, 5), chance.uniform(-1e9, 1e9), None]
    moments = [*chance.sample(MOMENTS, 3), datetime(1970, 1, 1) + timedelta(microseconds=bits[0] // 100), None]
    dates = [date(2024, 1, 31), date(1, 1, 1), date(1969, 12, 31), None]
    decimals = [Decimal(chance.randrange(-(10**9), 10**9)).scaleb(-chance.randrange(4)) for _ in range(5)]
    return [
        pa.array(words, pa.string()),
        pa.array(["1", *words], pa.string()).slice(1),
        pa.array(words, pa.large_string()),
        pa.array(words).dictionary_encode(),
        pa.array([*(word.encode() for word in words if word), b"\xff", None], pa.binary()),
        pa.array([b"ab", b"BM", b"\x00\x01"], pa.binary(2)),
        pa.array([*chance.sample(NUMBERS, 6), *bits, None], pa.int64()),
        pa.array([2**64 - 1, 0, 20240131], pa.uint64()),
        pa.array([1, 0, -1, 2], pa.int8()),
        pa.array(floats, pa.float64()),
        pa.array([1.0, 0.1, None], pa.float32()),
        pa.array([1.0, None], pa.float64()).dictionary_encode(),
        pa.array(np.array([0.5, 1], np.float16)),
        pa.array([True, False, None]),
        pa.array([*decimals, None], pa.decimal128(20, 4)),
        pa.array(dates, pa.date32()),
        pa.array(dates, pa.date64()),
        pa.array(moments, pa.timestamp("us")),
        pa.array(moments, pa.timestamp("us")).cast(pa.timestamp("ms"), safe=False),
        pa.array([datetime(1969, 12, 31, 12), datetime(2030, 7, 1), None], pa.timestamp("s", zone)),
        pa.array([1, -1, None], pa.timestamp("ns")),
        pa.array([time(12), None]),
        pa.array([timedelta(1)]),
        pa.array([[1], [], None]),
        pa.array([[1.0, float("nan")], [2, -3], [1e39, 2], [0.5], [-0.0], [None], None], pa.list_(pa.float64())),
        pa.array([[1, 2], [3, 4], None], pa.list_(pa.int16(), 2)),
        pa.array([["cat", "dog"], ["3", " 4 "], ["NA"], [""], [], None]),
        pa.array([[[1, 2], [3, 4]], [[1, 2], [3]], [[5, 6]], []], pa.large_list(pa.list_(pa.float32()))),
        pa.array([{"a": 1}, None]),
        pa.nulls(3),
        pa.array([], pa.string()),
        chance.sample([*TEXTS, *NUMBERS, *FLOATS, *OTHERS], 60),
    ]


@pytest.mark.parametrize("feature", FEATURES, ids=str)
def test_a_column_is_stored_like_its_cells_one_by_one(feature):
    chance = random.Random(19)

    for options in ALL_OPTIONS:
        for _ in range(2):
            for cells in _columns(chance):
                _assert_equal(cells, feature, options)


def _assert_equal(cells, feature, options):
    stored = column(cells, feature, options)

    values = cells if isinstance(cells, list) else _python(cells)
    expected, problems = [], {}
    for row, cell in enumerate(values):
        try:
            value = kind_of(feature).value(cell, feature, feature_options(feature, options))
            expected.append(value.tobytes() if isinstance(value, np.ndarray) else value)
        except Unusable as error:
            problems[row] = (error.expected, error.found)
            expected.append(None)
    assert {row: (error.expected, error.found) for row, error in stored.problems.items()} == problems
    assert stored.values.type == stored_type(feature)
    case = f"{feature} {options} {cells}"
    assert _bits(stored.values) == _bits(pa.array(expected, stored_type(feature))), case


def _python(cells: pa.Array) -> list:
    try:
        return cells.to_pylist()
    except UnicodeDecodeError:
        return cells.cast(pa.binary()).to_pylist()


def _bits(values: pa.Array) -> list:
    """Returns values so that 0 and -0 differ."""
    if pa.types.is_list(values.type):
        return [values.is_valid().to_pylist(), values.value_lengths().to_pylist(), _bits(values.flatten())]
    return [value if not isinstance(value, float) else np.float32(value).tobytes() for value in values.to_pylist()]
