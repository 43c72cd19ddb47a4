"""Which rows of a class each split gets, by hand: chains of equal rows, rows in several classes, few rows."""

import numpy as np
import pytest

from data.columnar.splitting import agree, by_time, stratify, time_starts
from data.spec import SPLITS

SHARES = {"validation": 0.2, "test": 0.2}


def _splits(keys, inputs, classes, shares=None) -> list[str]:
    """Returns the split of each row."""
    keys = np.asarray(keys, np.uint64)
    stratified = stratify(keys, np.asarray(inputs, np.uint64), [np.asarray(one) for one in classes], shares or SHARES)
    return [SPLITS[index] for index in stratified.apply(keys, np.full(len(keys), -1, np.int8))]


def test_rows_that_are_linked_through_others_stay_in_one_split():
    """Of eight rows every two share a key, and neighbours of different keys their inputs; two rows stand alone."""
    keys, inputs = [0, 0, 1, 1, 2, 2, 3, 3, 4, 5], [10, 11, 11, 12, 12, 13, 13, 14, 15, 16]

    splits = _splits(keys, inputs, [range(10)])

    assert len(set(splits[:8])) == 1
    assert sorted([splits[0], splits[8], splits[9]]) == ["test", "train", "validation"]


def test_rows_of_a_smaller_class_count_for_the_larger_one_that_they_are_in_too():
    rows = np.arange(20)

    splits = np.array(_splits(rows, rows, [rows, rows[:6]]))

    assert [(splits[:6] == split).sum() for split in SPLITS] == [4, 1, 1]
    assert [(splits == split).sum() for split in SPLITS] == [12, 4, 4]


def test_a_class_whose_share_of_a_split_is_there_by_smaller_classes_adds_none():
    """Two rows of five are 0.3, three of eleven: the smaller classes have given four already."""
    rows = np.arange(11)

    splits = np.array(_splits(rows, rows, [rows, rows[:5], rows[5:10]], {"test": 0.3}))

    assert (splits[:10] == "test").sum() == 4
    assert splits[10] == "train"


@pytest.mark.parametrize("shares", [{"validation": 0.2, "test": 0.2}, {"test": 0.2, "validation": 0.2}])
@pytest.mark.parametrize(
    ("rows", "counts"), [(1, [1, 0, 0]), (2, [1, 0, 1]), (3, [1, 1, 1]), (4, [2, 1, 1]), (13, [7, 3, 3])]
)
def test_of_few_rows_training_has_one_then_test_then_validation(shares, rows, counts):
    splits = _splits(range(rows), range(rows), [range(rows)], shares)

    assert [splits.count(split) for split in SPLITS] == counts


def test_training_always_has_a_row():
    splits = _splits(range(4), range(4), [range(4)], {"validation": 0.5, "test": 0.5})

    assert sorted(splits.count(split) for split in SPLITS) == [1, 1, 2]
    assert "train" in splits


def test_rows_that_were_not_stratified_keep_their_split():
    stratified = stratify(np.array([3, 5], np.uint64), np.array([3, 5], np.uint64), [np.arange(2)], SHARES)

    splits = stratified.apply(np.array([9, 5, 4, 3], np.uint64), np.array([2, 0, 1, 0], np.int8))

    assert [SPLITS[index] for index in splits] == [SPLITS[2], *[SPLITS[splits[1]]], SPLITS[1], SPLITS[splits[3]]]
    assert {int(splits[1]), int(splits[3])} == {SPLITS.index("train"), SPLITS.index("test")}


@pytest.mark.parametrize("moved", [0, 2])
def test_rules_agree_where_a_tenth_of_the_rows_has_moved_either_way(moved):
    def rule(num_moved: int) -> dict:
        return {"seed": 1, "rows": {str(row): moved if row < num_moved else 1 for row in range(20)}}

    assert agree(rule(2), rule(0))
    assert agree(rule(0), rule(2))
    assert not agree(rule(3), rule(0))
    assert not agree(rule(0), rule(3))
    assert not agree(rule(0), {**rule(0), "seed": 2})
    assert agree(rule(0), {"seed": 1, "rows": {"new": 0}})


def test_too_few_times_are_counted_in_words():
    for times, message in (([], "^0 different times$"), ([5.0, 5.0], "^1 different time$"), ([1.0, 2.0], "^2 dif")):
        with pytest.raises(ValueError, match=message):
            time_starts(np.array(times), SHARES)


def test_a_split_begins_with_the_time_by_which_it_comes_closest_to_its_share():
    times = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 3.0, 3.0, 4.0, 4.0])  # 5, 1, 2 and 2 rows

    starts = time_starts(times, SHARES)

    assert starts == {"test": 4.0, "validation": 3.0}
    assert by_time(np.array([2.9, 3.0, 3.9, 4.0, 9.0]), starts).tolist() == [
        SPLITS.index(split) for split in ("train", "validation", "validation", "test", "test")
    ]
    assert time_starts(np.array([1.0, 2.0, 3.0]), {"test": 0.9}) == {"test": 2.0}
    crowded = time_starts(np.array([1.0, 2.0, 3.0]), {"validation": 0.01, "test": 0.98})
    assert crowded == {"test": 3.0, "validation": 2.0}  # one time is left for each split before
