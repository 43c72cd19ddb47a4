"""What the checks of rows say of one row and of several, and which remedy they propose."""

import numpy as np
import pyarrow as pa
import pytest

from data.checks import loss
from data.checks.findings import MAX_PROBLEMS, Finding, InvalidRows
from data.checks.rows import RowChecks, _Cause
from data.config import DataChecks
from data.errors import DataError
from data.spec import LabelFeature, NumberFeature, Problem
from tests.data.checks import tiny
from tests.data.checks.test_loss import loss_of, messages

SHARES = {"validation": 0.1, "test": 0.1}


def _refused(shares: dict[str, float], **splits: list[dict]) -> str:
    """Returns why rows are refused; splits that are not given have two good rows."""
    checks = RowChecks(DataChecks(), tiny.SPEC, shares)
    good = {"train": tiny.rows(204, 205), "validation": tiny.rows(202, 203), "test": tiny.rows(200, 201)}
    for split, rows in {**good, **splits}.items():
        checks.add(tiny.batch([(split, row) for row in rows]))
    with pytest.raises(DataError) as error:
        checks.judge()
    return str(error.value)


@pytest.mark.parametrize(
    ("dogs", "share", "remedy"),
    [
        (1, 0.1, "class dog has 1 row in all, 3 are needed; add some, or name files of each split in data.files."),
        (2, 0.1, "class dog has 2 rows in all, 3 are needed; add some, or name files of each split in data.files."),
        (3, 0.1, "class dog has 3 rows in all, about 10 are needed; add some, or name files"),
        (9, 0.1, "class dog has 9 rows in all, about 10 are needed; add some, or name files"),
        (10, 0.1, "set data.splits.validation to 0.3, it is 0.1 now, or name files of each split in data.files."),
        (20, 0.1, "set data.splits.validation to 0.15, it is 0.1 now, or name files"),
        (20, 0.28, "class dog has 20 rows in all, chance left too few in this split; add some, or name files"),
    ],
)
def test_the_remedy_for_a_class_that_a_split_lacks_goes_by_its_rows(dogs, share, remedy):
    odd = tiny.rows(*range(1, 2 * dogs, 2))  # dogs
    train, test = (
        (odd, [*tiny.rows(200), *tiny.rows(251, label=0)]) if dogs == 1 else (odd[1:], [*odd[:1], *tiny.rows(200)])
    )
    shares = {"validation": share, "test": 0.1}

    message = _refused(shares, train=[*train, *tiny.rows(204)], validation=tiny.rows(202, 206), test=test)

    assert (
        f"split validation has 1 class in label (cat), expected at least 2; nothing can be learned from it: {remedy}"
        in message
    )


def test_a_class_that_is_all_there_is_is_told_of_one_split():
    cats = {split: tiny.rows(begin, begin + 2) for split, begin in (("train", 0), ("validation", 10), ("test", 20))}

    assert _refused(SHARES, **cats) == (
        "tiny: split train has 1 class in label (cat), expected at least 2; nothing can be learned from it: no row has "
        "another."
    )


def test_the_only_cause_is_said_with_its_problems():
    checks = RowChecks(DataChecks(), tiny.SPEC)
    rows = [("train", row) for row in [*tiny.rows(204, 205), tiny.bad(7)]]
    checks.add(
        tiny.batch(
            [*rows, *(("test", row) for row in tiny.rows(1, 2)), *(("validation", row) for row in tiny.rows(3, 4))]
        )
    )

    with pytest.raises(DataError) as error:
        checks.judge()

    first, *others = str(error.value).splitlines()
    assert first.startswith("tiny: 1 of 7 rows cannot be used; mend them")
    assert others == [f"  {tiny.bad(7)[0]}"]


def test_a_cause_shows_as_many_problems_as_fit():
    cause = _Cause("It is so:", ("a", "b", "c"), 3)

    assert cause.lines(4) == ["It is so:", "  a", "  b", "  c"]
    assert cause.lines(3) == ["It is so:", "  a", "  and 2 more"]
    assert cause.lines(1) == ["It is so:", "  a", "  and 2 more"]
    assert _Cause("It is so:", ("a", "b"), 1000).lines(9)[-1] == "  and 998 more"


def test_one_of_two_labels_that_differs_is_another_label():
    other = LabelFeature(classes=("x", "y"))
    spec = tiny.SPEC.model_copy(update={"features": {**tiny.SPEC.features, "other": other}})
    checks = RowChecks(DataChecks(), spec)
    rows = [{**row, "other": kind} for row, kind in zip(tiny.rows(4, 4, 4, label=0), (0, 1, 0), strict=True)]

    checks.add(tiny.batch([("train", row) for row in rows], spec, file="rows.csv"))
    checks.find()

    duplicates = checks.splits["train"].duplicates
    assert (duplicates.count, duplicates.relabelled) == (2, 1)
    assert duplicates.first_relabelled == "rows.csv:2 (cat, y) equals rows.csv:1 (cat, x)"


