"""A zip file with one table is read like the table; any other is refused in one sentence."""

import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data.config import DataConfig
from data.errors import DataError, HeadraceError
from data.sources import archives
from data.sources.tables import formats


def _zip(folder, files: dict[str, str | bytes], **settings):
    path = folder / "rows.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **settings) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _read(path, **settings):
    config = DataConfig(files=str(path), **settings)
    return list(formats.records(path, formats.format_of(config, [path]), config))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("rows.csv", "x,y\n1,a\n"),
        ("2024/rows.tsv", "x\ty\n1\ta\n"),
        ("rows.jsonl", '{"x": "1", "y": "a"}\n'),
        ("rows.json", '[{"x": "1", "y": "a"}]'),
    ],
)
def test_the_one_table_is_read_and_named_in_the_zip_file(tmp_path, name, content):
    path = _zip(
        tmp_path, {"README.md": "of us", name: content, "__MACOSX/._rows.csv": b"\0", ".hidden.csv": "", "LICENSE": ""}
    )

    (record,) = _read(path)

    assert dict(record.cells) == {"x": "1", "y": "a"}
    assert record.where.startswith(f"{path}/{name}:")


def test_parquet_in_a_zip_file_is_read(tmp_path):
    pq.write_table(pa.table({"x": [1, 2]}), tmp_path / "rows.parquet")
    path = _zip(tmp_path, {"rows.parquet": (tmp_path / "rows.parquet").read_bytes()})

    assert [record.cells for record in _read(path)] == [{"x": 1}, {"x": 2}]


def test_the_only_file_may_have_any_ending_where_the_format_is_set(tmp_path):
    path = _zip(tmp_path, {"iris.data": "x,y\n1,a\n"})

    assert _read(path, format="csv")[0].cells == {"x": "1", "y": "a"}
    with pytest.raises(HeadraceError, match=r"the format of .*rows.zip/iris.data cannot be told by its ending"):
        _read(path)


@pytest.mark.parametrize(
    ("files", "holds"),
    [
        ({}, "no files"),
        ({"train.csv": "x", "test.csv": "x"}, r"2 files \(train.csv, test.csv\)"),
        ({"labels.csv": "x", **{f"{number}.png": "" for number in range(7)}}, r"8 files \(7 .png, 1 .csv\)"),
        (
            {"pictures/": "", "pictures/a/1.jpg": "", "pictures/b/2.jpg": ""},
            r"2 files \(pictures/a/1.jpg, pictures/b/2",
        ),
    ],
)
def test_a_zip_file_without_exactly_one_table_is_refused_with_its_content(tmp_path, files, holds):
    with pytest.raises(DataError, match=f"rows.zip holds {holds}.*expected one table.*unpack it"):
        _read(_zip(tmp_path, files))


def test_a_damaged_zip_file_is_refused(tmp_path):
    path = _zip(tmp_path, {"rows.csv": "x,y\n" + "".join(f"{number},{number * 7919}\n" for number in range(9999))})
    valid_content = path.read_bytes()

    for content in (valid_content[:-100], valid_content[:2000] + b"\0" * 500 + valid_content[2500:], b"x,y\n1,2\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"rows.zip is not a whole zip file"):
            _read(path)


@pytest.mark.parametrize(
    ("local", "central", "bits", "message"),
    [
        (6, 8, 1, r"rows.zip: rows.csv is protected by a password; unpack it first"),
        (8, 10, 9, r"rows.zip is packed in a way that cannot be read here .*; unpack it first"),  # by Deflate64
    ],
)
def test_a_password_and_an_unknown_packing_are_named(tmp_path, local, central, bits, message):
    """Flags and compression method are in the header of a file and in the directory of the archive."""
    path = _zip(tmp_path, {"rows.csv": "x,y\n1,a\n"})
    content = bytearray(path.read_bytes())
    for begin, offset in ((b"PK\x03\x04", local), (b"PK\x01\x02", central)):
        content[content.index(begin) + offset] |= bits
    path.write_bytes(content)

    with pytest.raises(DataError, match=message):
        _read(path)


def test_a_name_that_cannot_be_printed_stays_on_one_line(tmp_path):
    with pytest.raises(DataError, match=r"holds 2 files \(a\\nb.csv, c.csv\)"):
        _read(_zip(tmp_path, {"a\nb.csv": "x", "c.csv": "x"}))


def test_a_zip_bomb_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_BYTES", 10**6)
    path = _zip(tmp_path, {"rows.csv": "x,y\n" + "0,0\n" * 500_000})

    with pytest.raises(DataError, match=r"bytes that unpack to 2,000,004, as a zip bomb's do"):
        _read(path)


@pytest.mark.parametrize(
    ("name", "is_gzip", "kind"),
    [
        ("rows.csv.gz", True, "csv"),
        ("ROWS.CSV.GZ", True, "csv"),
        ("rows.jsonl.Gz", True, "jsonl"),
        ("gz.csv", False, "csv"),
    ],
)
def test_a_gzip_file_is_recognised_by_its_ending_in_any_case(tmp_path, name, is_gzip, kind):
    path = tmp_path / name

    assert archives.is_gzip(path) == is_gzip
    assert formats.format_of(DataConfig(files=name), [path]) == kind
