"""Tables are read as examples, by the settings of the training data. Loads no TensorFlow."""

import dataclasses
import struct
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pyarrow.parquet
import pytest

from data.config import DataConfig
from data.errors import ConfigError
from tests.pipeline.live.made_up_reader import MadeUpReader, picture, rows_of, write


def test_a_table_of_pictures_holds_paths_of_files(folder):
    path = picture("photos/a.png")
    table = write("photos/list.csv", "photo,place\na.png,here\nb.png,there\n")

    present, missing = MadeUpReader("image")(table)
    assert present == (("photos/list.csv", 1), path.read_bytes())
    assert missing[0] == ("photos/list.csv", 2)
    assert missing[1].startswith("photos/list.csv row 2 (line 3), photo: expected a")
    assert missing[1].endswith(", found no file 'b.png'")


def test_texts_of_files_folders_tables_and_the_command_line(folder):
    write("letters/a.txt", "Dear")
    write("letters/b.md", b"\xff")
    write("letters/c.txt", "")
    write("letters/.hidden.txt", "no")
    csv = write("t.csv", 'stars,review\n5,"good, very"\n1,NA\n2\n')
    jsonl = write("t.jsonl", '{"review": "fine"}\n{"review": 7}\n')
    pyarrow.parquet.write_table(pa.table({"review": ["ok", None]}), "t.parquet")

    examples = MadeUpReader("text")(Path("letters"), csv, jsonl, Path("t.parquet"), texts=["Hi"])

    assert examples == [
        (("Hi",), b"Hi"),
        (("letters/a.txt",), b"Dear"),
        (
            ("letters/b.md",),
            "letters/b.md, review: expected UTF-8 text, found what looks like CP1252",
        ),
        (("letters/c.txt",), "letters/c.txt is empty (0 bytes)"),
        (("t.csv", 1), b"good, very"),
        (("t.csv", 2), "t.csv row 2 (line 3), review: expected text, found nothing"),
        (("t.csv", 3), "t.csv row 3 (line 4): expected 2 cells, found 1"),
        (("t.jsonl", 1), b"fine"),
        (("t.jsonl", 2), "t.jsonl row 2, review: expected text, found 7"),
        (("t.parquet", 1), b"ok"),
        (("t.parquet", 2), "t.parquet row 2, review: expected text, found nothing"),
    ]


def test_a_single_column_is_used_under_any_name_and_one_of_several_is_not(folder):
    single, several = write("one.csv", "comment\nnice\n"), write("two.csv", "comment,author\nnice,ada\n")
    made_up = MadeUpReader("text")

    assert made_up(single, several) == [
        (("one.csv", 1), b"nice"),
        (("two.csv",), "two.csv: expected a column review, found comment, author; rename the one that is meant"),
    ]
    assert made_up.notes == ["one.csv: its one column, 'comment', is taken for review."]


@pytest.mark.parametrize(
    ("kind", "content", "expected", "notes"),
    [
        (
            "text",
            "only\ngood great fine\n",
            ["only", "good great fine"],
            ["a.csv: its first row, 'only', is predicted"],
        ),
        ("text", "good great fine\n", ["good great fine"], ["a.csv: its first row"]),
        ("text", "Review \nonly\n", ["only"], []),
        ("text", "user_comment\nonly\n", ["only"], ["a.csv: its one column, 'user_comment', is taken"]),
        ("name", "15\n16\n17\n", ["15", "16", "17"], ["a.csv: its first row, '15', is predicted"]),
        ("name", "user_1\nuser_2\n", ["user_1", "user_2"], ["a.csv: its first row, 'user_1', is predicted"]),
        ("name", "kunde\n15\n16\n", ["15", "16"], ["a.csv: its one column, 'kunde', is taken"]),
    ],
)
def test_the_first_row_of_a_list_without_a_header_is_an_example(folder, kind, content, expected, notes):
    made_up = MadeUpReader(kind)

    assert [value.decode() for _, value in made_up(write("a.csv", content))] == expected
    assert len(made_up.notes) == len(notes)
    assert all(note.startswith(start) for note, start in zip(made_up.notes, notes, strict=True))


def test_the_columns_of_a_jsonl_file_are_those_of_all_its_objects(folder):
    objects = write("rows.jsonl", '{"plan": "a"}\n{"age": 30, "plan": "b"}\n')

    first, second = MadeUpReader("table")(objects)

    assert first == (("rows.jsonl", 1), "rows.jsonl row 1, age: expected a number, found nothing")
    assert isinstance(second[1], bytes)