def test_rows_without_a_value_are_noted():
    spec = tiny.SPEC.model_copy(
        update={"features": {"n": NumberFeature(optional=True), "label": tiny.SPEC.features["label"]}}
    )
    checks = RowChecks(DataChecks(), spec)
    for number, split in enumerate(("train", "validation", "test")):
        rows = [{"n": float(number), "label": 0}, {"n": number + 0.5, "label": 1}]
        checks.add(tiny.batch([(split, row) for row in rows], spec, file=f"{split}.csv"))
    checks.add(tiny.batch([("train", {"label": 0})], spec, file="more.csv"))

    checks.judge()

    assert checks.brief_notes == ["1 of 7 rows has no value in any input, kept"]


@pytest.mark.parametrize(
    ("relabelled", "groups", "sentence"),
    [
        ([False, False], 0, "(20.00%, first: 3 is 1)"),
        ([False, True], 0, "(20.00%, first: 3 is 1; of these 1 has another label, first: 5 was 2)"),
        ([True, True], 0, "(20.00%, of these 2 have another label, first: 3 was 1)"),
        ([False, False], 1, "(20.00%, 1 group, first: 3 is 1)"),
        ([False, False], 2, "(20.00%, 2 groups, first: 3 is 1)"),
    ],
)
def test_a_finding_counts_rows_labels_and_groups(relabelled, groups, sentence):
    finding = Finding(groups=groups)
    finding.add(np.array([5, 3]), np.array([2, 1]), np.array(relabelled)[::-1])
    finding.set_examples(lambda pair: f"{pair[0]} is {pair[1]}", lambda pair: f"{pair[0]} was {pair[1]}")

    assert finding.details(10) == sentence
    assert finding.brief(10) == ("(20.00%, of these 2 have another label)" if all(relabelled) else "(20.00%)")


def test_more_problems_than_are_shown_are_counted():
    problems = [Problem(f"rows.csv:{row}", "n", "a number", "'x'") for row in range(MAX_PROBLEMS + 2)]
    all_rows, parts = InvalidRows(), [InvalidRows(), InvalidRows()]
    for row, problem in enumerate([*problems, problems[0], problems[-1]]):
        all_rows.add([problem])
        parts[row >= MAX_PROBLEMS + 1].add([problem])
    parts[0].merge(parts[1])

    for invalid in (all_rows, parts[0]):
        assert (invalid.rows, len(invalid.counts)) == (MAX_PROBLEMS + 4, MAX_PROBLEMS)
        assert invalid.first[:2] == [f"{problems[0]} (2 rows)", str(problems[1])]


def _numbers(floats: int, of_each: int) -> pa.Array:
    """Returns integers of which so many become each of so many float32: at 2^40 those are 2^17 apart."""
    return pa.array([2**40 + one * 2**17 + more for one in range(floats) for more in range(of_each)])


@pytest.mark.parametrize(
    ("floats", "of_each", "sentence"),
    [
        (16, loss.MAX_VALUES // 16, "n: 8,192 different values become 16 "),
        (17, loss.MAX_VALUES // 16, "n: at least 8,192 different values become 16 "),
        (1, loss.MAX_PER_FLOAT32, "n: 1,024 different values become 1 "),
        (1, loss.MAX_PER_FLOAT32 + 1, "n: at least 1,024 different values become 1 "),
    ],
)
def test_so_many_values_are_counted_and_no_more(floats, of_each, sentence):
    (message,) = messages(_numbers(floats, of_each))

    assert message.startswith(sentence)


def test_no_more_values_are_held_than_twice_those_that_count(monkeypatch):
    monkeypatch.setattr(loss, "MAX_VALUES", 8)
    parts = [pa.array([100 * part + value for value in range(8)]) for part in range(20)]

    (values,) = loss_of(parts)._columns.values()

    assert len(values.keys) + sum(len(keys) for keys, _ in values._pending) <= 3 * 8


def test_numbers_of_which_one_is_no_day_are_no_days():
    days = [f"2023{month:02d}{day:02d}" for month in range(1, 13) for day in range(1, 29)]

    assert "they are days" in messages(pa.array(days))[0]
    for other in ("20231301", "20230001", "20230132", "20230100"):
        assert "identifiers or codes" in messages(pa.array([*days, other]))[0]
