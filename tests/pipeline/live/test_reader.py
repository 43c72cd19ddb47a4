"""Files are read as examples: an error in a file or a row concerns only that one. Loads no TensorFlow."""

import dataclasses
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from data.errors import ConfigError
from data.spec import DatasetSpec
from pipeline.live import reader
from tests.pipeline.live.made_up_reader import FEATURES, MadeUpReader, picture, rows_of, write


def test_only_a_damaged_picture_has_an_error(folder):
    good, other = picture("a.png"), picture("b.jpg")
    cut = write("cut.jpg", picture("c.jpg", (64, 64)).read_bytes()[:900])
    empty, text = write("empty.png", ""), write("notes.png", "just text")

    examples = MadeUpReader("image")(good, cut, empty, text, other)

    assert [key for key, _ in examples] == [("a.png",), ("cut.jpg",), ("empty.png",), ("notes.png",), ("b.jpg",)]
    first, damaged, no_bytes, no_picture, last = (value for _, value in examples)
    assert (first, last) == (good.read_bytes(), other.read_bytes())
    assert damaged.startswith("cut.jpg, photo: expected a")
    assert no_bytes == "empty.png is empty (0 bytes)"
    assert no_picture.startswith("notes.png, photo: expected a")


def test_a_file_named_twice_is_read_twice_and_a_large_one_ends_its_batch(folder, monkeypatch):
    path, bad, large = write("a.txt", "Dear"), write("b.txt", "\0"), write("c.txt", "x" * 100)
    monkeypatch.setattr(reader, "MAX_BYTES", 50)

    batches = list(MadeUpReader("text").reader.read([path, bad, path, large, path], []))

    assert [len(batch) for batch in batches] == [4, 1]
    assert [value for _, value in rows_of(batches)] == [
        b"Dear", "b.txt, review: expected text, found a zero byte at character 1", b"Dear", b"x" * 100, b"Dear"
    ]  # fmt: skip


def test_a_folder_of_pictures_is_read_with_subfolders_but_no_hidden_ones(folder):
    paths = [picture("photos/b.png"), picture("photos/day 1/a.JPG", format="JPEG"), picture("other/c.png")]
    write("photos/notes.txt", "seen at dawn")
    picture("photos/.trash/d.png")
    picture("photos/.e.png")
    Path("photos/linked").symlink_to(folder / "other")
    Path("photos/linked_back").symlink_to(folder / "photos")
    made_up = MadeUpReader("image")

    examples = made_up(Path("photos"))

    assert [key for key, _ in examples] == [("photos/b.png",), ("photos/day 1/a.JPG",), ("photos/linked/c.png",)]
    assert [content for _, content in examples] == [path.read_bytes() for path in paths]
    assert made_up.notes == ["photos: 3 of 4 files are read, the others are not pictures."]


def test_a_folder_is_read_as_a_folder_of_training_data_is(folder):
    """Mails and posts often have a number instead of an ending, and pictures may have no ending."""
    for name in ("mail0.eml", "0001.a1b2", "x.txt", "sound.ogg"):
        write(f"mails/{name}", name)
    bare = picture("photos/bare", format="PNG")

    assert [key for key, _ in MadeUpReader("text")(Path("mails"))] == [
        ("mails/0001.a1b2",), ("mails/mail0.eml",), ("mails/x.txt",)
    ]  # fmt: skip
    assert MadeUpReader("image")(Path("photos")) == [(("photos/bare",), bare.read_bytes())]


def test_the_first_row_of_a_list_of_pictures_is_a_picture_where_it_is_a_path(folder):
    first, second = picture("a.png"), picture("b.png")
    lists = write("bare.csv", "a.png\nb.png\n"), write("headed.csv", "bild\na.png\nb.png\n")

    examples = [content for _, content in MadeUpReader("image")(*lists)]

    assert examples == [first.read_bytes(), second.read_bytes()] * 2