def test_an_error_of_a_header_names_the_columns_that_differ_from_training(folder):
    made_up = MadeUpReader("table")
    data = DataConfig(files="x", names=("age", "plan", "label"))
    made_up.reader = dataclasses.replace(made_up.reader, data=data)

    ((_, error),) = made_up(write("a.csv", "plan,aeg,label\nx,1,no\ny,2,no\n"))

    assert error == (
        "a.csv: column age is missing (there is 'aeg'); name the columns so, or leave the header out where they stand "
        "as in the training data"
    )


def test_a_model_of_names_takes_names_and_tables_of_them(folder):
    users, notes = write("users.csv", "user,since\n15,2020\n16,2021\n"), write("notes.txt", "15")

    assert MadeUpReader("name")(users, texts=["17"]) == [
        (("17",), b"17"),
        (("users.csv", 1), b"15"),
        (("users.csv", 2), b"16"),
    ]
    with pytest.raises(
        ConfigError, match=r"^notes.txt: expected a table with a column of names, or headrace predict m"
    ):
        MadeUpReader("name")(notes)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "Age,plan\n1,x\n2,x\n", "a.csv: column age is missing (there is 'Age'); add it"),
        ("a.csv", "plan\nx\n", "a.csv: column age is missing; add it"),
        ("a.csv", "age\n1\n", "a.csv: column plan is missing; add it"),
        (
            "a.csv",
            "age;plan\n1;x\n",
            "a.csv: column age is missing; column plan is missing; the file seems to be separated by ';', which "
            "--delimiter sets",
        ),
        (
            "a.csv",
            "age;plan\n1,5;x\n2,5;y\n",
            "a.csv: column age is missing; column plan is missing; the file seems to be separated by ';', which "
            "--delimiter sets",
        ),
        (
            "a.csv",
            "1,x\n2,y\n",
            "a.csv: column age is missing; column plan is missing; the first row must hold the names of the columns",
        ),
        ("a.jsonl", '{"plan": "x"}\n{}\n', "a.jsonl: column age is missing; add it"),
        ("a.csv", "", "a.csv is empty (0 bytes); write or fetch it again"),
        ("a.csv", "age,plan\n", "a.csv has a header and no rows"),
        ("a.jsonl", "\n", "a.jsonl has no rows"),
        ("a.parquet", b"PAR1", "a.parquet is not a whole Parquet file ("),
    ],
)
def test_an_error_of_a_whole_table_is_one_example(folder, name, content, expected):
    ((key, error),) = MadeUpReader("table")(write(name, content))

    assert key == (name,)
    assert error.startswith(expected)


def test_numbers_are_read_in_the_notation_that_is_given(folder):
    csv = write("a.csv", "age;plan\n1,5;x\n2;y\n")

    examples = MadeUpReader("table", delimiter=";", decimal=",")(csv)

    assert [isinstance(content, bytes) for _, content in examples] == [True, True]
    with pytest.raises(ConfigError, match="--decimal and --thousands: expected different marks"):
        MadeUpReader("table", thousands=".")


def test_format_and_delimiter_are_those_given_else_of_the_training_data(folder):
    path = write("export.txt", "stars;review\n5;good, very\n")

    assert MadeUpReader("text")(path) == [(("export.txt",), path.read_bytes())]
    assert MadeUpReader("text", format="csv", delimiter=";")(path) == [(("export.txt", 1), b"good, very")]
    with pytest.raises(ConfigError, match=r"^export.txt: its format cannot be told by its ending; give --format csv, "):
        MadeUpReader("table")(path)
    trained = MadeUpReader("table")
    trained.reader = dataclasses.replace(trained.reader, data=DataConfig(files="x", format="csv", delimiter=";"))
    assert trained(path)[0][1].startswith("export.txt: column age is missing")


def test_tables_are_read_as_the_training_data_was_with_a_header_or_without(folder):
    made_up = MadeUpReader("text")
    data = DataConfig(files="x", header=False, names=("review", "label"))
    made_up.reader = dataclasses.replace(made_up.reader, data=data)
    with zipfile.ZipFile("packed.zip", "w") as packed:
        packed.writestr("rows.csv", "good,yes\n")
    write("torn.zip", "PK")

    examples = made_up(write("a.csv", "good\n"), write("b.csv", "review\ngood\n"), Path("torn.zip"), Path("packed.zip"))

    assert examples == [
        (("a.csv", 1), b"good"),
        (("b.csv", 1), b"good"),
        (("torn.zip",), "torn.zip is not a whole zip file (File is not a zip file); fetch it again"),
        (("packed.zip", 1), b"good"),
    ]


