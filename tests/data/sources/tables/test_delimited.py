"""CSV files with and without a header; messages name the lines of the file."""

import pytest

from data.errors import DataError
from data.sources.tables import delimited
from data.sources.tables.dialect import Layout


def _file(folder, content: str):
    path = folder / "rows.csv"
    path.write_text(content)
    return path


def _read(folder, content: str, layout: Layout = delimited.PLAIN) -> list[tuple[int, dict]]:
    records = list(delimited.read(_file(folder, content), layout))
    assert not [record.problem for record in records if record.problem]
    return [(int(record.where.rpartition(":")[2]), dict(record.cells)) for record in records]


def test_without_a_header_the_first_row_is_a_row(tmp_path):
    found = _read(tmp_path, "1,a\n2,b\n", Layout(header=False))

    assert found == [(1, {"column_1": "1", "column_2": "a"}), (2, {"column_1": "2", "column_2": "b"})]


def test_names_that_are_given_stand_for_the_header(tmp_path):
    names = Layout(names=("size", "kind"))

    assert _read(tmp_path, "# of 2024\n1,a\n2,b\n3,b\n", names)[0] == (2, {"size": "1", "kind": "a"})
    assert _read(tmp_path, "size,kind\n1,a\n", names) == [(2, {"size": "1", "kind": "a"})]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_may_end_as_those_of_old_macs(tmp_path, end):
    (tmp_path / "rows.csv").write_bytes(b'x,y\r1,"a\rb"\r2,b' + end.encode())

    records = list(delimited.read(tmp_path / "rows.csv"))

    assert [dict(record.cells) for record in records] == [{"x": "1", "y": "a\rb"}, {"x": "2", "y": "b"}]


def test_a_carriage_return_within_a_cell_is_told_with_its_line(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"x,y\n1,a\n2,b\rc\n")

    with pytest.raises(DataError, match=r"rows.csv:3: a carriage return stands within a cell; put the cell in quotes"):
        list(delimited.read(tmp_path / "rows.csv"))


def test_remarks_a_sep_line_and_commas_at_the_end_leave_the_lines_as_they_are(tmp_path):
    assert _read(tmp_path, "# exported\n\nx,y\n1,a\n2,b\n") == [(4, {"x": "1", "y": "a"}), (5, {"x": "2", "y": "b"})]
    assert _read(tmp_path, "sep=;\nx;y\n1;a\n") == [(3, {"x": "1", "y": "a"})]
    assert _read(tmp_path, "x,y\n1,a,\n2,b,\n") == [(2, {"x": "1", "y": "a"}), (3, {"x": "2", "y": "b"})]


def test_rows_before_one_that_is_damaged_are_read(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"x,y\n1,a\n2,\xff\n")
    found = []

    with pytest.raises(DataError, match=r"rows.csv:3: expected UTF-8"):
        found.extend(record.cells for record in delimited.read(tmp_path / "rows.csv"))

    assert found == [{"x": "1", "y": "a"}]


def test_names_of_another_number_than_the_cells_are_refused(tmp_path):
    path = _file(tmp_path, "1,2,3\n4,5,6\n")

    with pytest.raises(DataError, match=r"rows.csv:1: expected 2 cells, one for each name in data.names, found 3"):
        delimited.columns(path, Layout(names=("a", "b")))


def test_a_first_row_with_equal_cells_is_told_for_data_not_for_a_bad_header(tmp_path):
    path = _file(tmp_path, "0,0,a\n" + "1,0,a\n0,1,b\n" * 9)

    with pytest.raises(DataError, match=r"rows.csv:1: the first row seems to be data.*set data.header to false"):
        delimited.columns(path)
    with pytest.raises(DataError, match="column '0' stands twice in the header"):
        delimited.columns(path, Layout(header=True))
