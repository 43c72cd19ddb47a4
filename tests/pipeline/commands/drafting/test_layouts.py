"""The layout of a table: inferred, asked for, or given by options; and read again from the run file."""

import os
import pty
import subprocess
import sys
import zipfile
from pathlib import Path

import openpyxl
import pytest

from data.errors import ConfigError, DataError
from data.loading import open_rows
from pipeline.commands import new
from pipeline.commands.drafting import layouts, writing
from pipeline.commands.drafting.draft import TableOptions
from pipeline.core import config
from tests.conftest import ROOT, headrace, inherited
from tests.data.sources.tables.test_headers import IRIS
from tests.waiting import PATIENCE_S

OPTIONS = ("format_", "delimiter", "header", "names")
NAMES = ("sepal length", "sepal width", "petal length", "petal width", "species")


@pytest.fixture
def iris(tmp_path):
    """A table without a header."""
    path = tmp_path / "iris.csv"
    rows = [[*row[:3], f"0.{number % 9}", row[4]] for number, row in enumerate(IRIS * 10)]
    path.write_text("".join(",".join(row) + "\n" for row in rows))
    return path


def _lines(row: str) -> str:
    """Returns 40 lines of a template, filled with an integer, a fraction and one of two letters."""
    return "".join(row.format(number, number / 3, "ab"[number % 2]) + "\n" for number in range(40))


def _load(draft, folder):
    """Returns the settings that the written run file has, as a run would read it."""
    path = folder / "mine.yaml"
    path.write_text(writing.text(draft, "mine", folder), encoding="utf-8")
    return config.load(str(path))


def _rows(named) -> int:
    return sum(1 for _ in open_rows(named.dataset, named.config.data))


def test_a_table_without_a_header_is_refused_with_the_options_that_describe_it(iris):
    with pytest.raises(
        DataError, match=r"iris.csv:1: the first row seems to be data, not the names of the columns"
    ) as raised:
        new.draft(iris)

    assert str(raised.value).splitlines()[1:] == [
        "  --no-header         it is data; the columns are column_1, column_2 and so on",
        "  --names a,b,c,d,e   it is data; the 5 columns are called so",
        "  --header            it holds the names",
    ]


def test_a_table_without_a_header_is_refused_with_complete_commands(iris):
    result = headrace("new", "mine", "--data", "iris.csv", "--label", "kind", cwd=iris.parent)

    assert result.code == 3
    assert " new mine --data iris.csv --label kind --names a,b,c,d,e   it is data; " in result.err
    assert " new mine --data iris.csv --label kind --header  " in result.err


def test_without_a_header_columns_are_numbered_and_no_row_is_lost(iris, tmp_path):
    draft = new.draft(iris, label="column_5", options=TableOptions(header=False))
    named = _load(draft, tmp_path)

    assert draft.rows == 40
    assert named.config.data.header is False
    assert list(named.dataset.spec.features) == [f"column_{number}" for number in range(1, 6)]
    assert _rows(named) == 40


def test_names_are_written_to_the_run_file(iris, tmp_path):
    draft = new.draft(iris, label="species", options=TableOptions(names=NAMES))
    named = _load(draft, tmp_path)

    assert named.config.data.names == NAMES
    assert named.dataset.spec.features["species"].classes == ("setosa", "virginica")
    assert _rows(named) == 40


def test_a_first_row_of_numbers_is_a_header_with_the_option_header(tmp_path):
    (tmp_path / "rows.csv").write_text("5,7,label\n" + _lines("{0},{1},{2}"))

    draft = new.draft(tmp_path / "rows.csv")
    with_header = _load(new.draft(tmp_path / "rows.csv", options=TableOptions(header=True)), tmp_path)

    assert [sentence for sentence in draft.unsure if "taken for a header" in sentence] == [
        "the first row is taken for a header ('5', '7': a number above numbers like it); if it is data: --no-header"
    ]
    assert with_header.config.data.header is True
    assert with_header.dataset.columns() == ["5", "7", "label"]


def test_on_a_terminal_a_person_is_asked(iris):
    questions = []

    def answer(question: str) -> bool:
        questions.append(question)
        return True

    draft = new.draft(iris, label="column_5", options=TableOptions(confirm=answer))

    assert draft.data["header"] is False
    assert questions[0].startswith(f"{iris}:1: the first row seems to be data")
    assert questions[0].endswith("Is it data?")
    with pytest.raises(DataError, match="--no-header"):
        new.draft(iris, options=TableOptions(confirm=lambda question: None))


