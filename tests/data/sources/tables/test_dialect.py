"""Delimiters and remarks are recognised by the first rows, not by the header alone."""

import pytest

from data.sources.tables.dialect import Layout, guess_delimiter, look

SEMICOLONS = '"Size, cm";"Weight, kg";"Age, years";kind\n' + "172.5;64.9;47;a\n191.6;55.8;36;b\n" * 20
DECIMAL_COMMAS = "area;price;label\n" + "35,12;100.882,79;no\n7,5;3,0;yes\n" * 20
QUOTED = 'id,text,label\n1,"one; two; three",a\n2,"four\nfive; six",b\n' * 20


def _file(folder, content: str):
    path = folder / "rows.csv"
    path.write_text(content, newline="")
    return path


@pytest.mark.parametrize(
    ("content", "delimiter"),
    [
        (SEMICOLONS, ";"),
        (DECIMAL_COMMAS, ";"),
        (QUOTED, ","),
        ("a\tb, c\n1\t2\n3\t4\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("sep=;\r\nx;y\r\n1;2\r\n", ";"),
        ("# made by us; for you; only\nx,y\n1,2\n3,4\n5,6\n", ","),
        ("x\n1\n2\n", ","),
    ],
)
def test_the_delimiter_gives_all_rows_equal_numbers_of_cells(tmp_path, content, delimiter):
    assert guess_delimiter(_file(tmp_path, content)) == (delimiter, [])


def test_another_delimiter_that_fits_is_named(tmp_path):
    path = _file(tmp_path, "1,5;2,5\n3,5;4,5\n" * 9)

    assert guess_delimiter(path) == (";", [","])


@pytest.mark.parametrize(
    ("content", "remarks", "first_line"),
    [
        ("# exported\n\nx,c,label\n1,a,no\n2,b,yes\n", [(1, "# exported")], 3),
        ("# by Ann, for Bob\nx,c,label\n1,a,no\n2,b,yes\n", [(1, "# by Ann, for Bob")], 2),
        ("Sales,,\nof May,,\nx,c,label\n1,a,no\n", [(1, "Sales,,"), (2, "of May,,")], 3),
        ("T,,\nx,,\n,,\nx,c,label\n1,a,no\n", [(1, "T,,"), (2, "x,,")], 4),  # as Excel exports an empty row
        (" ,,\nx,c,label\n1,a,no\n2,b,yes\n", [], 2),
        (",\nx,label\n1,no\n2,yes\n", [], 2),
        ("9,2,,\na,b,c,d\n1,2,3,4\n2,3,4,5\n", [(1, "9,2,,")], 2),  # sizes above the names, as of scikit-learn
        ("a;b\n1,5;2\n2,5;3\n3,5;4\n", [], 1),  # decimal commas between other delimiters
        ("a,b,,\n1,2,3,4\n2,3,4,5\n", [], 1),
        ("#x,c,label\n1,a,no\n2,b,yes\n", [], 1),  # a header, as those of genomes
        ("x\na, b\nc\nd\n", [], 1),  # one column, and a row that is broken
        ("x\n1,\n2,\n", [], 1),  # one column, with a comma at the end of each line
        (",x\n0,1\n1,2\n", [], 1),
        ("T\nx,y\n", [], 1),  # a header and a row remain
    ],
)
def test_remarks_above_the_header_are_separated_from_it(tmp_path, content, remarks, first_line):
    head = look(_file(tmp_path, content), Layout())

    assert head.remarks == remarks
    assert head.first_line == first_line


def test_in_a_file_without_a_header_a_row_with_one_value_is_data(tmp_path):
    head = look(_file(tmp_path, "5,,\n1,2,3\n4,5,6\n"), Layout(header=False))

    assert head.remarks == []
