"""Files become questions: what is wrong with one of them, or with a row, costs that one. Loads no TensorFlow."""

import dataclasses
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pytest

from data.errors import ConfigError
from data.spec import DatasetSpec
from pipeline.live import questions
from tests.pipeline.live.asked import FEATURES, Asking, picture, rows_of, write


def test_a_damaged_picture_costs_itself_and_is_named(folder):
    good, other = picture("a.png"), picture("b.jpg")
    cut = write("cut.jpg", picture("c.jpg", (64, 64)).read_bytes()[:900])
    empty, text = write("empty.png", ""), write("notes.png", "just text")

    asked = Asking("image")(good, cut, empty, text, other)

    assert [where for where, _ in asked] == [("a.png",), ("cut.jpg",), ("empty.png",), ("notes.png",), ("b.jpg",)]
    first, damaged, nothing, no_picture, last = (said for _, said in asked)
    assert (first, last) == (good.read_bytes(), other.read_bytes())
    assert damaged.startswith("cut.jpg, photo: expected a")
    assert nothing == "empty.png is empty (0 bytes)"
    assert no_picture.startswith("notes.png, photo: expected a")


def test_a_file_that_is_named_twice_is_asked_about_twice_and_large_ones_alone(folder, monkeypatch):
    path, bad, large = write("a.txt", "Dear"), write("b.txt", "\0"), write("c.txt", "x" * 100)
    monkeypatch.setattr(questions, "MAX_BYTES", 50)

    parts = list(Asking("text").reader.questions([path, bad, path, large, path], []))

    assert [len(part) for part in parts] == [4, 1]
    assert [said for _, said in rows_of(parts)] == [
        b"Dear", "b.txt, review: expected text, found a zero byte at character 1", b"Dear", b"x" * 100, b"Dear"
    ]  # fmt: skip


def test_a_folder_of_pictures_is_read_with_the_folders_in_it_but_hidden_ones(folder):
    paths = [picture("photos/b.png"), picture("photos/day 1/a.JPG", format="JPEG"), picture("other/c.png")]
    write("photos/notes.txt", "seen at dawn")
    picture("photos/.trash/d.png")
    picture("photos/.e.png")
    Path("photos/linked").symlink_to(folder / "other")
    Path("photos/linked_back").symlink_to(folder / "photos")
    asking = Asking("image")

    asked = asking(Path("photos"))

    assert [where for where, _ in asked] == [("photos/b.png",), ("photos/day 1/a.JPG",), ("photos/linked/c.png",)]
    assert [content for _, content in asked] == [path.read_bytes() for path in paths]
    assert asking.notes == ["photos: 3 of 4 files are read, the others are no pictures."]


def test_of_a_folder_is_asked_what_of_a_folder_is_learned(folder):
    """Mails and posts are often numbered in the place of an ending, and pictures may have none."""
    for name in ("mail0.eml", "0001.a1b2", "x.txt", "sound.ogg"):
        write(f"mails/{name}", name)
    bare = picture("photos/bare", format="PNG")

    assert [where for where, _ in Asking("text")(Path("mails"))] == [
        ("mails/0001.a1b2",), ("mails/mail0.eml",), ("mails/x.txt",)
    ]  # fmt: skip
    assert Asking("image")(Path("photos")) == [(("photos/bare",), bare.read_bytes())]


def test_of_a_list_of_pictures_the_first_row_is_a_picture_where_it_is_a_path(folder):
    first, second = picture("a.png"), picture("b.png")
    lists = write("bare.csv", "a.png\nb.png\n"), write("headed.csv", "bild\na.png\nb.png\n")

    asked = [content for _, content in Asking("image")(*lists)]

    assert asked == [first.read_bytes(), second.read_bytes()] * 2


