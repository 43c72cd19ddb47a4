import dataclasses

import numpy as np
import pyarrow as pa
import pytest

from data.checks import rows as checks_of_rows
from data.checks.findings import InvalidRows
from data.checks.rows import RowChecks
from data.config import Check, DataChecks, InvalidCheck
from data.errors import DataError
from data.spec import CategoryFeature, NumberFeature, Problem
from tests.data.checks import tiny


def _add(checks: RowChecks, rows: list[dict | tiny.Bad], split: str, *, batch_rows: int = 1, file: str = "") -> None:
    """Adds rows of one split, in batches of `batch_rows`."""
    for begin in range(0, len(rows), batch_rows):
        good = sum(isinstance(row, dict) for row in rows[:begin])
        checks.add(tiny.batch([(split, row) for row in rows[begin : begin + batch_rows]], file=file, first=good + 1))


def _judge(checks: RowChecks, file: str = "", **splits: list[dict | tiny.Bad]) -> dict[str, list[int]]:
    """Returns split -> pixels of the rows that are kept; splits without an argument have two valid rows."""
    default_rows = {"test": tiny.rows(200, 201), "validation": tiny.rows(202, 203), "train": tiny.rows(204, 205)}
    rows_by_split = {**default_rows, **splits}
    for split, rows in rows_by_split.items():
        _add(checks, rows, split, batch_rows=3, file=file if split in splits else "")
    checks.judge()
    pixels = {
        split: np.array([int(row["image"][0, 0, 0]) for row in rows if isinstance(row, dict)])
        for split, rows in rows_by_split.items()
    }
    dropped = checks.dropped()
    return {
        split: of_split[~dropped.get(split, np.zeros(len(of_split), bool))].tolist()
        for split, of_split in pixels.items()
    }


def test_rows_without_a_value_in_any_input_are_noted_with_the_first():
    optional = {name: NumberFeature(optional=True) for name in "ab"}
    spec = tiny.SPEC.model_copy(update={"features": {**optional, "label": tiny.SPEC.features["label"]}})
    rows = [{"a": 1.0, "label": 0}, {"b": 2.0, "label": 1}, {"label": 0}, {"label": 1}]
    first, second = RowChecks(DataChecks(), spec), RowChecks(DataChecks(), spec)

    first.add(tiny.batch([("train", row) for row in rows[:3]], spec, file="rows.csv", first=2))
    second.add(tiny.batch([("train", row) for row in rows[3:]], spec, file="rows.csv", first=5))
    first.merge(second)

    assert (first.empty.count, first.empty.first) == (2, "rows.csv:4")
    assert first.empty.note(4)[0].startswith("2 of 4 rows have no value in any input (first: rows.csv:4), kept; delete")


def test_a_greater_share_is_no_remedy_for_too_few_groups():
    """For three groups, ever greater shares were suggested, without effect."""
    checks = RowChecks(DataChecks(), tiny.SPEC, {"validation": 0.1, "test": 0.1}, group="plan")
    batch = tiny.batch([("train", row) for row in tiny.rows(*range(9))])

    checks.add(dataclasses.replace(batch, groups=pa.array(["a", "b", "c"] * 3)))

    with pytest.raises(
        DataError, match="3 groups of plan for 3 splits are too few, about 10 are needed; group by another"
    ):
        checks.judge()


def test_distinct_rows_pass():
    checks = RowChecks(DataChecks(), tiny.SPEC)

    kept = _judge(checks, test=tiny.rows(1, 2, 3), train=tiny.rows(4, 5))

    assert kept == {"test": [1, 2, 3], "validation": [202, 203], "train": [4, 5]}
    assert checks.notes == []


@pytest.mark.parametrize(
    ("one", "other"),
    [({"a": 1.0}, {"b": 1.0}), ({"a": 1.0, "b": 23.0}, {"a": 1.02, "b": 3.0}), ({"c": "a"}, {"c": "a'b'"})],
)
def test_rows_with_other_columns_or_boundaries_are_no_duplicates(one, other):
    """129 of 801 distinct rows were refused: values were joined without their names and boundaries."""
    numbers = {name: NumberFeature(optional=True) for name in "ab"}
    features = {**numbers, "c": CategoryFeature(optional=True), "label": tiny.SPEC.features["label"]}
    spec = tiny.SPEC.model_copy(update={"features": features})
    rows = [{**values, "label": index} for index, values in enumerate((one, other, one))]
    checks = RowChecks(DataChecks(), spec)

    checks.add(tiny.batch([("train", row) for row in rows], spec))
    checks.find()

    finding = checks.splits["train"].duplicates
    assert (finding.count, finding.relabelled) == (1, 1)
    assert finding.first == "train row 3 equals train row 1"


