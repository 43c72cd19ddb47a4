import gzip

import numpy as np
import pytest

from data.errors import DataError
from data.sources.idx import read_idx


def _write(path, content: bytes):
    path.write_bytes(gzip.compress(content))
    return path


def test_values_come_in_the_shape_that_the_header_states(tmp_path):
    header = b"\0\0\x08\x02" + (2).to_bytes(4, "big") + (3).to_bytes(4, "big")
    path = _write(tmp_path / "a.gz", header + bytes([1, 2, 3, 4, 5, 6]))

    values = read_idx(path)

    np.testing.assert_array_equal(values, [[1, 2, 3], [4, 5, 6]])
    assert values.dtype == np.uint8


def test_a_file_shorter_than_its_header_says_is_refused(tmp_path):
    path = _write(tmp_path / "short.gz", b"\0\0\x08\x01" + (5).to_bytes(4, "big") + b"abc")

    with pytest.raises(DataError, match=r"short\.gz holds 3 values, its header says \(5,\)"):
        read_idx(path)


def test_a_cut_gzip_file_is_refused_by_name(tmp_path):
    path = tmp_path / "cut.gz"
    path.write_bytes(gzip.compress(bytes(range(256)) * 100)[:-20])

    with pytest.raises(DataError, match=r"cut\.gz is not a whole gzip file"):
        read_idx(path)


def test_a_gzip_file_of_something_else_is_refused(tmp_path):
    path = _write(tmp_path / "text.gz", b"hello")

    with pytest.raises(DataError, match="is not an idx file of uint8: it begins with b'hell'"):
        read_idx(path)