def test_a_folder_of_tables_must_have_one_format(folder):
    write("both/b.csv", "review\nb\n")
    write("both/a.csv.gz", "review\na\n")
    write("both/c.jsonl", '{"review": "c"}\n')
    write("none/readme.txt", "")
    write("answered/a.csv", "review\na\n")
    write("answered/answers.csv", "file,row,value\n")

    with pytest.raises(ConfigError, match=r"^both has files of csv and jsonl; choose one with --format."):
        MadeUpReader("table")(Path("both"))
    assert [key for key, _ in MadeUpReader("table", format="jsonl")(Path("both"))] == [("both/c.jsonl",)]
    batches = MadeUpReader("table").reader.read([Path("answered")], [], out=folder / "answered" / "answers.csv")
    assert [key for key, _ in rows_of(batches)] == [("answered/a.csv",)]
    assert MadeUpReader("table")(Path("none")) == [(("none",), "none has no tables")]


def test_a_folder_of_partitions_has_their_columns_and_rows_are_counted_by_file(folder):
    for plan, ages in (("basic", [40.0, 50.0]), ("gold", [60.0])):
        Path("data", f"plan={plan}").mkdir(parents=True)
        pa.parquet.write_table(pa.table({"age": ages}), f"data/plan={plan}/part-0.parquet")

    examples = MadeUpReader("table")(Path("data"))

    assert [key for key, _ in examples] == [
        ("data/plan=basic/part-0.parquet", 1),
        ("data/plan=basic/part-0.parquet", 2),
        ("data/plan=gold/part-0.parquet", 1),
    ]
    plans = (b"basic", b"basic", b"gold")
    assert all(plan in content for (_, content), plan in zip(examples, plans, strict=True))


def test_a_workbook_is_read_by_its_header_and_its_only_sheet(folder):
    book = openpyxl.Workbook()
    for row in (["plan", "age"], ["gold", 40], ["basic", "old"]):
        book.active.append(row)
    book.save("new.xlsx")

    made_up = MadeUpReader("table", format="xlsx", sheet="of the training data")

    (_, content), (key, error) = made_up(Path("new.xlsx"))
    assert b"gold" in content
    assert (key, error) == (("new.xlsx", 2), "new.xlsx row 2 (line 3), age: expected a number, found 'old'")


def test_an_error_cell_of_a_workbook_matters_in_input_columns_only(folder):
    book = openpyxl.Workbook()
    for row in (["age", "plan", "note"], [31, "a", "#DIV/0!"], ["#N/A", "b", "x"]):
        book.active.append(row)
    book.save("new.xlsx")

    (_, content), (_, error) = MadeUpReader("table", format="xlsx")(Path("new.xlsx"))

    assert b"age" in content
    assert (
        error
        == "new.xlsx row 2 (line 3), age: expected a value, found the error #N/A; mend the formula, or empty the cell"
    )


def test_an_error_of_a_missing_column_lists_whole_names(folder):
    names = [f"measurement number {number}" for number in range(30)]
    path = write("wide.csv", ",".join(names) + "\n" + ",".join("1" * 30) + "\n")

    ((_, error),) = MadeUpReader("text")(path)

    assert error == (
        f"wide.csv: expected a column review, found {', '.join(names[:10])} and 20 more; rename the one that is meant"
    )


def test_a_table_is_read_in_the_notation_of_the_training_data(folder):
    made_up = MadeUpReader("table", decimal=",", thousands=".", delimiter=";")
    table = write("a.csv", "age;plan\n1.234,5;basic\n12.5;basic\n")

    (first, content), (_, error) = made_up(table)

    assert first == ("a.csv", 1)
    assert struct.pack("<f", 1234.5) in content
    assert error == "a.csv row 2 (line 3), age: expected a number such as 1.234,5, found '12.5'"


def test_the_share_that_is_read_is_a_fraction_of_the_bytes_of_all_files(folder):
    files = (
        write("a.csv", "age,plan\n1,x\n"),
        write("b.jsonl", '{"age": 1, "plan": "x"}\n' * 3),
        write("c.csv", "age\n"),
    )

    shares = [batch.share for batch in MadeUpReader("table").reader.read(files, [])]

    sizes = [path.stat().st_size for path in files]
    assert shares == [sizes[0] / sum(sizes), sum(sizes[:2]) / sum(sizes), sum(sizes[:2]) / sum(sizes)]
