import datetime
import io
import re
import zipfile

import openpyxl
import pytest

from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.local import dataset
from data.sources.tables import delimited, excel, formats
from data.sources.tables.dialect import Layout
from data.spec import NumberFeature
from tests.data.sources.tables import both_ways

PLAIN = Layout()


def _book(path, *rows, **sheets):
    book = openpyxl.Workbook()
    for name, sheet_rows in {"Data": rows, **sheets}.items():
        sheet = book.create_sheet(name)
        for row in sheet_rows:
            sheet.append(row)
    del book["Sheet"]
    book.save(path)
    return path


def _read(path, **settings):
    config = DataConfig(files=str(path), **settings)
    return list(formats.records(path, "xlsx", config))


def test_cells_have_the_types_that_excel_gives_them(tmp_path):
    moment, day = datetime.datetime(2024, 5, 1, 12, 30), datetime.datetime(2024, 5, 2)
    rows = [
        ["a", "b", "c", "d"],
        [1, 2.5, True, moment],
        ["text", " ", None, day],
        [None, datetime.time(3, 4), "x", "01"],
    ]
    path = _book(tmp_path / "book.xlsx", *rows)

    records = _read(path)

    assert [record.cells for record in records] == [
        {"a": 1, "b": 2.5, "c": True, "d": "2024-05-01T12:30:00"},
        {"a": "text", "b": None, "c": None, "d": "2024-05-02"},
        {"a": None, "b": "03:04:00", "c": "x", "d": "01"},
    ]
    assert [record.where for record in records] == [f"{path}:{row}" for row in (2, 3, 4)]


def test_empty_rows_and_columns_beside_the_table_and_a_title_above_it_are_left_out(tmp_path):
    rows = [["Report"], [], [None, "a", "b", None], [None, 1, 2], [], [None, 3, None, None], [None, None, None]]
    path = _book(tmp_path / "book.xlsx", *rows)

    records = _read(path)

    assert [(record.where, dict(record.cells)) for record in records] == [
        (f"{path}:4", {"a": 1, "b": 2}),
        (f"{path}:6", {"a": 3, "b": None}),
    ]


def test_errors_formulas_without_results_and_cells_beyond_the_columns_are_problems_of_their_rows(tmp_path):
    path = _book(tmp_path / "book.xlsx", ["a", "b"], ["#DIV/0!", 1], [2, "=A1+1"], [3, 4, 5], [6, 7], ["a", "b"])

    records = _read(path)

    assert [str(record.problem) for record in records] == [
        f"{path}:2:a: expected a value, found the error #DIV/0!; mend the formula, or empty the cell",
        f"{path}:3:b: expected a value, found a formula without a result; open the workbook in Excel or LibreOffice "
        "and save it",
        f"{path}:4: expected 2 cells, found 3",
        "None",
        f"{path}:6: expected a row, found the header again",
    ]
    assert [record.cells for record in _read(path, ignore=("a", "b")) if not record.problem] == [
        {"a": None, "b": 1},
        {"a": 2, "b": None},
        {"a": 6, "b": 7},
    ]


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (["alpha", "beta", "y"], "expected a row, found the header again"),
        (["beta", "alpha", "y"], "the header is repeated here in another order; split the file in two."),
        (["alpha", "beta", "z"], None),
    ],
)
def test_a_repeated_header_is_reported_as_in_a_csv_file(tmp_path, again, expected):
    rows = [["alpha", "beta", "y"], ["a1", "b1", "n"], again, ["b2", "a2", "n"]]
    book = _book(tmp_path / "rows.xlsx", *rows)
    (tmp_path / "rows.csv").write_text("".join(f"{','.join(row)}\n" for row in rows))

    from_excel = both_ways.of_records(excel.read(book, PLAIN))

    from_csv = both_ways.of_records(delimited.read(tmp_path / "rows.csv"))
    assert [message.replace(".csv:", ".xlsx:") for message in [*from_csv[1], from_csv[2]]] == [
        *from_excel[1],
        from_excel[2],
    ]
    assert [cells for _, cells in from_excel[0]] == [cells for _, cells in from_csv[0]]
    assert [message for message in [*from_excel[1], from_excel[2]] if message] == [f"{book}:3: {expected}"] * bool(
        expected
    )