def test_the_command_asks_on_a_terminal(iris):
    main, terminal = pty.openpty()
    command = [
        str(Path(sys.executable).with_name("headrace")),
        "new",
        "iris",
        "--data",
        "iris.csv",
        "--label",
        "column_5",
    ]
    env = {**inherited(), "PYTHONPATH": str(ROOT), "TERM": "dumb"}

    process = subprocess.Popen(
        command, stdin=terminal, stderr=terminal, stdout=subprocess.PIPE, cwd=iris.parent, env=env
    )
    os.close(terminal)
    os.write(main, b"\n")
    process.communicate(timeout=PATIENCE_S)
    shown = os.read(main, 1 << 16).decode()
    os.close(main)

    assert process.returncode == 0, shown
    assert "Is it data? [Y/n]" in shown
    assert "header: false" in (iris.parent / "iris.yaml").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"names": "a,b,c"}, r"--names: expected 5 names, the rows of .*iris.csv have as many cells; found 3."),
        ({"names": "a,b,a,d,e"}, "--names: expected different names .* such as a,b,c; found 'a' twice."),
        ({"names": "a,b,,d,e"}, "--names: expected different names .* such as a,b,c; found an empty one."),
        ({"names": "a,b,c,d,e", "header": True}, "Expected --names, of a file without a header, or --header or --no-h"),
        (
            {"names": "5.0,3.3,1.9,0.0,setosa"},
            r"--names: the first row of .*iris.csv holds these names; leave the option out.",
        ),
        (
            {"names": "setosa, 5.0,3.3,1.9,0.0"},  # in another order
            r"--names: the first row of .*iris.csv holds these names; leave the option out.",
        ),
        ({"delimiter": "::"}, "--delimiter '::': expected one character, tab or space."),
        (
            {"format_": "jsonl", "header": False},
            "--no-header and --names are of CSV files and Excel workbooks, found jsonl.",
        ),
    ],
)
def test_options_that_do_not_apply_are_refused_in_one_line(iris, arguments, message):
    with pytest.raises(ConfigError, match=message) as raised:
        new.draft(iris, options=layouts.table_options(**{**dict.fromkeys(OPTIONS), **arguments}))

    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("text", ["tab", "\\t", "\t"])
def test_a_tab_is_named_in_three_ways_and_a_blank_in_two(text):
    assert layouts.delimiter_of(text) == "\t"
    assert layouts.delimiter_of("space") == layouts.delimiter_of(" ") == " "


def test_a_file_of_any_ending_is_read_by_format_and_delimiter(tmp_path):
    (tmp_path / "rows.dat").write_text("x:label\n" + _lines("{1}:{2}"))

    draft = new.draft(tmp_path / "rows.dat", options=TableOptions(format="csv", delimiter=":"))
    named = _load(draft, tmp_path)

    assert draft.data["format"] == "csv"
    assert named.config.data.delimiter == ":"
    assert _rows(named) == 40


@pytest.mark.parametrize(
    ("delimiter", "name"), [(",", "rows.txt"), ("\t", "rows.dat"), (";", "rows.data"), ("|", "rows")]
)
def test_a_table_of_another_ending_is_recognised_by_its_first_rows(tmp_path, delimiter, name):
    (tmp_path / name).write_text(f"x{delimiter}label\n" + _lines("{1}" + delimiter + "{2}"))

    named = _load(new.draft(tmp_path / name), tmp_path)

    assert named.config.data.format == "csv"
    assert named.config.data.delimiter == delimiter
    assert _rows(named) == 40


@pytest.mark.parametrize("row", ['{{"x": {0}, "y": {1}}}', "{0}  {1}  word", "A sentence, the {0}th\nand another one"])
def test_a_file_of_unknown_format_is_refused_with_the_commands(tmp_path, row):
    (tmp_path / "rows.dat").write_text(_lines(row))

    with pytest.raises(ConfigError, match="can be told neither by its ending nor by its first rows") as raised:
        new.draft(tmp_path / "rows.dat")

    assert "  --format csv --delimiter tab" in str(raised.value).splitlines()


