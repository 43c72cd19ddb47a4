from pathlib import Path

import openpyxl
import pytest

from data.config import DataConfig
from data.sources.tables import block_cache, formats


@pytest.fixture
def reads(monkeypatch):
    names, read_blocks = [], formats.blocks
    monkeypatch.setattr(formats, "blocks", lambda path, *given: names.append(path.name) or read_blocks(path, *given))
    return names


def _rows(path, **settings):
    return [
        block.cells.to_pylist() for block in block_cache.blocks(path, "csv", DataConfig(files=str(path), **settings))
    ]


def test_a_file_is_read_once_within_a_command_and_again_after_it(tmp_path, reads):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4\n")

    with block_cache.caching():
        first = _rows(path)
        assert _rows(path) == first
    assert reads == ["rows.csv"]

    assert _rows(path) == first
    assert len(reads) == 2


def test_a_file_is_read_once_by_several_paths_and_messages_have_the_requested_path(tmp_path, reads, monkeypatch):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3\n5,6\n")
    (tmp_path / "link.csv").symlink_to(path)
    monkeypatch.chdir(tmp_path)

    with block_cache.caching():
        for alias in (path, Path("rows.csv"), Path("../", tmp_path.name, "rows.csv"), tmp_path / "link.csv"):
            (block,) = block_cache.blocks(alias, "csv", DataConfig(files=str(alias)))
            locations = [block.where(0), block.where(1), block.problems[0].where]
            assert locations == [f"{alias}:{line}" for line in (2, 4, 3)]

    assert reads == ["rows.csv"]


def test_a_file_that_changed_or_is_read_in_another_way_is_read_again(tmp_path, reads):
    path = tmp_path / "rows.csv"
    path.write_text("a;b,c\n1;2,3\n")

    with block_cache.caching():
        commas, semicolons = _rows(path), _rows(path, delimiter=";")
        path.write_text("a;b,c\n1;2,4\n1;2,5\n")
        changed = _rows(path)

    assert (commas, semicolons) == ([[{"a;b": "1;2", "c": "3"}]], [[{"a": "1", "b,c": "2,3"}]])
    assert changed == [[{"a;b": "1;2", "c": "4"}, {"a;b": "1;2", "c": "5"}]]


def test_files_beyond_the_limit_or_read_in_part_are_not_cached(tmp_path, reads):
    path = tmp_path / "rows.csv"
    path.write_text("a,b\n1,2\n3,4\n")

    with block_cache.caching(max_bytes=8):
        assert _rows(path) == _rows(path)
    with block_cache.caching():
        next(block_cache.blocks(path, "csv", DataConfig(files=str(path))))
        assert _rows(path) == _rows(path)

    assert len(reads) == 4


def test_a_sheet_is_read_again_where_other_columns_are_ignored(tmp_path):
    book = openpyxl.Workbook()
    for row in (["a", "b"], [1, "=1/0"], [2, 3]):
        book.active.append(row)
    path = tmp_path / "book.xlsx"
    book.save(path)

    with block_cache.caching():
        readings = [
            list(block_cache.blocks(path, "xlsx", DataConfig(files=str(path), ignore=ignored)))
            for ignored in ((), ("b",), ())
        ]

    assert [len(block) for (block,) in readings] == [1, 2, 1]
