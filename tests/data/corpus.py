"""Makes the corpus of bad files: `python -m tests.data.corpus FOLDER` writes a folder for each case.

A case is a few files and the `data` section that reads them: the rows of `rows()` with one fault.
"""

import bz2
import gzip
import io
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

FEATURES = {
    "age": {"kind": "number", "min": 0, "max": 130},
    "income": {"kind": "number", "optional": True},
    "plan": "text",
    "churned": {"kind": "label", "classes": ["no", "yes"]},
}
PICTURES = {"image": {"kind": "image", "height": 4, "width": 4, "channels": 1}}
COLUMNS = list(FEATURES)


@dataclass(frozen=True)
class Case:
    """One bad data set.

    Attributes:
        name: Its fault.
        write: Writes its files into a folder.
        data: The `data` section besides `features`.
    """

    name: str
    write: Callable[[Path], None]
    data: dict[str, Any] = field(default_factory=lambda: {"files": "rows.csv"})


def rows(count: int = 60) -> list[dict[str, Any]]:
    """Returns good rows, all different."""
    return [
        {"age": 20 + i % 60, "income": 1000.5 + i, "plan": f"plan {i}", "churned": ("no", "yes")[i % 2]}
        for i in range(count)
    ]


def csv_text(records: list[dict[str, Any]], columns: list[str] = COLUMNS, delimiter: str = ",") -> str:
    lines = [columns, *([str(row.get(name, "")) for name in columns] for row in records)]
    return "".join(delimiter.join(line) + "\n" for line in lines)


def changed(row: int, **cells: Any) -> list[dict[str, Any]]:
    """Returns the good rows with cells of one row changed; row 5 is in the file's line 6."""
    records = rows()
    records[row - 1] |= cells
    return records


def png(value: int, size: int = 4) -> bytes:
    file = io.BytesIO()
    Image.fromarray(np.full((size, size), value, np.uint8) + np.eye(size, dtype=np.uint8)).save(file, "PNG")
    return file.getvalue()


# --- writers ------------------------------------------------------------------------------------------------------


def _csv(text: str | bytes, name: str = "rows.csv") -> Callable[[Path], None]:
    content = text.encode() if isinstance(text, str) else text
    return lambda folder: (folder / name).write_bytes(content) and None


def _all(*writers: Callable[[Path], None]) -> Callable[[Path], None]:
    return lambda folder: [write(folder) for write in writers] and None


def _jsonl(records: list[Any], name: str = "rows.jsonl") -> Callable[[Path], None]:
    lines = [line if isinstance(line, str) else json.dumps(line) for line in records]
    return lambda folder: (folder / name).write_text("\n".join(lines) + "\n") and None


def _parquet(records: list[dict[str, Any]], spoil: Callable[[bytes], bytes] = bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        file = io.BytesIO()
        pq.write_table(pa.Table.from_pylist(records), file)
        (folder / "rows.parquet").write_bytes(spoil(file.getvalue()))

    return write


def _parquet_of_latin_1(folder: Path) -> None:
    table = pa.Table.from_pylist(changed(5, plan="plan 4"))
    texts = pa.array([f"pl\xe4n {i}".encode("latin-1" if i == 4 else "utf-8") for i in range(60)], pa.binary())
    table = table.set_column(2, "plan", texts.view(pa.string()))  # like a writer without validation
    pq.write_table(table, folder / "rows.parquet")


def _tfrecord(records: list[dict[str, Any]], spoil: Callable[[bytes], bytes] = bytes) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        import tensorflow as tf

        path = folder / "rows.tfrecord"
        with tf.io.TFRecordWriter(str(path)) as writer:
            for row in records:
                features = {}
                for name, value in row.items():
                    if isinstance(value, str):
                        features[name] = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value.encode()]))
                    else:
                        features[name] = tf.train.Feature(float_list=tf.train.FloatList(value=[value]))
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())
        path.write_bytes(spoil(path.read_bytes()))

    return write


def _pictures(bad: dict[str, bytes] | None = None, classes: tuple[str, ...] = ("cat", "dog")) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        for index, name in enumerate(classes):
            (folder / "photos" / name).mkdir(parents=True)
            for number in range(60):
                (folder / "photos" / name / f"{number:02d}.png").write_bytes(png(2 * (60 * index + number)))
        for name, content in (bad or {}).items():
            (folder / "photos" / name).write_bytes(content)

    return write


GOOD = csv_text(rows())
_CSV = {"files": "rows.csv"}
_PHOTOS = {"files": "photos", "features": PICTURES}