def test_the_first_row_without_any_input_is_noted(folder):
    made_up = MadeUpReader("table")
    features = {name: feature.model_copy(update={"optional": True}) for name, feature in FEATURES["table"].items()}
    inputs = DatasetSpec(name="m", title="m", licence="", features={name: features[name] for name in ("age", "plan")})
    made_up.reader = dataclasses.replace(made_up.reader, inputs=inputs)

    examples = made_up(write("a.csv", "age,plan,note\n1,,\n,,total\n , NA,\n"))

    assert [isinstance(content, bytes) for _, content in examples] == [True, True, True]
    assert made_up.notes == ["a.csv row 2 has no value in any input; all such rows have the same prediction."]


def test_a_row_without_its_required_inputs_is_an_error_and_not_noted(folder):
    made_up = MadeUpReader("table")

    ((_, error),) = made_up(write("a.csv", "age,plan\n,\n"))

    assert error == "a.csv row 1 (line 2), age: expected a number, found nothing"
    assert made_up.notes == []


def test_a_bad_row_is_one_error_and_an_unreadable_rest_of_a_file_another(folder):
    examples = MadeUpReader("text")(
        write("a.csv", b"review\ngood\n\xff\nlost\n"), write("b.jsonl", 'no\n{"review": "b"}\n[1]\n')
    )

    assert [(key, str(value)[:46]) for key, value in examples] == [
        (("a.csv", 1), "b'good'"),
        (("a.csv",), "a.csv line 3: expected UTF-8, found what looks"),
        (("b.jsonl", 1), "b.jsonl row 1: expected a JSON object, found '"),
        (("b.jsonl", 2), "b'b'"),
        (("b.jsonl", 3), "b.jsonl row 3: expected a JSON object, found l"),
    ]


def test_an_empty_text_is_refused_in_files_tables_and_on_the_command_line(folder):
    blank, table = write("blank.txt", " \n"), write("t.jsonl", '{"review": ""}\n')

    examples = MadeUpReader("text")(blank, table, texts=["", "  "])

    assert [error.rpartition("expected ")[2] for _, error in examples] == [
        "text, found an empty one",
        "text, found an empty one",
        "text, found blanks only",
        "text, found an empty text",
    ]


def test_a_missing_file_is_an_error_before_anything_is_read(folder):
    with pytest.raises(ConfigError, match=r"^b.csv cannot be read \(No such file or directory\)."):
        MadeUpReader("text").reader.read([write("a.csv", "review\na\n"), Path("b.csv")], [])
    with pytest.raises(ConfigError, match=r"Models of pipeline m take files, no texts."):
        MadeUpReader("table")(texts=["a"])
    with pytest.raises(ConfigError, match=r"Expected files or --text to predict, found none."):
        MadeUpReader("table")()


def test_a_large_file_is_read_in_parts(folder):
    with Path("large.csv").open("w") as file:
        file.write("review\n")
        file.writelines(f"{'x' * 100} {row}\n" for row in range(500_000))
    batches = MadeUpReader("text").reader.read([Path("large.csv")], [])

    num_rows, by_arrow, before = 0, 0, pa.total_allocated_bytes()
    tracemalloc.start()
    for batch in batches:
        num_rows += len(batch)
        by_arrow = max(by_arrow, pa.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert num_rows == 500_000
    assert peak + by_arrow < 45_000_000  # bytes, of 53 million


def test_a_row_has_the_same_number_in_its_key_and_its_error(folder):
    cars = write("cars.csv", 'age,plan\n\n1,a\n12k,"two\nlines"\nx,b\n')
    jsonl = write("cars.jsonl", '{"age": 1}\n\n{"age": "x"}\n')

    examples = MadeUpReader("table")(cars, jsonl)

    assert [key for key, _ in examples] == [("cars.csv", row) for row in (1, 2, 3)] + [
        ("cars.jsonl", 1),
        ("cars.jsonl", 2),
    ]
    assert [value for _, value in examples if isinstance(value, str)] == [
        "cars.csv row 2 (line 4), age: expected a number, found '12k'",
        "cars.csv row 3 (line 6), age: expected a number, found 'x'",
        "cars.jsonl row 2 (line 3), age: expected a number, found 'x'",
    ]
