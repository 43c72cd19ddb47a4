import numpy as np
import pytest

from data.columnar.splitting import bucket, by_time, hash_splits, image_bytes, stratify, time_starts


def test_a_bucket_depends_on_the_content_only():
    # The first 8 bytes of BLAKE2b of b"headrace", worked out with `b2sum -l 64`, as a big-endian number modulo 1,000.
    assert bucket(b"headrace") == 0x66E08DEE9DF8785F % 1000


def test_equal_rows_are_in_the_same_split():
    rows = [{"image": np.full((2, 2), value, np.uint8)} for value in (7, 8, 7, 8, 9)]

    splits = hash_splits(rows, {"lower": range(0, 500), "upper": range(500, 1000)}, image_bytes)

    lower, upper = ([row["image"][0, 0] for row in splits[name]] for name in ("lower", "upper"))
    assert sorted(lower + upper) == [7, 7, 8, 8, 9]
    assert not set(lower) & set(upper)


def test_splits_can_be_read_twice_and_read_the_rows_once():
    rows = iter([{"image": np.zeros((1, 1), np.uint8)}] * 3)

    splits = hash_splits(rows, {"all": range(1000), "none": range(0)}, image_bytes)

    assert [len(list(splits[name])) for name in ("none", "all", "all")] == [0, 3, 3]


TENTHS = {"validation": 0.1, "test": 0.1}
TRAIN, VALIDATION, TEST = range(3)


def _stratify(keys: list[int], *classes: list[int], inputs: list[int] | None = None, shares=TENTHS) -> list[int]:
    """Returns the split of each row; `classes` are the rows of each class, by default one of all."""
    rows_of_classes = [np.array(rows) for rows in classes or (list(range(len(keys))),)]
    row_keys = np.array(keys, np.uint64)
    stratified = stratify(row_keys, np.array(inputs or keys, np.uint64), rows_of_classes, shares)
    return stratified.apply(row_keys, np.full(len(keys), -1)).tolist()


@pytest.mark.parametrize(
    ("keys", "splits"),
    [
        ([7], [TRAIN]),
        ([7, 6], [TRAIN, TEST]),
        ([7, 6, 5], [TRAIN, TEST, VALIDATION]),
        ([1006, 2005, 7], [TEST, VALIDATION, TRAIN]),  # by the number that cuts are of
        (list(range(20)), [VALIDATION] * 2 + [TEST] * 2 + [TRAIN] * 16),
    ],
)
def test_a_class_is_divided_by_shares_and_each_split_gets_a_row(keys, splits):
    assert _stratify(keys) == splits


def test_large_shares_leave_at_least_one_training_row():
    assert sorted(_stratify([1, 2, 3, 4], shares={"validation": 0.5, "test": 0.49})) == [TRAIN, VALIDATION, TEST, TEST]
    assert _stratify([1, 2, 3, 4], shares={"validation": 0.1}) == [VALIDATION, TRAIN, TRAIN, TRAIN]


def test_rows_with_equal_keys_or_inputs_are_in_one_split_and_count_once():
    assert _stratify([5, 5, 5, 6, 7]) == [VALIDATION] * 3 + [TEST, TRAIN]
    # 5 and 8 are the same input, and so are 8 and 9.
    assert _stratify([5, 6, 7, 8, 9], inputs=[1, 2, 3, 1, 1]) == [VALIDATION, TEST, TRAIN, VALIDATION, VALIDATION]


def test_equal_rows_of_two_classes_are_in_one_split_and_each_class_in_every_split():
    first, second = [0, 1, 2, 3], [4, 5, 6, 7, 8]

    splits = _stratify([1, 2, 3, 4, 3, 4, 7, 8, 9], first, second)

    assert (splits[2], splits[3]) == (splits[4], splits[5])
    assert {splits[row] for row in first} == {splits[row] for row in second} == {TRAIN, VALIDATION, TEST}


def test_a_class_that_grows_moves_few_rows():
    keys = np.random.default_rng(0).integers(0, 2**63, 400).tolist()

    before, after = _stratify(keys[:300]), _stratify(keys)

    assert sum(old_split != new_split for old_split, new_split in zip(before, after[:300], strict=True)) < 15


def test_rows_that_are_not_stratified_keep_their_splits():
    stratified = stratify(np.array([5, 6, 7], np.uint64), np.arange(3).astype(np.uint64), [np.arange(3)], TENTHS)

    splits = stratified.apply(np.array([4, 5, 6, 7, 8, 2**64 - 1], np.uint64), np.full(6, TEST, np.int8))

    assert splits.tolist() == [TEST, VALIDATION, TEST, TRAIN, TEST, TEST]


@pytest.mark.parametrize(
    ("times", "starts"),
    [
        (list(range(10)), {"test": 9, "validation": 8}),
        ([0, 1, 1, 1, 1, 1, 1, 1, 8, 9, 9, 9], {"test": 9, "validation": 8}),
        ([0] * 50 + [1] * 30 + [2] * 20, {"test": 2, "validation": 1}),
        ([0] * 98 + [1, 2], {"test": 2, "validation": 1}),
        # Two rows of 20 are wanted: those from 18 on; before them one from 17 on is nearer to two than four from 14 on.
        ([*range(14), 14, 14, 14, 17, 18, 19], {"test": 18, "validation": 17}),
    ],
)
def test_the_newest_times_are_for_testing_and_equal_times_stay_together(times, starts):
    shuffled = np.random.default_rng(0).permutation(np.array(times, np.float64))

    assert time_starts(shuffled, TENTHS) == starts
    expected = [TEST if t >= starts["test"] else VALIDATION if t >= starts["validation"] else TRAIN for t in shuffled]
    assert by_time(shuffled, starts).tolist() == expected


def test_fewer_times_than_splits_cannot_be_cut():
    with pytest.raises(ValueError, match="2 different times"):
        time_starts(np.array([1.0, 1.0, 2.0]), TENTHS)
