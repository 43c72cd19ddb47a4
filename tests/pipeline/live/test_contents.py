"""Rows of a block become examples at once, each as if it were read alone, in order. Loads no TensorFlow."""

import json
import random
import re
from pathlib import Path

import pytest

from data.columnar.columns import of_rows, read_options, to_row
from data.columnar.encoding import encode
from data.config import DataConfig
from data.kinds.cell import ReadOptions
from data.sources import blocks
from data.sources.tables import formats, jsonl_blocks
from data.spec import BadRow, BooleanFeature, CategoryFeature, DatasetSpec, DateFeature, NumberFeature
from pipeline.live import contents
from pipeline.live.batches import location

SPEC = DatasetSpec(
    name="a",
    title="",
    licence="",
    features={
        "size": NumberFeature(max=50),
        "gaps": NumberFeature(optional=True),
        "place": CategoryFeature(optional=True),
        "day": DateFeature(optional=True),
        "flag": BooleanFeature(optional=True),
    },
)
NAMES = (*SPEC.features, "unused")
CONFIG = DataConfig(files="x")
TEXTS = ["", "NA", "1", "1.0", " 2 ", "99", "x", "yes", "no", "2026-11-29", "süd", "1e3"]
VALUES = [None, 1, 1.0, 2.5, 99, True, "x", "", "NA", float("nan"), "2026-11-29", "süd", "yes", [1]]
GOOD = {"size": "7", "gaps": "2.5", "place": "süd", "day": "2026-11-29", "flag": "yes", "unused": "x"}


def csv(path: Path, choose: random.Random) -> str:
    lines = [",".join(NAMES)]
    for _ in range(60):
        cells = [GOOD[name] if choose.random() < 0.8 else choose.choice(TEXTS) for name in NAMES]
        lines.append(choose.choice([",".join(cells)] * 5 + ["", ",".join(cells[1:]), '"' + '\n",'.join(cells)]))
    path.write_text("\n".join(lines) + "\n")
    return "csv"


def jsonl(path: Path, choose: random.Random) -> str:
    def value():
        odd = {name: choose.choice(VALUES) for name in NAMES if choose.random() < 0.2}
        cells = GOOD | {"size": 7, "gaps": 2.5} | odd
        return choose.choice([cells] * 5 + [{name: cells[name] for name in odd}, [1], 5])

    values = [value() for _ in range(60)]
    in_one_line = choose.random() < 0.3 and isinstance(values[0], dict)
    path.write_text(json.dumps(values) if in_one_line else "\n".join(map(json.dumps, values)))
    return "jsonl"


@pytest.mark.parametrize("write", [csv, jsonl])
def test_rows_of_a_block_equal_rows_read_singly(tmp_path, monkeypatch, write):
    monkeypatch.setattr(blocks, "MAX_CELLS", 150)  # some rows are cut into several blocks
    choose, path, usable, refused = random.Random(0), tmp_path / "rows", 0, 0
    for _ in range(20):
        kind = write(path, choose)
        how = read_options(kind, CONFIG, tmp_path)

        examples, before = [], 0
        for block in _blocks(path, kind, choose.choice([500, 2**22])):
            for batch in contents.example_batches(block, SPEC, how, column=None, file="f", before=before):
                rows = batch.keys.column("row").to_pylist()
                errors = [error and _as_integer(error) for error in batch.errors.to_pylist()]
                examples += zip(rows, batch.contents.to_pylist(), errors, strict=True)
            before += len(block) + len(block.problems)

        assert examples == _read_singly(path, kind, how)
        usable += sum(not error for *_, error in examples)
        refused += sum(bool(error) for *_, error in examples)
    assert min(usable, refused) > 100


def _blocks(path: Path, kind: str, size: int):
    return jsonl_blocks.read(path, size) if kind == "jsonl" else formats.blocks(path, kind, CONFIG)


def _read_singly(path: Path, kind: str, how: ReadOptions) -> list[tuple[int, bytes | None, str | None]]:
    """Returns the number, the content and the error of each row, read one at a time."""
    examples = []
    for number, record in enumerate(formats.records(path, kind, CONFIG), start=1):
        row = to_row(record, SPEC, how, unused=record.cells)
        if isinstance(row, BadRow):
            where = f"{location({'file': 'f', 'row': number}, record.number)}{', ' if row.problems[0].column else ': '}"
            reasons = [
                f"{problem.column}: expected {problem.expected}, found {problem.found}" for problem in row.problems[:3]
            ]
            examples.append((number, None, _as_integer(where + "; ".join(reasons).removeprefix(": "))))
        else:
            examples.append((number, encode(of_rows([row], SPEC), list(SPEC.features))[0].as_py(), None))
    return examples


def _as_integer(error: str) -> str:
    """Returns an error with 1 for 1.0: in a block a whole number has the type of its column, which may be float."""
    return re.sub(r"found (\d+)\.0\b", r"found \1", error)


def test_json_values_that_are_no_objects_are_errors_in_their_row(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('[{"size": 1}, 5, {"size": 2}, [], {"size": "x"}, {"size": 3}]')
    (block,) = formats.blocks(path, "jsonl", CONFIG)

    (batch,) = contents.example_batches(block, SPEC, ReadOptions(), column=None, file="a.json", before=10)

    assert batch.keys.column("row").to_pylist() == [11, 12, 13, 14, 15, 16]
    assert [content is not None for content in batch.contents.to_pylist()] == [True, False, True, False, False, True]
    assert [error and error.partition("expected ")[2] for error in batch.errors.to_pylist()] == [
        None, "a JSON object, found int", None, "a JSON object, found list", "a number, found 'x'", None
    ]  # fmt: skip


def test_pictures_are_decoded_in_small_batches(tmp_path, folder):
    from tests.pipeline.live.made_up_reader import FEATURES, picture, write

    spec = DatasetSpec(name="m", title="", licence="", features={"photo": FEATURES["image"]["photo"]})
    good = picture("a.png").read_bytes()
    path = write("list.csv", "photo,note\n" + "a.png,x\nb.png,x\na.png\n" * 7)
    (block,) = formats.blocks(path, "csv", CONFIG)

    batches = list(
        contents.example_batches(block, spec, read_options("csv", CONFIG, folder), column="photo", file="l", before=0)
    )

    assert [len(batch) for batch in batches] == [8, 8, 5]
    assert [row for batch in batches for row in batch.keys.column("row").to_pylist()] == list(range(1, 22))
    assert [content for batch in batches for content in batch.contents.to_pylist()] == [good, None, None] * 7
    errors = [error for batch in batches for error in batch.errors.to_pylist()]
    assert errors[18:] == [
        None,
        "l row 20 (line 21), photo: expected a PNG, JPEG, TIFF, WebP, BMP or GIF image, found no file 'b.png'",
        "l row 21 (line 22): expected 2 cells, found 1",
    ]


def test_a_block_of_problems_only_has_their_errors(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("5\n6\n")
    (block,) = formats.blocks(path, "jsonl", CONFIG)

    (batch,) = contents.example_batches(block, SPEC, ReadOptions(), column=None, file="a.jsonl", before=0)

    assert (batch.contents.null_count, batch.errors.null_count) == (2, 0)
