import numpy as np

from data.columnar.splitting import HashSplit, bucket, image_bytes


def test_a_bucket_depends_on_the_content_alone():
    # The first 8 bytes of BLAKE2b of b"headrace", worked out with `b2sum -l 64`, as a big-endian number modulo 1,000.
    assert bucket(b"headrace") == 0x66E08DEE9DF8785F % 1000


def test_equal_rows_fall_on_the_same_side():
    rows = [{"image": np.full((2, 2), value, np.uint8)} for value in (7, 8, 7, 8, 9)]

    lower = [row["image"][0, 0] for row in HashSplit(rows, range(0, 500), image_bytes)]
    upper = [row["image"][0, 0] for row in HashSplit(rows, range(500, 1000), image_bytes)]

    assert sorted(lower + upper) == [7, 7, 8, 8, 9]
    assert not set(lower) & set(upper)


def test_a_split_can_be_read_twice():
    split = HashSplit([{"image": np.zeros((1, 1), np.uint8)}] * 3, range(1000), image_bytes)

    assert len(list(split)) == 3
    assert len(list(split)) == 3
