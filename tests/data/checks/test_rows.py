import numpy as np
import pytest

from data.checks.rows import RowChecks, _input_digest
from data.config import Check, DataChecks, InvalidCheck
from data.errors import DataError
from data.spec import (
    BadRow,
    CategoryFeature,
    DatasetSpec,
    ImageFeature,
    LabelFeature,
    LocatedRow,
    NumberFeature,
    Problem,
)

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={"image": ImageFeature(height=1, width=1, channels=1), "label": LabelFeature(classes=("cat", "dog"))},
    num_rows={"train": 1, "validation": 1, "test": 1},
)


def _rows(*values: int, label=None) -> list[dict]:
    """Returns rows with these pixels; the label is the pixel's parity unless it is given."""
    return [{"image": np.full((1, 1, 1), v, np.uint8), "label": v % 2 if label is None else label} for v in values]


def _watch(checks: RowChecks, **splits: list[dict]) -> dict[str, list[int]]:
    """Returns the pixels that pass, of each split; splits that are not given have two good rows."""
    good = {"test": _rows(200, 201), "validation": _rows(202, 203), "train": _rows(204, 205)}
    found: dict[str, list[int]] = {split: [] for split in good}
    for split, row in checks.watch((split, row) for split, rows in {**good, **splits}.items() for row in rows):
        found[split].append(int(row["image"][0, 0, 0]))
    return found


def test_rows_that_are_all_different_pass_as_they_are():
    checks = RowChecks(DataChecks(), SPEC)

    found = _watch(checks, test=_rows(1, 2, 3), train=_rows(4, 5))

    assert found == {"test": [1, 2, 3], "validation": [202, 203], "train": [4, 5]}
    assert checks.notes == []


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1.0}, {"b": 1.0}), ({"a": 1.0, "b": 23.0}, {"a": 1.02, "b": 3.0}), ({"c": "a"}, {"c": "a'b'"})],
)
def test_rows_of_other_names_or_boundaries_are_no_duplicates(one, other):
    """Of 801 different rows 129 were refused: values were joined without names and without ends."""
    numbers = {name: NumberFeature(optional=True) for name in "ab"}
    features = {**numbers, "c": CategoryFeature(optional=True), "label": SPEC.features["label"]}
    spec = SPEC.model_copy(update={"features": features})
    rows = [{**values, "label": index} for index, values in enumerate((one, other))]

    assert _input_digest(rows[0], spec) != _input_digest(rows[1], spec)
    assert _input_digest(rows[0], spec) == _input_digest({**one, "label": 1}, spec)


def test_too_many_duplicates_stop_with_the_first_pair_of_rows():
    with pytest.raises(DataError) as caught:
        _watch(RowChecks(DataChecks(), SPEC), train=_rows(1, 2, 3, 2, 1))

    assert str(caught.value) == (
        "tiny: 2 of 5 rows of split train are duplicates (40.00%, first: train row 4 equals train row 2); at most "
        "1.00% are allowed. Mend the data, or set data.checks.duplicates.policy to drop or warn."
    )


def test_a_row_in_two_splits_stops():
    with pytest.raises(
        DataError, match=r"1 of 3 rows of split train is in another split too .*train row 3 equals test row 2"
    ):
        _watch(RowChecks(DataChecks(), SPEC), test=_rows(1, 2), train=_rows(5, 6, 2))


def test_a_relabelled_copy_of_a_test_row_is_leakage_too():
    with pytest.raises(DataError, match="in another split too"):
        _watch(RowChecks(DataChecks(), SPEC), test=_rows(1, 2), train=[*_rows(5, 6), *_rows(1, label=0)])


def test_equal_rows_with_another_label_are_counted_and_the_first_is_shown():
    with pytest.raises(DataError) as caught:
        _watch(RowChecks(DataChecks(), SPEC), test=_rows(1, 2), train=[*_rows(5, 6, 5), *_rows(5, 6, 1, label=0)])

    assert str(caught.value).splitlines()[1:] == [
        "  1. 3 of 6 rows of split train are duplicates (50.00%, first: train row 3 equals train row 1; of these 1 has "
        "another label, first: train row 4 (cat) equals train row 1 (dog)); at most 1.00% are allowed. Mend the data, "
        "or set data.checks.duplicates.policy to drop or warn.",
        "  2. 1 of 6 rows of split train is in another split too (16.67%, of these 1 has another label, "
        "first: train row 6 (cat) equals test row 1 (dog)); at most 0.00% are allowed. Mend the data, "
        "or set data.checks.leakage.policy to drop or warn.",
    ]


def test_dropped_rows_are_left_out_and_counted():
    checks = RowChecks(DataChecks(leakage=Check(policy="drop"), duplicates=Check(policy="drop")), SPEC)

    assert _watch(checks, test=_rows(1, 2), train=_rows(5, 2, 6, 5))["train"] == [5, 6]
    assert checks.notes == [
        "1 of 4 rows of split train is a duplicate (25.00%, first: train row 4 equals train row 1), dropped",
        "1 of 4 rows of split train is in another split too (25.00%, first: train row 2 equals test row 2), dropped",
    ]


def test_a_warning_keeps_the_rows():
    checks = RowChecks(DataChecks(duplicates=Check(policy="warn")), SPEC)

    assert _watch(checks, train=_rows(1, 2, 1))["train"] == [1, 2, 1]
    assert checks.notes[0].endswith("kept")


