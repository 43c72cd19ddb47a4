import random
from collections import Counter
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pytest

from data.inference import facts
from data.inference.dates import FORMATS, are_dates, is_date
from data.inference.facts import MISSING_MARKERS, Survey, survey
from data.kinds.cell import word
from data.sources.tables import notation
from data.texts import is_unicode
from tests.data.as_block import block_of


class _CellWise:
    """The facts of a column, counted cell by cell: the reference for those of blocks."""

    def __init__(self):
        self.values, self.missing, self.rows, self.numbers, self.integers = Counter(), Counter(), 0, 0, 0
        self.minimum, self.maximum, self.last, self.is_consecutive = float("inf"), float("-inf"), float("nan"), True
        self.formats, self.has_date_type, self.is_nested = list(FORMATS), False, False

    def add(self, cell):
        text = "" if cell is None or cell != cell else word(cell)
        if not is_unicode(text):
            return
        if text in MISSING_MARKERS:
            self.missing[text] += 1
            return
        self.rows += 1
        self.is_nested |= isinstance(cell, dict | list | tuple)
        if isinstance(cell, list | tuple):
            self.formats = []
            return
        self.has_date_type |= not isinstance(cell, str) and hasattr(cell, "year")
        self.values[text] += 1
        self._add_number(cell, text)
        self.formats = [form for form in self.formats if is_date(text, form)]

    def _add_number(self, cell, text):
        if isinstance(cell, bool) or not notation.is_number(text):
            return
        number = float(text)
        if number - number == 0:
            self.is_consecutive &= not self.numbers or number == self.last + 1
            self.numbers += 1
            self.integers += number.is_integer()
            self.minimum, self.maximum, self.last = min(self.minimum, number), max(self.maximum, number), number


TEXTS = (
    "", "NA", " NA ", "?", "nan", "NaN", "NAN", "inf", "-Infinity", "1", "1.0", "01", "+1", " 2", "3 ", "1_000", "1e3",
    "1e400", ".5", "5.", "0x10", "١٢", "12", "1,5", "yes", "red", " red", "rød\u00a0", "2024-01-31", "2024-01-31T10:00",
    "2024-02-30", "2024-01-31T10:00:00Z", "20240131", "31.01.2024", "1.1.2024", "05/06/2024", "Jan 31, 2024",
    "31.01.2024 10:00", "in two words", "nano", "\x1c7",
)  # fmt: skip
POOLS = (
    TEXTS,
    ("1.5", "2", "-3e4", "0.25", "7"),
    ("1.5", "2", "", "-3e4", "NA"),
    ("red", "green", ""),
    ("31.01.2024", "01.12.2023"),
    ("01/02/2024 10:00", "13/02/2024 23:59"),
    ("2024-01-31", "2023-12-01T12:30", "2023-12-01 12:30:59.123Z"),
    ("20240131", "20231201"),
    (1, 2, None, 40, -7),
    (20240131, 20231201),
    (1.5, 2.0, float("nan"), float("inf"), -0.0, 0.0, None, 20240101.05),
    (True, False, None),
    (date(2024, 1, 31), date(2023, 2, 1), None),
    (datetime(2024, 1, 31, 10), datetime(2023, 2, 1)),
    (Decimal("1.50"), Decimal("2.00"), None),
    (b"a", b"\xff", None),
    ({"a": 1}, None, {"a": 2}),
    ([1, 2], [], None),
    (1, "1", "x", True, None, 2.5, [1], date(2024, 1, 31), "\ud800"),
)


def _facts(column):
    facts_of_column = {
        name: getattr(column, name)
        for name in (
            "missing",
            "rows",
            "numbers",
            "integers",
            "minimum",
            "maximum",
            "is_consecutive",
            "has_date_type",
            "is_nested",
        )
    }
    # The formats of a column with a date type are not used.
    return facts_of_column | {
        "values": list(column.values.items()),
        "formats": None if column.has_date_type else column.formats,
    }


def _cuts(rng, cells):
    position = 0
    while position < len(cells):
        size = rng.randint(1, 12)
        yield cells[position : position + size]
        position += size


