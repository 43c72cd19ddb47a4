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
    rows = _read(tmp_path, "1,a\n2,b\n", Layout(header=False))

    assert rows == [(1, {"column_1": "1", "column_2": "a"}), (2, {"column_1": "2", "column_2": "b"})]


def test_names_of_the_settings_replace_the_header(tmp_path):
    names = Layout(names=("size", "kind"))

    assert _read(tmp_path, "# of 2024\n1,a\n2,b\n3,b\n", names)[0] == (2, {"size": "1", "kind": "a"})
    assert _read(tmp_path, "size,kind\n1,a\n", names) == [(2, {"size": "1", "kind": "a"})]


def test_a_header_with_the_names_of_the_settings_in_another_order_is_used(tmp_path):
    names = Layout(names=("size", "Kind of it"))

    assert _read(tmp_path, "kind  of it,size\na,1\n", names) == [(2, {"Kind of it": "a", "size": "1"})]


def test_a_header_with_some_of_the_given_names_is_refused_not_dropped_as_a_bad_row(tmp_path):
    path = _file(tmp_path, "kind,weight,place\n" + "a,1,x\nb,2,y\n" * 9)

    with pytest.raises(DataError, match=r"a header without 'size' and with 'weight'; correct data.names, or take it"):
        delimited.columns(path, Layout(names=("size", "kind", "place")))


def test_a_row_with_a_value_equal_to_a_column_name_is_a_row(tmp_path):
    rows = "a,x,1\n" + "b,y,2\na,x,3\n" * 9

    assert _read(tmp_path, rows, Layout(names=("a", "b", "c")))[0] == (1, {"a": "a", "b": "x", "c": "1"})
    assert len(_read(tmp_path, "x,y\n1,2\ny,x\n")) == 2


@pytest.mark.parametrize("layout", [delimited.PLAIN, Layout(names=("size", "kind"))])
def test_a_header_between_rows_is_a_problem_of_its_line(tmp_path, layout):
    records = list(delimited.read(_file(tmp_path, "size,kind\n1,a\nsize,kind,\n2,b\n"), layout))

    assert [str(record.problem) for record in records if record.problem] == [
        f"{tmp_path}/rows.csv:3: expected a row, found the header again"
    ]
    assert [dict(record.cells) for record in records] == [{"size": "1", "kind": "a"}, {}, {"size": "2", "kind": "b"}]


def test_below_a_second_header_in_another_order_nothing_is_read(tmp_path):
    path = _file(tmp_path, "size,kind\n1,a\nkind,size\nb,2\n")

    with pytest.raises(DataError, match=r"rows.csv:3: the header is repeated here in another order"):
        list(delimited.read(path))


def test_a_zero_byte_is_a_problem_of_its_row(tmp_path):
    records = list(delimited.read(_file(tmp_path, "x,y\n1,a\n2,b\0\n3,c\n")))

    assert [str(record.problem) for record in records if record.problem] == [
        f"{tmp_path}/rows.csv:3:y: expected text, found a zero byte in it"
    ]


@pytest.mark.parametrize("end", ["\r", "\r\n"])
def test_lines_may_end_in_carriage_returns(tmp_path, end):
    (tmp_path / "rows.csv").write_bytes(b'x,y\r1,"a\rb"\r2,b' + end.encode())

    records = list(delimited.read(tmp_path / "rows.csv"))

    assert [dict(record.cells) for record in records] == [{"x": "1", "y": "a\rb"}, {"x": "2", "y": "b"}]


def test_a_carriage_return_within_a_cell_is_reported_with_its_line(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"x,y\n1,a\n2,b\rc\n")

    with pytest.raises(
        DataError, match=r"rows.csv:3: there is a carriage return within a cell; put the cell in quotes"
    ):
        list(delimited.read(tmp_path / "rows.csv"))


def test_remarks_a_sep_line_and_commas_at_the_end_leave_the_lines_as_they_are(tmp_path):
    assert _read(tmp_path, "# exported\n\nx,y\n1,a\n2,b\n") == [(4, {"x": "1", "y": "a"}), (5, {"x": "2", "y": "b"})]
    assert _read(tmp_path, "sep=;\nx;y\n1;a\n") == [(3, {"x": "1", "y": "a"})]
    assert _read(tmp_path, "x,y\n1,a,\n2,b,\n") == [(2, {"x": "1", "y": "a"}), (3, {"x": "2", "y": "b"})]


def test_rows_before_one_that_is_damaged_are_read(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"x,y\n1,a\n2,\xff\n")
    rows = []

    with pytest.raises(DataError, match=r"rows.csv:3: expected UTF-8"):
        rows.extend(record.cells for record in delimited.read(tmp_path / "rows.csv"))

    assert rows == [{"x": "1", "y": "a"}]


def test_a_number_of_names_that_differs_from_the_cells_is_refused(tmp_path):
    path = _file(tmp_path, "1,2,3\n4,5,6\n")

    with pytest.raises(DataError, match=r"rows.csv:1: expected 2 cells, one for each name in data.names, found 3"):
        delimited.columns(path, Layout(names=("a", "b")))


def test_a_first_row_with_equal_cells_is_reported_as_data_not_as_an_invalid_header(tmp_path):
    path = _file(tmp_path, "0,0,a\n" + "1,0,a\n0,1,b\n" * 9)

    with pytest.raises(DataError, match=r"rows.csv:1: the first row seems to be data.*set data.header to false"):
        delimited.columns(path)
    with pytest.raises(DataError, match="column '0' occurs twice in the header"):
        delimited.columns(path, Layout(header=True))


def test_a_file_of_blank_lines_has_no_rows(tmp_path):
    with pytest.raises(DataError, match=r"rows.csv has no rows."):
        list(delimited.read(_file(tmp_path, "\n\n")))


@pytest.mark.parametrize("header", [None, True])
def test_a_first_row_of_another_length_than_all_others_is_no_header(tmp_path, header):
    (tmp_path / "rows.csv").write_text("3,cat,dog\n" + "1,2,3,0\n" * 3)

    with pytest.raises(
        DataError, match=r"rows.csv:1: the first row does .* it has 3 cells, the rows below have 4; set"
    ):
        delimited.columns(tmp_path / "rows.csv", Layout(header=header))


def test_columns_without_a_name_are_counted_in_the_message(tmp_path):
    (tmp_path / "rows.csv").write_text("x,y,,\n1,2,3,4\n2,3,4,5\n")

    with pytest.raises(DataError, match=r"rows.csv:1: 2 cells of the header are empty; name these columns"):
        delimited.columns(tmp_path / "rows.csv")