def test_a_rate_up_to_the_limit_is_not_mentioned():
    checks = RowChecks(DataChecks(duplicates=Check(max_rate=0.5)), SPEC)

    assert len(_watch(checks, train=_rows(1, 2, 1, 2))["train"]) == 4
    assert checks.notes == []


def test_one_class_only_is_refused():
    with pytest.raises(DataError, match=r"split train has 1 class in label \(dog\), expected at least 2; nothing"):
        _watch(RowChecks(DataChecks(), SPEC), train=_rows(1, 3, 5))


@pytest.mark.parametrize("rows", [[], _rows(1)])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(DataError, match=rf"tiny: split train has {len(rows)} usable rows?, expected at least 2; add"):
        _watch(RowChecks(DataChecks(), SPEC), train=rows)


def test_a_row_without_its_label_reaches_the_writer_that_names_it():
    rows = RowChecks(DataChecks(), SPEC).watch([("train", {"image": np.zeros((1, 1, 1), np.uint8)})])

    assert "label" not in next(rows)[1]


def _bad(number: int) -> BadRow:
    return BadRow((Problem(f"rows.csv:{number}", "image", "a whole image", "an empty file"),))


def test_all_causes_are_told_at_once_each_with_its_remedy():
    rows = [_bad(1), _bad(2), *_rows(1, 2, 3, 2, 200), *_rows(*range(10, 60))]

    with pytest.raises(DataError) as caught:
        list(RowChecks(DataChecks(), SPEC).watch([("test", _rows(200)[0]), *(("train", row) for row in rows)]))

    assert str(caught.value).splitlines() == [
        "tiny: the data is refused for 5 reasons:",
        "  1. 2 of 58 rows cannot be used; mend them, or set data.checks.invalid.policy to drop:",
        "     rows.csv:1:image: expected a whole image, found an empty file",
        "     rows.csv:2:image: expected a whole image, found an empty file",
        "  2. split validation has 0 usable rows, expected at least 2; add rows to split validation.",
        "  3. split test has 1 usable row, expected at least 2; add rows to split test.",
        "  4. 1 of 55 rows of split train is a duplicate (1.82%, first: train row 4 equals train row 2); at most 1.00% "
        "are allowed. Mend the data, or set data.checks.duplicates.policy to drop or warn.",
        "  5. 1 of 55 rows of split train is in another split too (1.82%, first: train row 5 equals test row 1); at "
        "most 0.00% are allowed. Mend the data, or set data.checks.leakage.policy to drop or warn.",
    ]


def test_of_many_unusable_rows_beside_other_causes_the_first_are_named_in_ten_lines():
    with pytest.raises(DataError) as caught:
        _watch(RowChecks(DataChecks(), SPEC), train=[*map(_bad, range(30)), *_rows(*range(100), 1, 3, 5, 7)])

    lines = str(caught.value).splitlines()
    assert len(lines) == 10
    assert lines[1].endswith(
        "30 of 138 rows cannot be used; mend them; at most 5.00% may be dropped (data.checks.invalid):"
    )
    assert lines[8] == "     and 24 more"
    assert "4 of 104 rows of split train are duplicates" in lines[9]


def test_what_follows_from_unusable_rows_is_no_cause_of_its_own():
    with pytest.raises(DataError) as caught:
        _watch(RowChecks(DataChecks(), SPEC), validation=[_bad(1), *_rows(203)])

    assert str(caught.value).startswith("tiny: 1 of 6 rows cannot be used; ")


def test_a_split_with_one_class_has_a_remedy():
    checks = RowChecks(DataChecks(), SPEC, {"validation": 0.1, "test": 0.1})

    with pytest.raises(DataError, match=r"split test has 1 class in label \(dog\), .*: set data.splits.test to 0.15"):
        _watch(checks, test=_rows(1, 3), train=_rows(*range(10, 60)))


def test_a_terminal_is_told_how_many_rows_without_the_first_of_them():
    settings = DataChecks(invalid=InvalidCheck(policy="drop", max_rate=1), duplicates=Check(policy="warn"))
    checks = RowChecks(settings, SPEC)
    bad = BadRow((Problem("a (1), kept.csv:5", "label", "one of cat, dog", "(JA)"),))
    equal = [LocatedRow(row, f"b (2).csv:{number}") for number, row in enumerate(_rows(1, 2, 1), start=1)]

    _watch(checks, train=[*equal, bad])

    assert checks.notes == [
        "1 of 8 rows cannot be used (first: a (1), kept.csv:5:label: expected one of cat, dog, found (JA)), dropped",
        "1 of 3 rows of split train is a duplicate (33.33%, first: b (2).csv:3 equals b (2).csv:1), kept",
    ]
    assert checks.brief_notes == [
        "1 of 8 rows cannot be used, dropped",
        "1 of 3 rows of split train is a duplicate (33.33%), kept",
    ]


def test_a_terminal_is_told_of_labels_where_all_equal_rows_have_another():
    checks = RowChecks(DataChecks(duplicates=Check(policy="warn")), SPEC)

    _watch(checks, train=[*_rows(1, 2), *_rows(1, label=0)])

    assert checks.brief_notes == [
        "1 of 3 rows of split train is a duplicate (33.33%, of these 1 has another label), kept"
    ]
