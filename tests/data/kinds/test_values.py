"""Cells are converted to values by the same rules in training and in `headrace predict`."""

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from data.columnar.columns import column, of_rows, to_row
from data.kinds import number
from data.kinds.cell import ReadOptions, word, words_of_floats
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
    NumberFeature,
    TargetFeature,
    TextFeature,
)


def _row(cell, *, optional: bool, textual: bool = False):
    spec = DatasetSpec(name="texts", title="", licence="", features={"text": TextFeature(optional=optional)})
    return to_row(Record("1.txt", {"text": cell}), spec, ReadOptions(textual, frozenset({""})))


@pytest.mark.parametrize(
    ("cell", "found"),
    [
        (b"", "an empty text"),
        ("", "an empty text"),
        (b" \r\n", "blanks only"),
        ("\u3000\t", "blanks only"),
    ],
)
def test_an_empty_or_blank_text_is_absent(cell, found):
    bad = _row(cell, optional=False)

    assert isinstance(bad, BadRow)
    assert str(bad.problems[0]) == f"1.txt:text: expected text, found {found}"
    assert _row(cell, optional=True) == {}


@pytest.mark.parametrize("optional", [False, True])
def test_a_zero_byte_is_no_text(optional):
    messages = [
        str(_row(cell, optional=optional).problems[0]) for cell in (b"a\0b", "a\0b", "Windows".encode("utf-16-le"))
    ]

    assert messages == [
        "1.txt:text: expected text, found a zero byte at character 2",
        "1.txt:text: expected text, found a zero byte at character 2",
        "1.txt:text: expected text, found what looks like UTF-16LE",
    ]


def test_raw_pixels_may_begin_with_the_signature_of_a_format():
    """BM, 66 and 77, is the signature of a BMP file and a likely pair of pixels."""
    spec = DatasetSpec(name="x", title="", licence="", features={"p": ImageFeature(height=2, width=2, channels=1)})

    row = to_row(Record("1", {"p": b"BM\x01\x02"}), spec, ReadOptions())

    assert row["p"].ravel().tolist() == [66, 77, 1, 2]


@pytest.mark.parametrize("feature", [NumberFeature(), TargetFeature()])
@pytest.mark.parametrize("zero", ["-0.0", "-0", "\u22120", "-1e-60"])
def test_a_negative_zero_becomes_zero(feature, zero):
    """Rows that differed only in its sign had different digests, and duplicates and leakage were not found."""
    spec = DatasetSpec(name="x", title="", licence="", features={"x": feature})
    cells = [zero] if zero[0] != "-" else [zero, float(zero)]
    forms = [cells, *(pa.array([cell]) for cell in cells)]

    stored = [column(form, feature, ReadOptions()).values[0].as_py() for form in forms]
    values = [np.float32(number.value(cell, feature, ReadOptions())) for cell in cells]
    row_values = of_rows([{"x": float(zero.replace("\u2212", "-"))}], spec).column("x").to_pylist()

    assert {str(value) for value in (*stored, *values, *row_values)} == {"0.0"}


def test_a_number_is_no_index_where_names_of_classes_are_numbers():
    """With classes 1, 2 and 3 a label 0 became the first class: a model was published with every label off by one."""
    label = LabelFeature(classes=("1", "2", "3"))
    spec = DatasetSpec(name="x", title="", licence="", features={"y": label})
    rows = [to_row(Record("1", {"y": cell}), spec, ReadOptions()) for cell in (1, 3.0, 0)]

    assert [row["y"] for row in rows[:2]] == [0, 2]
    assert isinstance(rows[2], BadRow)


def _value_or_problem(cell, feature: Feature, *, textual: bool = False) -> str | dict:
    spec = DatasetSpec(name="x", title="", licence="", features={"y": feature})
    row = to_row(Record("1", {"y": cell}), spec, ReadOptions(textual, frozenset({"", "None"})))
    return str(row.problems[0]) if isinstance(row, BadRow) else dict(row)


@pytest.mark.parametrize(("cell", "shown"), [(1, "1"), (2.0, "2.0"), (Decimal(0), "0"), ("1", "'1'"), (7, "7")])
def test_a_number_is_an_index_only_where_the_settings_say_so(cell, shown):
    """In a file that counts from 1, each row got the class after its own, and no check noticed."""
    by_name = LabelFeature(classes=("cat", "dog", "eel"))
    by_index = LabelFeature(classes=("cat", "dog", "eel"), index_from=1)
    index = int(cell)

    assert _value_or_problem(cell, by_name, textual=isinstance(cell, str)) == (
        f"1:y: expected one of cat, dog, eel, found {shown} (where it is an index, set index_from to that of cat)"
    )
    expected = {"y": index - 1} if 1 <= index <= 3 else f"1:y: expected the index of a class, 1 to 3, found {shown}"
    assert _value_or_problem(cell, by_index, textual=isinstance(cell, str)) == expected


def test_names_of_classes_are_refused_where_the_column_holds_indices():
    digits = LabelFeature(classes=("1", "2"), index_from=0)

    assert [_value_or_problem(cell, digits) for cell in (1, b"1", "0")] == [{"y": 1}, {"y": 1}, {"y": 0}]
    for cell, shown in ((2, "2"), ("dog", "'dog'"), (True, "True"), (0.5, "0.5"), (None, "nothing"), ("", "nothing")):
        assert (
            _value_or_problem(cell, digits, textual=cell == "")
            == f"1:y: expected the index of a class, 0 to 1, found {shown}"
        )