def test_too_many_duplicates_stop_with_the_first_pair_of_rows():
    with pytest.raises(DataError) as caught:
        _judge(RowChecks(DataChecks(), tiny.SPEC), train=tiny.rows(1, 2, 3, 2, 1))

    assert str(caught.value) == (
        "tiny: 2 of 5 rows of split train are duplicates (40.00%, first: train row 4 equals train row 2); at most "
        "1.00% are allowed. Mend the data, or set data.checks.duplicates.policy to drop or warn."
    )


def test_a_row_in_two_splits_stops():
    with pytest.raises(
        DataError, match=r"1 of 3 rows of split train is in another split too .*train row 3 equals test row 2"
    ):
        _judge(RowChecks(DataChecks(), tiny.SPEC), test=tiny.rows(1, 2), train=tiny.rows(5, 6, 2))


def test_a_relabelled_copy_of_a_test_row_is_leakage_too():
    with pytest.raises(DataError, match="in another split too"):
        _judge(
            RowChecks(DataChecks(), tiny.SPEC), test=tiny.rows(1, 2), train=[*tiny.rows(5, 6), *tiny.rows(1, label=0)]
        )


def test_equal_rows_with_another_label_are_counted_and_the_first_is_shown():
    with pytest.raises(DataError) as caught:
        _judge(
            RowChecks(DataChecks(), tiny.SPEC),
            test=tiny.rows(1, 2),
            train=[*tiny.rows(5, 6, 5), *tiny.rows(5, 6, 1, label=0)],
        )

    assert str(caught.value).splitlines()[1:] == [
        "  1. 3 of 6 rows of split train are duplicates (50.00%, first: train row 3 equals train row 1; of these 1 has "
        "another label, first: train row 4 (cat) equals train row 1 (dog)); at most 1.00% are allowed. Mend the data, "
        "or set data.checks.duplicates.policy to drop or warn.",
        "  2. 1 of 6 rows of split train is in another split too (16.67%, of these 1 has another label, "
        "first: train row 6 (cat) equals test row 1 (dog)); at most 0.00% are allowed. Mend the data, "
        "or set data.checks.leakage.policy to drop or warn.",
    ]


def test_dropped_rows_are_left_out_and_counted():
    checks = RowChecks(DataChecks(leakage=Check(policy="drop"), duplicates=Check(policy="drop")), tiny.SPEC)

    assert _judge(checks, test=tiny.rows(1, 2), train=tiny.rows(5, 2, 6, 5))["train"] == [5, 6]
    assert checks.notes == [
        "1 of 4 rows of split train is a duplicate (25.00%, first: train row 4 equals train row 1), dropped",
        "1 of 4 rows of split train is in another split too (25.00%, first: train row 2 equals test row 2), dropped",
    ]


def test_a_warning_keeps_the_rows():
    checks = RowChecks(DataChecks(duplicates=Check(policy="warn")), tiny.SPEC)

    assert _judge(checks, train=tiny.rows(1, 2, 1))["train"] == [1, 2, 1]
    assert checks.notes[0].endswith("kept")


def test_a_rate_up_to_the_limit_is_not_mentioned():
    checks = RowChecks(DataChecks(duplicates=Check(max_rate=0.5)), tiny.SPEC)

    assert len(_judge(checks, train=tiny.rows(1, 2, 1, 2))["train"]) == 4
    assert checks.notes == []


def test_a_single_class_is_refused():
    with pytest.raises(DataError, match=r"split train has 1 class in label \(dog\), expected at least 2; nothing"):
        _judge(RowChecks(DataChecks(), tiny.SPEC), train=tiny.rows(1, 3, 5))


@pytest.mark.parametrize("rows", [[], tiny.rows(1)])
def test_too_few_rows_are_refused(rows):
    with pytest.raises(DataError, match=rf"tiny: split train has {len(rows)} usable rows?, expected at least 2; add"):
        _judge(RowChecks(DataChecks(), tiny.SPEC), train=rows)


def test_a_row_without_a_class_is_left_to_the_writer_that_names_it():
    checks = RowChecks(DataChecks(), tiny.SPEC)

    checks.add(
        tiny.batch(
            [("train", {**row, "label": label}) for row, label in zip(tiny.rows(1, 1, 2), (None, 7, 1), strict=True)]
        )
    )
    checks.find()

    assert checks.splits["train"].duplicates.count == 1
    assert checks.splits["train"].labels["label"] == {1: 1}