def test_the_first_row_without_any_input_is_noted(folder):
    asking = Asking("table")
    features = {name: feature.model_copy(update={"optional": True}) for name, feature in FEATURES["table"].items()}
    inputs = DatasetSpec(name="m", title="m", licence="", features={name: features[name] for name in ("age", "plan")})
    asking.reader = dataclasses.replace(asking.reader, inputs=inputs)

    asked = asking(write("a.csv", "age,plan,note\n1,,\n,,total\n , NA,\n"))

    assert [isinstance(content, bytes) for _, content in asked] == [True, True, True]
    assert asking.notes == ["a.csv row 2 has no value in any input; all such rows have one answer."]


def test_a_row_that_is_refused_for_want_of_its_inputs_has_no_answer_to_be_noted(folder):
    asking = Asking("table")

    ((_, error),) = asking(write("a.csv", "age,plan\n,\n"))

    assert error == "a.csv row 1 (line 2), age: expected a number, found nothing"
    assert asking.notes == []


def test_bad_rows_cost_themselves_and_what_breaks_a_file_off_what_follows(folder):
    asked = Asking("text")(
        write("a.csv", b"review\ngood\n\xff\nlost\n"), write("b.jsonl", 'no\n{"review": "b"}\n[1]\n')
    )

    assert [(where, str(said)[:46]) for where, said in asked] == [
        (("a.csv", 1), "b'good'"),
        (("a.csv",), "a.csv line 3: expected UTF-8, found what looks"),
        (("b.jsonl", 1), "b.jsonl row 1: expected a JSON object, found '"),
        (("b.jsonl", 2), "b'b'"),
        (("b.jsonl", 3), "b.jsonl row 3: expected a JSON object, found l"),
    ]


def test_an_empty_text_is_refused_wherever_it_stands(folder):
    blank, table = write("blank.txt", " \n"), write("t.jsonl", '{"review": ""}\n')

    asked = Asking("text")(blank, table, texts=["", "  "])

    assert [error.rpartition("expected ")[2] for _, error in asked] == [
        "text, found an empty one",
        "text, found an empty one",
        "text, found blanks only",
        "text, found an empty text",
    ]


def test_a_file_that_is_not_there_is_told_before_anything_is_read(folder):
    with pytest.raises(ConfigError, match=r"^b.csv cannot be read \(No such file or directory\)."):
        Asking("text").reader.questions([write("a.csv", "review\na\n"), Path("b.csv")], [])
    with pytest.raises(ConfigError, match=r"Models of pipeline m take files, no texts."):
        Asking("table")(texts=["a"])
    with pytest.raises(ConfigError, match=r"Expected files or --text to ask about, found none."):
        Asking("table")()


def test_of_a_large_file_some_megabytes_are_held(folder):
    with Path("large.csv").open("w") as file:
        file.write("review\n")
        file.writelines(f"{'x' * 100} {row}\n" for row in range(500_000))
    parts = Asking("text").reader.questions([Path("large.csv")], [])

    seen, by_arrow, before = 0, 0, pa.total_allocated_bytes()
    tracemalloc.start()
    for part in parts:
        seen += len(part)
        by_arrow = max(by_arrow, pa.total_allocated_bytes() - before)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert seen == 500_000
    assert peak + by_arrow < 45_000_000  # bytes, of 53 million


def test_a_row_has_one_number_wherever_it_is_told(folder):
    cars = write("cars.csv", 'age,plan\n\n1,a\n12k,"two\nlines"\nx,b\n')
    jsonl = write("cars.jsonl", '{"age": 1}\n\n{"age": "x"}\n')

    asked = Asking("table")(cars, jsonl)

    assert [where for where, _ in asked] == [("cars.csv", row) for row in (1, 2, 3)] + [
        ("cars.jsonl", 1),
        ("cars.jsonl", 2),
    ]
    assert [said for _, said in asked if isinstance(said, str)] == [
        "cars.csv row 2 (line 4), age: expected a number, found '12k'",
        "cars.csv row 3 (line 6), age: expected a number, found 'x'",
        "cars.jsonl row 2 (line 3), age: expected a number, found 'x'",
    ]