CASES = [
    # columns
    Case("column missing", _csv(csv_text(rows(), ["age", "income", "churned"]))),
    Case("column renamed", _csv(GOOD.replace("income", "incomes", 1))),
    Case("column extra", _csv(csv_text([{**row, "id": 7} for row in rows()], [*COLUMNS, "id"]))),
    Case("column twice", _csv(csv_text(rows(), [*COLUMNS, "age"]))),
    Case("column missing in the second file", _all(
        _csv(GOOD, "a.csv"), _csv(csv_text(rows(), COLUMNS[:3]), "b.csv")), {"files": "*.csv"}),
    Case("no header", _csv(GOOD.split("\n", 1)[1])),
    Case("other delimiter", _csv(csv_text(rows(), delimiter=";"))),
    # cells
    Case("word in a number", _csv(csv_text(changed(5, age="thirty")))),
    Case("decimal comma", _csv(csv_text(changed(5, income='"1,5"')))),
    Case("number with underscores", _csv(csv_text(changed(5, age="1_000")))),
    Case("number out of range", _csv(csv_text(changed(5, age=-1)))),
    Case("NaN", _csv(csv_text(changed(5, income="nan")))),
    Case("infinity", _csv(csv_text(changed(5, income="-inf")))),
    Case("number beyond float32", _csv(csv_text(changed(5, income="1e39")))),
    Case("number whose square float32 cannot hold", _csv(csv_text(changed(5, income="2e19")))),
    Case("accounts as numbers", _csv(csv_text([{**row, "income": 40000012345678 * 100 + i} for i, row in
                                               enumerate(rows())]))),
    Case("days as numbers", _csv(csv_text([{**row, "income": 20240101 + i % 28} for i, row in enumerate(rows())]))),
    Case("target far from zero", _csv(csv_text([{**row, "income": 1e9 + i / 8} for i, row in enumerate(rows())])),
         {**_CSV, "features": {**FEATURES, "income": "target"}}),
    Case("missing number", _csv(csv_text(changed(5, age="")))),
    Case("missing label", _csv(csv_text(changed(5, churned="")))),
    Case("unknown class", _csv(csv_text(changed(5, churned="yess")))),
    Case("many bad cells", _csv(csv_text([{**row, "age": "?", "churned": "maybe"} for row in rows()]))),
    Case("too many to drop", _csv(csv_text([{**row, "age": "?"} for row in rows()[:30]] + rows()[30:])),
         {**_CSV, "checks": {"invalid": {"policy": "drop"}}}),
    # rows and text
    Case("short row", _csv(GOOD.replace("24,1004.5,plan 4,no", "24,1004.5"))),
    Case("long row", _csv(GOOD.replace("24,1004.5,plan 4,no", "24,1004.5,plan 4,no,7"))),
    Case("quote not closed", _csv(GOOD.replace("plan 4,", '"plan 4,'))),
    Case("text after a quote", _csv(GOOD.replace("plan 4,", '"plan" 4,'))),
    Case("huge cell", _csv(GOOD.replace("plan 4,", "x" * 200_000 + ","))),
    Case("Latin-1", _csv(GOOD.replace("plan 4", "plän 4").encode("latin-1"))),
    Case("UTF-16", _csv(GOOD.encode("utf-16"))),
    Case("UTF-16 without a mark", _csv(GOOD.encode("utf-16-le"))),
    Case("empty file", _csv("")),
    Case("header only", _csv(",".join(COLUMNS) + "\n")),
    Case("one class only", _csv(csv_text([{**row, "churned": "no"} for row in rows()]))),
    Case("too few rows", _csv(csv_text(rows(3)))),
    Case("same rows in two files of splits", _all(_csv(GOOD, "a.csv"), _csv(GOOD, "b.csv")),
         {"files": {"train": "a.csv", "test": "b.csv"}}),
    Case("duplicate rows", _csv(csv_text(rows() * 2))),
    # compressed
    Case("gzip cut off", _csv(gzip.compress(GOOD.encode())[:-200], "rows.csv.gz"), {"files": "rows.csv.gz"}),
    Case("gzip corrupt", _csv(gzip.compress(GOOD.encode())[:100] + b"\0" * 300, "rows.csv.gz"),
         {"files": "rows.csv.gz"}),
    Case("gz that is bzip2", _csv(bz2.compress(GOOD.encode()), "rows.csv.gz"), {"files": "rows.csv.gz"}),
    # JSON Lines
    Case("no JSON", _jsonl([*rows()[:4], '{"age": 3,', *rows()[5:]]), {"files": "rows.jsonl"}),
    Case("JSON list", _jsonl([*rows()[:4], [1, 2], *rows()[5:]]), {"files": "rows.jsonl"}),
    Case("JSON text for a number", _jsonl(changed(5, age="25 years")), {"files": "rows.jsonl"}),
    Case("JSON true for a number", _jsonl(changed(5, age=True)), {"files": "rows.jsonl"}),
    Case("JSON NaN", _jsonl(changed(5, age=float("nan"))), {"files": "rows.jsonl"}),
    Case("JSON key renamed in one row", _jsonl([*rows()[:4], {**rows()[4], "incme": 3}, *rows()[5:]]),
         {"files": "rows.jsonl"}),
    Case("JSON null label", _jsonl(changed(5, churned=None)), {"files": "rows.jsonl"}),
    Case("JSON with half of a surrogate pair", _jsonl(changed(5, plan="cut off \ud83d")), {"files": "rows.jsonl"}),
    Case("JSON with half of a surrogate pair in a name", _jsonl([*rows()[:4], {**rows()[4], "\ud83d": 3}, *rows()[5:]]),
         {"files": "rows.jsonl"}),
    Case("JSON with half of a surrogate pair in all names", _jsonl([{**row, "\ud83d": 3} for row in rows()]),
         {"files": "rows.jsonl"}),
    # Parquet
    Case("Parquet text that is not UTF-8", _parquet_of_latin_1, {"files": "rows.parquet"}),
    Case("Parquet cut off", _parquet(rows(), lambda content: content[:-20]), {"files": "rows.parquet"}),
    Case("Parquet of no rows", lambda folder: pq.write_table(
        pa.Table.from_pylist(rows()).slice(0, 0), folder / "rows.parquet"), {"files": "rows.parquet"}),
    Case("Parquet column of text", _parquet([{**row, "age": f"{row['age']} years"} for row in rows(10)]),
         {"files": "rows.parquet"}),
    Case("Parquet nulls", _parquet(changed(5, age=None, churned=None)), {"files": "rows.parquet"}),
    # TFRecord
    Case("TFRecord cut off", _tfrecord(rows(), lambda content: content[:-20]), {"files": "rows.tfrecord"}),
    Case("TFRecord corrupt", _tfrecord(rows(), lambda content: content[:500] + b"\xff" * 8 + content[508:]),
         {"files": "rows.tfrecord"}),
    Case("TFRecord empty", _csv("", "rows.tfrecord"), {"files": "rows.tfrecord"}),
    Case("TFRecord without a feature", _tfrecord([
        {name: value for name, value in row.items() if index != 4 or name != "age"}
        for index, row in enumerate(rows())]), {"files": "rows.tfrecord"}),
    # images
    Case("image cut off", _pictures({"cat/00.png": png(9, 64)[:80]}), _PHOTOS),
    Case("image of zero bytes", _pictures({"dog/00.png": b""}), _PHOTOS),
    Case("text among the images", _pictures({"dog/notes": b"remember the milk"}), _PHOTOS),
    Case("image of 32 bits a channel", _all(_pictures(), lambda folder: Image.fromarray(
        np.full((4, 4), 0.5, np.float32)).save(folder / "photos" / "cat" / "00.tif")), _PHOTOS),
    Case("one class of images only", _pictures(classes=("cat",)), _PHOTOS),
    Case("class without images", _all(_pictures(), lambda folder: (folder / "photos" / "fox").mkdir()), _PHOTOS),
    Case("empty folder", lambda folder: (folder / "photos").mkdir(), _PHOTOS),
    Case("the same image in two classes", _pictures({"cat/99.png": png(2 * 60)}), {
        **_PHOTOS, "checks": {"duplicates": {"max_rate": 0}}}),
    Case("path of an image that is not there", _all(_pictures(), _csv(csv_text(
        [{"image": f"photos/cat/{'x' * (i == 4)}{i:02d}.png", "label": i % 2} for i in range(60)],
        ["image", "label"]))),
        {**_CSV, "features": {**PICTURES, "label": {"kind": "label", "classes": ["0", "1"]}}}),
]  # fmt: skip


def write(case: Case, folder: Path) -> dict[str, Any]:
    """Writes a case's files and returns its `data` section."""
    folder.mkdir(parents=True)
    case.write(folder)
    return {"features": FEATURES, **case.data}


def main() -> None:
    for case in CASES:
        write(case, Path(sys.argv[1]) / case.name.replace(" ", "_"))


if __name__ == "__main__":
    main()