def test_all_causes_are_reported_together_each_with_its_remedy():
    rows = [tiny.bad(1), tiny.bad(2), *tiny.rows(1, 2, 3, 2, 200), *tiny.rows(*range(10, 60))]

    with pytest.raises(DataError) as caught:
        _judge(RowChecks(DataChecks(), tiny.SPEC), test=tiny.rows(200), validation=[], train=rows)

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


def test_many_unusable_rows_and_other_causes_are_reported_in_ten_lines():
    with pytest.raises(DataError) as caught:
        _judge(
            RowChecks(DataChecks(), tiny.SPEC), train=[*map(tiny.bad, range(30)), *tiny.rows(*range(100), 1, 3, 5, 7)]
        )

    lines = str(caught.value).splitlines()
    assert len(lines) == 10
    assert lines[1].endswith(
        "30 of 138 rows cannot be used; mend them; at most 5.00% may be dropped (data.checks.invalid):"
    )
    assert lines[8] == "     and 24 more"
    assert "4 of 104 rows of split train are duplicates" in lines[9]


def test_consequences_of_unusable_rows_are_no_causes():
    with pytest.raises(DataError) as caught:
        _judge(RowChecks(DataChecks(), tiny.SPEC), validation=[tiny.bad(1), *tiny.rows(203)])

    assert str(caught.value).startswith("tiny: 1 of 6 rows cannot be used; ")


def test_a_split_with_one_class_has_a_remedy():
    checks = RowChecks(DataChecks(), tiny.SPEC, {"validation": 0.1, "test": 0.1})

    with pytest.raises(DataError, match=r"split test has 1 class in label \(dog\), .*: set data.splits.test to 0.15"):
        _judge(checks, test=tiny.rows(1, 3), train=tiny.rows(*range(10, 60)))


def test_brief_notes_have_counts_without_examples_of_rows():
    settings = DataChecks(invalid=InvalidCheck(policy="drop", max_rate=1), duplicates=Check(policy="warn"))
    checks = RowChecks(settings, tiny.SPEC)
    bad = (Problem("a (1), kept.csv:5", "label", "one of cat, dog", "(JA)"),)

    _judge(checks, file="b (2).csv", train=[*tiny.rows(1, 2, 1), bad])

    assert checks.notes == [
        "1 of 8 rows cannot be used (first: a (1), kept.csv:5:label: expected one of cat, dog, found (JA)), dropped",
        "1 of 3 rows of split train is a duplicate (33.33%, first: b (2).csv:3 equals b (2).csv:1), kept",
    ]
    assert checks.brief_notes == [
        "1 of 8 rows cannot be used, dropped",
        "1 of 3 rows of split train is a duplicate (33.33%), kept",
    ]


def test_brief_notes_mention_labels_when_all_equal_rows_are_relabelled():
    checks = RowChecks(DataChecks(duplicates=Check(policy="warn")), tiny.SPEC)

    _judge(checks, train=[*tiny.rows(1, 2), *tiny.rows(1, label=0)])

    assert checks.brief_notes == [
        "1 of 3 rows of split train is a duplicate (33.33%, of these 1 has another label), kept"
    ]


def test_even_a_few_equal_rows_with_another_label_are_noted():
    """One of the two labels is wrong; below the limit they were not reported."""
    checks = RowChecks(DataChecks(leakage=Check(max_rate=0.1)), tiny.SPEC)

    _judge(checks, test=tiny.rows(1, 2), train=[*tiny.rows(*range(3, 150)), *tiny.rows(3, 1, label=0)])

    assert checks.notes == [
        "1 of 149 rows of split train is a duplicate, with another label (0.67%, first: train row 148 (cat) equals "
        "train row 1 (dog)), kept",
        "1 of 149 rows of split train is in another split too, with another label (0.67%, first: train row 149 (cat) "
        "equals test row 1 (dog)), kept",
    ]
    assert checks.brief_notes == [
        "1 of 149 rows of split train is a duplicate, with another label (0.67%), kept",
        "1 of 149 rows of split train is in another split too, with another label (0.67%), kept",
    ]


def _groups(checks: RowChecks, **splits: list[str | None]) -> None:
    """Judges distinct rows with these groups."""
    number = 0
    for split, groups in splits.items():
        rows = [(split, row) for row in tiny.rows(*range(number, number + len(groups)))]
        batch = tiny.batch(rows, file=f"{split}.csv", first=2)
        checks.add(dataclasses.replace(batch, groups=pa.array(groups, pa.string())))
        number += len(groups)
    checks.judge()