def test_a_sheet_is_read_by_its_name_and_a_wrong_name_lists_them(tmp_path):
    path = _book(tmp_path / "book.xlsx", ["a"], [1], Other=[["b"], [2]])

    assert _read(path)[0].cells == {"a": 1}
    assert _read(path, sheet="Other")[0].cells == {"b": 2}
    with pytest.raises(ConfigError, match=r"data.sheet: .*book.xlsx has no worksheet 'other'; .* 'Data', 'Other'\."):
        _read(path, sheet="other")


def test_a_sheet_without_a_header_has_names_or_numbered_columns(tmp_path):
    path = _book(tmp_path / "book.xlsx", [1, "x"], [2, "y"])

    assert _read(path, header=False)[0].cells == {"column_1": 1, "column_2": "x"}
    assert _read(path, names=("n", "c"))[1].cells == {"n": 2, "c": "y"}
    with pytest.raises(DataError, match=r"book.xlsx:1: the first row seems to be data.*set data.header to false"):
        formats.refuse_data_as_header(
            _book(tmp_path / "book.xlsx", *([row, "ab"[row % 2]] for row in range(9))), "xlsx", DataConfig(files="x")
        )


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "is empty"),
        (excel.OLE + b"Workbook", r"is a workbook of Excel up to 2003 \(.xls\); save it as .xlsx"),
        (excel.OLE + excel.PROTECTED, "is protected by a password; save it without one"),
        (b"<html><table>", "is no Excel workbook but another file under this name"),
        (b"PK\x03\x04 cut off", "is not a whole .xlsx file"),
    ],
)
def test_other_files_than_workbooks_are_refused_with_the_remedy(tmp_path, content, expected):
    (tmp_path / "book.xls").write_bytes(content)

    with pytest.raises(DataError, match=expected):
        _read(tmp_path / "book.xls")


