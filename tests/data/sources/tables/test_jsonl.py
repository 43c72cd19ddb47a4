"""JSON files with an array of objects are read like JSON Lines."""

import json

import pytest

from data.errors import DataError
from data.sources.records import TextFile
from data.sources.tables import jsonl


def _read(folder, content: str):
    path = folder / "rows.json"
    path.write_text(content)
    return list(jsonl.read(path))


@pytest.mark.parametrize(
    "content", ['[{"x": 1},\n{"x": 2}]\n', '[\n  {\n"x": 1\n},\n\n  {"x": 2}\n]', '{"x": 1}\n{"x": 2}\n']
)
def test_objects_are_read_from_an_array_and_from_lines(tmp_path, content):
    records = _read(tmp_path, content)

    assert [record.cells for record in records] == [{"x": 1}, {"x": 2}]


def test_the_line_of_an_object_in_an_array_is_named(tmp_path):
    records = _read(tmp_path, '[\n{"x":\n1},\n7]')

    assert [record.where.rpartition(":")[2] for record in records] == ["2", "4"]
    assert str(records[1].problem).endswith("rows.json:4: expected a JSON object, found int")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"x": 1},\n{"x": ', "rows.json:2: the array of objects cannot be read any further"),
        ('[{"x": 1}', "rows.json:1: the array of objects cannot be read any further"),
        ('[{"x": 1}]\n[{"x": 2}]', "rows.json:1: the array of objects ends here, and more follows"),
        ("[\n]", "rows.json has no rows"),
    ],
)
def test_an_incomplete_array_is_refused(tmp_path, content, message):
    with pytest.raises(DataError, match=message):
        _read(tmp_path, content)


def test_only_some_objects_of_an_array_in_one_line_are_in_memory(tmp_path):
    rows = [{"x": number, "y": "a, b]"} for number in range(2000)] + [{"x": -1, "y": "long " * 1000}, {"x": -2}]
    path = tmp_path / "rows.json"
    path.write_text(json.dumps(rows))

    with path.open("rb") as file:
        text, objects, bytes_ahead = TextFile(path, file), [], []
        for item in jsonl.objects(text, "rows.json", 100):
            objects.append(item.cells)
            bytes_ahead.append(text.num_bytes - len(json.dumps(objects)))

    assert objects == rows
    assert max(bytes_ahead[:2000]) < 300
    assert max(bytes_ahead) < 20_000


@pytest.mark.parametrize(("content", "line"), [('{"x": 1}\n{"x": %s}\n', 2), ('[{"x": 1}, {"x": %s}]', 1)])
def test_a_number_of_thousands_of_digits_is_named(tmp_path, content, line):
    try:
        message = str(_read(tmp_path, content % ("9" * 5000))[1].problem)
    except DataError as error:
        message = str(error)

    assert f"rows.json:{line}: " in message
    assert "a number of thousands of digits" in message