def test_a_group_in_two_splits_is_leakage():
    """37 of 40 customers were in the training files and in the test files, and each counts as one in intervals."""
    groups_by_split = {"test": ["a", "b", None], "validation": ["c", "d"], "train": ["e", "b", None, "b", "c"]}

    with pytest.raises(DataError) as caught:
        _groups(RowChecks(DataChecks(), tiny.SPEC, group="customer"), **groups_by_split)
    _groups(
        RowChecks(DataChecks(), tiny.SPEC), **groups_by_split
    )  # groups of a data set whose publisher drew the splits

    assert str(caught.value) == (
        "tiny: 3 of 5 rows of split train have a customer that is in another split too (60.00%, 2 groups, first: "
        "train.csv:3 has that of test.csv:3); at most 0.00% are allowed. Name files of splits that share none, or set "
        "data.checks.leakage.policy to drop, which leaves these rows out, or to warn."
    )


def test_rows_of_a_group_that_is_in_another_split_are_dropped():
    checks = RowChecks(DataChecks(leakage=Check(policy="drop"), min_classes=1), tiny.SPEC, group="customer")

    _groups(checks, test=["a", "b"], validation=["c", "d"], train=["e", "b", "f"])

    assert {split: mask.tolist() for split, mask in checks.dropped().items()} == {"train": [False, True, False]}
    assert checks.notes == [
        "1 of 3 rows of split train has a customer that is in another split too (33.33%, 1 group, first: train.csv:3 "
        "has that of test.csv:3), dropped"
    ]


def test_dropped_rows_are_named_as_the_cause_of_an_empty_split():
    """The message blamed chance: "they have 400 rows in all, chance left too few in this split"."""
    checks = RowChecks(DataChecks(leakage=Check(policy="drop")), tiny.SPEC, {"train": 0.8}, group="customer")

    with pytest.raises(DataError) as raised:
        _groups(checks, test=["x", "y"], validation=[None, None], train=["x", "y", "x"])

    assert str(raised.value) == (
        "tiny: split train has 0 usable rows, expected at least 2; 3 of 3 rows of split train have a customer that is "
        "in another split too and were left out (data.checks.leakage.policy is drop); name files of splits that share "
        "none, or set that to warn."
    )


def test_dropped_rows_are_named_as_the_cause_of_a_missing_class():
    checks = RowChecks(DataChecks(leakage=Check(policy="drop")), tiny.SPEC, {"train": 0.8})

    with pytest.raises(
        DataError, match=r"1 class in label \(dog\), .*: 2 of 5 rows of split train are in another split"
    ):
        _judge(checks, test=tiny.rows(2, 4, 7), train=tiny.rows(2, 4, 9, 11, 13))


def test_classes_are_in_order_of_first_occurrence_for_any_block_size(monkeypatch):
    monkeypatch.setattr(checks_of_rows, "BLOCK_ROWS", 2)

    counts = checks_of_rows._count_in_order(np.array([2, 2, 0, 0, 0, 1], np.uint8))

    assert list(counts.items()) == [(2, 2), (0, 3), (1, 1)]


def test_unusable_rows_up_to_the_limit_are_dropped():
    checks = RowChecks(DataChecks(invalid=InvalidCheck(policy="drop", max_rate=0.05)), tiny.SPEC)

    kept = _judge(checks, train=[tiny.bad(1), *tiny.rows(*range(15))])

    assert kept["train"] == list(range(15))
    assert checks.brief_notes == ["1 of 20 rows cannot be used, dropped"]


def test_a_single_class_is_refused_together_with_unusable_rows_of_another_split():
    with pytest.raises(DataError) as caught:
        _judge(RowChecks(DataChecks(), tiny.SPEC), validation=[tiny.bad(1), *tiny.rows(2, 4)], train=tiny.rows(1, 3))

    assert "1 of 7 rows cannot be used" in str(caught.value)
    assert "split train has 1 class in label (dog), expected at least 2" in str(caught.value)
    assert "split validation has" not in str(caught.value)


def test_a_problem_of_rows_of_two_workers_is_counted_once():
    first, second = InvalidRows(), InvalidRows()
    for number in range(1, 9):
        first.add(tiny.bad(number))
    for number in (*range(2, 10), 1):  # the last is not among the problems shown
        second.add(tiny.bad(number))

    first.merge(second)

    assert (first.rows, first.problems) == (17, 9)
    assert list(first.counts.values()) == [2] * 8