@pytest.mark.parametrize("seed", range(40))
def test_facts_of_blocks_equal_those_of_cells_for_any_block_size(seed):
    rng = random.Random(seed)
    for pool in POOLS:
        chosen = rng.sample(pool, rng.randint(1, len(pool)))
        cells = [rng.choice(chosen) for _ in range(rng.randint(1, 60))]
        if rng.random() < 0.2:
            cells = [str(number) for number in range(5, 5 + len(cells))]
        expected = _CellWise()
        for cell in cells:
            expected.add(cell)

        parts = list(_cuts(rng, cells))
        blocks = [block_of({"c": part}) for part in parts]
        middle = rng.randint(0, len(blocks))
        merged, second_survey = Survey(), Survey()
        for block in blocks[:middle]:
            merged.add(block)
        for block in blocks[middle:]:
            second_survey.add(block)
        merged.merge(second_survey)

        # Arrow converts 1 to 1.0 next to 2.5; both are the value 1.
        assert _facts(survey(blocks)["c"]) == _facts(expected), (cells, parts)
        assert _facts(merged.result()["c"]) == _facts(expected), (cells, middle)


def test_the_first_of_too_many_values_are_kept(monkeypatch):
    monkeypatch.setattr(facts, "MAX_DISTINCT", 3)

    column = survey([block_of({"c": ["a", "b"]}), block_of({"c": ["c", "d", "e", "f"]})])["c"]

    assert list(column.values) == ["a", "b", "c", "d"]
    assert column.has_too_many_values
    assert column.rows == 6


@pytest.mark.parametrize("cells", [["1e308", "-1e39", "7"], [1e308, -1e39, 7.0]], ids=["texts", "numbers"])
def test_integers_beyond_float32_collide_only_with_those_of_their_sign(cells):
    column = survey([block_of({"c": cells})])["c"]

    assert column.num_collisions == 0


def test_a_column_that_some_rows_lack_has_missing_values():
    columns = survey([block_of({"a": ["1", "2"]}), block_of({"a": ["3"], "b": ["x"]}), block_of({"a": ["4", "5"]})])

    assert columns["b"].rows == 1
    assert columns["b"].missing == {"": 4}


@pytest.mark.parametrize("seed", range(20))
def test_dates_of_arrays_match_those_of_python(seed):
    rng = random.Random(seed)
    day = datetime(rng.randint(1, 2999), rng.randint(1, 12), rng.randint(1, 28), rng.randint(0, 23), 59, 1)
    for form in FORMATS:
        text = day.isoformat(rng.choice(" T")) if form == "iso" else day.strftime(form)
        for spoilt in (text, text.replace("0", "", 1), text.replace("1", "3"), text + "Z", f" {text}", text[:-1]):
            expected = [date_format for date_format in FORMATS if is_date(spoilt, date_format)]

            assert are_dates(pa.array([spoilt, spoilt]), FORMATS) == expected, spoilt


LISTS = ([1, 2.5], [3], [], None, ["a", "b"], ["", "x"], [1, None], [float("nan"), 1], [None], ["é"], [2**40, 7, 8])


@pytest.mark.parametrize("kind", [pa.list_(pa.float64()), pa.large_list(pa.int64()), pa.list_(pa.string())])
def test_lists_of_arrow_are_counted_as_those_of_python(kind):
    generator = random.Random(0)
    for _ in range(200):
        cells = generator.choices([cell for cell in LISTS if _fits(cell, kind)], k=generator.randint(1, 8))
        columnar, one_by_one = facts.Column("x"), facts.Column("x")

        columnar.add(pa.array(cells, kind))
        one_by_one.add(pa.array(cells, kind).to_pylist())

        assert columnar.lists == one_by_one.lists, cells
        assert (columnar.rows, columnar.missing, columnar.is_nested, columnar.formats) == (
            one_by_one.rows, one_by_one.missing, one_by_one.is_nested, one_by_one.formats,
        )  # fmt: skip


def _fits(cell, kind) -> bool:
    try:
        pa.array([cell], kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return False
    return True