def test_a_run_file_whose_columns_are_inferred_does_not_take_data_for_a_header(iris, tmp_path):
    text = "task: tabular_classification\ndata: {files: iris.csv, label: LABEL, SETTINGS}\n"

    def load(label: str, settings: str):
        (tmp_path / "mine.yaml").write_text(text.replace("LABEL", label).replace("SETTINGS", settings))
        return config.load(str(tmp_path / "mine.yaml"))

    with pytest.raises(
        DataError, match=r"iris.csv:1: the first row seems to be data.*data.header to false.*data.names"
    ):
        load("setosa", "window: null")
    assert _rows(load("column_5", "header: false")) == 40
    assert _rows(load("kind", "names: [a, b, c, d, kind]")) == 40
    assert _rows(load("setosa", "header: true, checks: {invalid: {policy: drop, max_rate: 1}}")) == 39


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("names: [a, b, a, c, d]", "each of names once, found 'a' twice"),
        ("names: [a, b], header: true", "either names, of a file without a header, or header: true"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(iris, tmp_path, settings, message):
    (tmp_path / "mine.yaml").write_text(
        f"task: tabular_classification\ndata: {{files: iris.csv, label: a, {settings}}}\n"
    )

    with pytest.raises(ConfigError, match=message):
        config.load(str(tmp_path / "mine.yaml"))


def test_every_file_of_a_pattern_is_read_without_a_header(iris, tmp_path):
    content = iris.read_text()
    for number in (1, 2):
        (tmp_path / f"span-{number}.csv").write_text(content)
    draft = new.draft(iris, label="species", options=TableOptions(names=NAMES))
    text = writing.text(draft, "mine", tmp_path).replace("files: iris.csv", 'files: "span-{SPAN}.csv"')
    (tmp_path / "mine.yaml").write_text(text)

    named = config.load(str(tmp_path / "mine.yaml"))

    assert list(named.dataset.spans()) == ["1", "2"]
    assert _rows(named) == 80


def test_a_table_in_a_zip_file_becomes_a_run_file_that_reads_it(iris, tmp_path):
    with zipfile.ZipFile(tmp_path / "iris.zip", "w") as archive:
        archive.write(iris, "data/iris.csv")

    draft = new.draft(tmp_path / "iris.zip", label="species", options=TableOptions(names=NAMES))

    assert draft.rows == 40
    assert _rows(_load(draft, tmp_path)) == 40
    with pytest.raises(DataError, match=r"iris.zip/data/iris.csv:1: the first row seems to be data"):
        new.draft(tmp_path / "iris.zip")


def test_lines_before_the_header_are_reported_and_left_out(tmp_path):
    (tmp_path / "rows.csv").write_text("# exported 2024-05-01\n\nx,label\n" + _lines("{1},{2}"))

    draft = new.draft(tmp_path / "rows.csv")
    named = _load(draft, tmp_path)

    assert draft.unsure == ["the lines before line 3 are left out (line 1: '# exported 2024-05-01')"]
    assert _rows(named) == 40
    assert {row.where.rpartition(":")[2] for _, row in open_rows(named.dataset, named.config.data)} == {
        str(n) for n in range(4, 44)
    }


def test_if_no_row_can_be_read_the_first_problem_is_reported(tmp_path):
    (tmp_path / "rows.csv").write_text("x,label\n" + "1,2,a\n1,2,3,a\n" * 20)

    with pytest.raises(DataError, match=r"rows.csv:2: expected 2 cells, found 3; none of 40 rows can be read"):
        new.draft(tmp_path / "rows.csv")


def test_a_first_row_of_another_length_is_left_out_by_the_suggested_commands(tmp_path):
    (tmp_path / "rows.csv").write_text("40,a,b\n" + _lines("{0},{1},5,{2}"))

    with pytest.raises(DataError) as raised:
        layouts.settings_of(tmp_path / "rows.csv", TableOptions())
    draft = new.draft(tmp_path / "rows.csv", label="column_4", options=TableOptions(header=False))

    first, *commands = str(raised.value).splitlines()
    assert "rows.csv:1: the first row does not name the columns (it has 3 cells, the rows below have 4)." in first
    assert [command.split()[0] for command in commands] == ["--no-header", "--names"]
    assert "left out" in commands[0]
    assert draft.rows == 40


def test_a_cover_worksheet_is_refused_with_the_commands_for_the_others(tmp_path):
    book = openpyxl.Workbook()
    book.active.title = "Info"
    book.active.append(["List of customers"])
    book.active.append(["as of", "May"])
    book.create_sheet("Customers").append(["x", "label"])
    book.save(tmp_path / "book.xlsx")

    with pytest.raises(DataError) as raised:
        new.draft(tmp_path / "book.xlsx")

    message, command = str(raised.value).splitlines()
    assert message.endswith("no row can be read. It is worksheet 'Info', the first of 2; for another:")
    assert command == "  --sheet Customers"


def test_a_first_row_that_looks_like_names_but_is_read_as_data_is_called_unsure(tmp_path):
    (tmp_path / "rows.csv").write_text("x,label\n" + _lines("{1},{2}"))

    _, unsure = layouts.settings_of(tmp_path / "rows.csv", TableOptions(names=("a", "b")))

    assert unsure == [
        "the first row is taken for data, though it looks like names ('x': no number above numbers; "
        "'label': none of the few values of its column); if it is the header: give --header in the place of --names"
    ]


@pytest.mark.parametrize("name", ["rows.csv", "rows.tsv"])
def test_a_table_of_one_column_is_refused_with_a_hint_at_the_delimiter(tmp_path, name):
    (tmp_path / name).write_text("x:label\n" + _lines("{1}:{2}"))

    with pytest.raises(DataError, match=r"has 1 column.*if its cells are not separated by commas: --delimiter"):
        new.draft(tmp_path / name)
    if name.endswith(".tsv"):
        with pytest.raises(
            ConfigError, match=r"rows.tsv: cells of .tsv files are separated by tabs; rename it to .csv"
        ):
            new.draft(tmp_path / name, options=TableOptions(delimiter=":"))


def test_another_delimiter_is_suggested_for_a_run_file_without_features(tmp_path):
    (tmp_path / "rows.csv").write_text("x;label\n" + _lines("{1};{2}"))
    (tmp_path / "mine.yaml").write_text("task: tabular_classification\ndata: {files: rows.csv, label: label}\n")

    with pytest.raises(
        ConfigError, match=r"no column 'label'; the cells seem to be separated by ';'; set data.delimiter"
    ):
        config.load(str(tmp_path / "mine.yaml"))