def test_a_class_is_not_missing_by_its_spelling_and_a_missing_label_is_no_class():
    """A row without a label, Python's None, got the class that is called None."""
    label = LabelFeature(classes=("None", "some"))

    assert [_value_or_problem(cell, label, textual=True) for cell in ("None", " None ")] == [{"y": 0}, {"y": 0}]
    assert _value_or_problem("", label, textual=True) == "1:y: expected one of None, some, found nothing"
    assert _value_or_problem(None, label) == "1:y: expected one of None, some, found nothing"
    assert _value_or_problem("None", CategoryFeature(values=("None", "a"), optional=True), textual=True) == {
        "y": "None"
    }
    assert _value_or_problem("None", CategoryFeature(optional=True), textual=True) == {}


def test_names_are_equal_in_every_form_of_unicode():
    composed, decomposed = "caf\u00e9", "cafe\u0301"

    assert _value_or_problem(decomposed, LabelFeature(classes=("bar", composed))) == {"y": 1}
    assert _value_or_problem(composed, LabelFeature(classes=("bar", decomposed))) == {"y": 1}
    assert _value_or_problem(decomposed, LabelFeature(classes=(composed, decomposed))) == {
        "y": 1
    }  # where both are named
    assert _value_or_problem(decomposed, CategoryFeature(values=(composed,))) == {"y": composed}


def test_numbers_are_classes_by_their_value_and_codes_by_their_digits():
    label = LabelFeature(classes=("1.0", "2", "007"))

    assert [_value_or_problem(cell, label) for cell in (1, 2.0)] == [{"y": 0}, {"y": 1}]
    assert [_value_or_problem(cell, label, textual=True) for cell in ("1", " 2.0 ")] == [{"y": 0}, {"y": 1}]
    assert _value_or_problem("07", label, textual=True).startswith("1:y: expected one of 1.0, 2, 007, found '07'")
    assert _value_or_problem("1", LabelFeature(classes=("no", "yes")), textual=True).startswith(
        "1:y: expected one of no, yes"
    )
    assert _value_or_problem(7, label) == "1:y: expected one of 1.0, 2, 007, found 7"


def test_bytes_are_compared_with_the_values_of_a_category():
    category = CategoryFeature(values=("a", "b"))

    assert _value_or_problem(b"a", category) == {"y": "a"}
    assert _value_or_problem(b"c", category).startswith("1:y: expected one of a, b, found 'c'")


def test_an_integer_of_any_length_is_a_problem_of_its_row_only():
    assert _value_or_problem(10**400, NumberFeature()).startswith("1:y: expected a finite number, found 1000")


@pytest.mark.parametrize(
    ("cell", "stored"), [("25", 25.0), (" 2.5e1 ", 25.0), (25, 25.0), (float("nan"), None), ("", None)]
)
def test_a_typed_column_may_hold_numbers_as_text_and_markers_of_missing_values(cell, stored):
    spec = DatasetSpec(name="x", title="", licence="", features={"n": NumberFeature(optional=True)})

    row = to_row(Record("1", {"n": cell}), spec, ReadOptions(missing=frozenset({""})))

    assert row == ({} if stored is None else {"n": stored})


def test_a_required_feature_of_a_typed_column_has_no_markers_of_missing_values():
    features: dict[str, Feature] = {"c": CategoryFeature(), "n": NumberFeature()}
    spec = DatasetSpec(name="x", title="", licence="", features=features)

    row = to_row(Record("1", {"c": "", "n": 1}), spec, ReadOptions(missing=frozenset({""})))
    bad = to_row(Record("1", {"c": "", "n": float("nan")}), spec, ReadOptions(missing=frozenset({""})))

    assert row == {"c": "", "n": 1.0}
    assert [str(problem) for problem in bad.problems] == ["1:n: expected a finite number, found nan"]


@pytest.mark.parametrize("dtype", [pa.float64(), pa.float32()])
def test_an_array_of_floats_is_written_like_single_floats(dtype):
    generator = np.random.default_rng(0)
    bounds = [0.0, -0.0, np.nan, np.inf, -np.inf, 1e-4, 9.999e-5, 1e10, 9999999999.5, 1e15, 1e16, 2.0**53, -(2.0**53)]
    drawn = generator.normal(size=20_000) * 10.0 ** generator.integers(-8, 18, 20_000)
    rounded = np.round(generator.normal(size=20_000) * 10.0 ** generator.integers(0, 6, 20_000), 3)
    cells = pa.array([None, *bounds, *drawn, *rounded], dtype)

    assert words_of_floats(cells).to_pylist() == [
        None if cell is None else word(cell).encode() for cell in cells.to_pylist()
    ]


@pytest.mark.parametrize(
    ("feature", "expected"),
    [
        (NumberFeature(), "a number"),
        (TargetFeature(), "a number"),
        (BooleanFeature(), "yes or no"),
        (DateFeature(), "a date such as 2026-01-31 or 2026-01-31T12:00:00"),
        (CategoryFeature(), "text"),
        (CategoryFeature(values=("a", "b")), "text"),
        (TextFeature(), "text"),
        (LabelFeature(classes=("a", "b")), "one of a, b"),
    ],
)
def test_a_missing_value_is_refused_unless_the_feature_is_optional(feature, expected):
    for cell, textual in (("", True), (" ", True), ("None", True), (None, False)):
        assert _value_or_problem(cell, feature, textual=textual).startswith(f"1:y: expected {expected}, found ")
        stored = column(pa.array([cell], pa.string()), feature, ReadOptions(textual, frozenset({"", "None"})))
        assert list(stored.problems) == [0]
        if not isinstance(feature, LabelFeature | TargetFeature):
            assert _value_or_problem(cell, feature.model_copy(update={"optional": True}), textual=textual) == {}