def test_a_damaged_workbook_and_one_of_another_kind_are_refused(tmp_path):
    path = _book(tmp_path / "book.xlsx", ["a"], *([row] for row in range(3000)))
    content = path.read_bytes()
    damaged = bytearray(content)
    middle = content.index(b"xl/worksheets/sheet1.xml") + 200
    damaged[middle : middle + 2000] = bytes(2000)
    other_archive = io.BytesIO()
    with zipfile.ZipFile(other_archive, "w") as archive:
        archive.writestr("readme.txt", "none")

    for invalid_content in (content[: len(content) // 2], bytes(damaged), other_archive.getvalue()):
        path.write_bytes(invalid_content)
        with pytest.raises(DataError, match=r"is not a whole .xlsx file"):
            _read(path)


def _change_sheet(path, change) -> None:
    """Changes the text of the only worksheet."""
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, change(content) if name == "xl/worksheets/sheet1.xml" else content)


@pytest.mark.parametrize(
    ("old", "new", "where"),
    [
        (b'<row r="5"', b'<row r="2"', 2),
        (b'<row r="5"', b'<row r="4"', 4),
        (b'<row r="3"', b'<row r="2000000"', 2_000_000),
        (b'r="B4"', b'r="A4"', 4),
        (b'r="A4"', b'r="C4"', 4),
        (b'r="A4"', b'r="A5"', 4),
    ],
)
def test_a_workbook_with_rows_or_cells_out_of_order_is_refused(tmp_path, old, new, where):
    path = _book(tmp_path / "book.xlsx", ["a", "b"], *([row, row] for row in range(8)))
    _change_sheet(path, lambda content: content.replace(old, new, 1))

    with pytest.raises(DataError, match=rf"book\.xlsx:{where}: the rows or cells of the sheet 'Data' are not in order"):
        _read(path)


def test_rows_without_numbers_and_rows_that_are_not_in_the_file_are_counted(tmp_path):
    path = _book(tmp_path / "book.xlsx", ["a"], [1], [], [], [4])
    assert [record.where for record in _read(path)] == [f"{path}:2", f"{path}:5"]
    _change_sheet(path, lambda content: re.sub(rb' r="[A-Z]?\d+"', b"", content))

    assert [dict(record.cells) for record in _read(path)] == [{"a": 1}, {"a": 4}]


def test_a_workbook_with_a_password_on_its_parts_is_refused(tmp_path):
    path = _book(tmp_path / "book.xlsx", ["a"], [1])
    content = bytearray(path.read_bytes())
    for mark, flags in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        for match in re.finditer(re.escape(mark), bytes(content)):
            content[match.start() + flags] |= 1
    path.write_bytes(content)

    with pytest.raises(DataError, match="is protected by a password; save it without one"):
        _read(path)


@pytest.mark.parametrize(
    ("hours", "minutes", "expected"),
    [(26, 5, "26:05:00"), (-1, -30, "-1:30:00"), (0, -1, "-0:01:00"), (0, 0, "0:00:00")],
)
def test_durations_are_hours_minutes_and_seconds_with_a_sign(tmp_path, hours, minutes, expected):
    path = _book(tmp_path / "book.xlsx", ["a"], [datetime.timedelta(hours=hours, minutes=minutes)])

    assert _read(path)[0].cells == {"a": expected}


def test_a_workbook_in_a_zip_file_and_a_sheet_without_rows(tmp_path):
    path = _book(tmp_path / "book.xlsx", ["a", "b"], [1, 2], Empty=[["a", "b"]], None_at_all=[])
    with zipfile.ZipFile(tmp_path / "book.zip", "w") as archive:
        archive.write(path, "book.xlsx")

    assert formats.format_of(DataConfig(files="x"), [tmp_path / "book.zip"]) == "xlsx"
    assert _read(tmp_path / "book.zip")[0].cells == {"a": 1, "b": 2}
    for sheet, expected in (("Empty", "has a header and no rows"), ("None_at_all", "has no rows")):
        with pytest.raises(DataError, match=expected):
            _read(path, sheet=sheet)


@pytest.mark.parametrize("block_cells", [1, 2**18])
def test_blocks_of_any_size_hold_the_rows(tmp_path, block_cells):
    path = _book(tmp_path / "book.xlsx", ["a", "b"], [1, "x"], [], [2.5, True], [1, 2, 3])
    records = [record for record in excel.read(path, PLAIN) if not record.problem]

    blocks = list(excel.blocks(path, PLAIN, block_cells=block_cells))

    assert [block.where(row) for block in blocks for row in range(len(block))] == [record.where for record in records]
    assert [str(problem) for block in blocks for problem in block.problems] == [f"{path}:5: expected 2 cells, found 3"]


def test_cells_that_are_text_follow_the_notation_of_the_table_and_those_that_are_numbers_are_numbers(tmp_path):
    rows = [[f"{number}.900,50", number + 0.125, "yes" if number % 2 else "no"] for number in range(1, 9)]
    _book(tmp_path / "book.xlsx", ["price", "size", "sold"], *rows, [1234.25, "1,5", "no"])
    number, label = {"kind": "number"}, {"kind": "label", "classes": ["no", "yes"]}
    settings = {"decimal": ",", "thousands": ".", "features": {"price": number, "size": number, "sold": label}}

    data_set = dataset(DataConfig(files="book.xlsx", **settings), "p", tmp_path)
    record_batches = [batch.columns for batch in data_set.sources["files"](tmp_path)]

    prices = [price for record_batch in record_batches for price in record_batch.column("price").to_pylist()]
    sizes = [size for record_batch in record_batches for size in record_batch.column("size").to_pylist()]
    assert sorted(prices) == [1234.25, *(number * 1000 + 900.5 for number in range(1, 9))]
    assert sorted(sizes) == [1.125, 1.5, *(number + 0.125 for number in range(2, 9))]


def test_the_notation_of_texts_is_inferred_independent_of_typed_numbers(tmp_path):
    rows = [
        [
            f"{number},50 kg",
            number + 0.125,
            number + 0.5 if number % 8 else f"{number},5",
            "yes" if number % 2 else "no",
        ]
        for number in range(40)
    ]
    _book(tmp_path / "book.xlsx", ["weight", "size", "both", "sold"], *rows)

    data_set = dataset(DataConfig(files="book.xlsx", label="sold"), "p", tmp_path)

    assert data_set.spec.features["weight"] == NumberFeature(unit="kg")
    assert data_set.spec.features["size"] == data_set.spec.features["both"] == NumberFeature()
    record_batches = [batch.columns for batch in data_set.sources["files"](tmp_path)]
    for name in ("weight", "both"):
        stored = [value for record_batch in record_batches for value in record_batch.column(name).to_pylist()]
        assert sorted(stored) == [number + 0.5 for number in range(40)]


def test_a_formula_is_found_across_the_border_of_two_chunks(tmp_path, monkeypatch):
    monkeypatch.setattr(excel, "CHUNK_BYTES", 2)
    plain = _book(tmp_path / "plain.xlsx", ["a"], [1])
    formula = _book(tmp_path / "formula.xlsx", ["a"], ["=1+1"])

    assert [excel._has_formulas(path) for path in (plain, formula)] == [False, True]
