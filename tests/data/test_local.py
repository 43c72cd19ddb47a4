"""Files as data: every bad file of the corpus is refused in a few lines; good files are read in every format."""

import gzip
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import local
from data.config import DataConfig
from data.errors import DataError, HeadraceError
from data.spec import SPLITS
from tests.data import corpus
from tests.data.corpus import COLUMNS, FEATURES, PICTURES, csv_text, png, rows
from tests.data.keeping import kept

FIFTHS = {"validation": 0.2, "test": 0.2}  # a tenth of few rows may be a single row


def _read(settings: dict, folder) -> tuple[dict[str, list], list[str]]:
    """Returns the rows of each split that pass all checks, and the notes."""
    config = DataConfig.model_validate(settings)
    return kept(local.dataset(config, "customers", folder), config)


def _joined(splits: dict[str, list]) -> list[dict]:
    """Returns the rows of all splits."""
    return [row for split in SPLITS for row in splits[split]]


def _everything(splits: dict[str, list]) -> list[tuple]:
    """Returns the rows of all splits in one order."""
    return sorted(tuple(sorted(row.items())) for row in _joined(splits))


def test_every_bad_file_of_the_corpus_is_refused_in_at_most_ten_lines(tmp_path, golden):
    messages = []
    for case in corpus.CASES:
        folder = tmp_path / case.name.replace(" ", "_")
        settings = corpus.write(case, folder)

        with pytest.raises(HeadraceError) as caught:
            pytest.fail(f"{case.name} was accepted: {_read(settings, folder)}")

        message = str(caught.value).replace(f"{folder}/", "").replace(str(folder), "FOLDER")
        assert len(message.splitlines()) <= 10, message
        assert max(map(len, message.splitlines())) < 300, message
        messages.append(f"# {case.name}: exit {caught.value.exit_code}\n{message}\n")

    assert len(messages) >= 30
    golden("bad_files.txt", "\n".join(messages))


@pytest.fixture
def expected(tmp_path) -> list[tuple]:
    (tmp_path / "plain.csv").write_text(csv_text(rows()))
    splits, notes = _read({"files": "plain.csv", "features": FEATURES}, tmp_path)
    assert notes == []
    return _everything(splits)


def test_csv_rows_become_numbers_text_and_classes(expected):
    first = {"age": 20.0, "income": 1000.5, "plan": "plan 0", "churned": 0}

    assert tuple(sorted(first.items())) in expected
    assert len(expected) == 60


@pytest.mark.parametrize(
    ("name", "write", "settings"),
    [
        ("rows.csv", lambda path: path.write_text(csv_text(rows(), COLUMNS[::-1])), {}),
        ("rows.csv", lambda path: path.write_bytes(b"\xef\xbb\xbf" + csv_text(rows()).encode()), {}),
        ("rows.csv", lambda path: path.write_text(csv_text(rows()).replace("\n", "\r\n")), {}),
        ("rows.csv", lambda path: path.write_text(csv_text(rows(), delimiter=";")), {"delimiter": ";"}),
        ("rows.tsv", lambda path: path.write_text(csv_text(rows(), delimiter="\t")), {}),
        ("rows.csv.gz", lambda path: path.write_bytes(gzip.compress(csv_text(rows()).encode())), {}),
        ("rows.csv", lambda path: path.write_text(csv_text([{**r, "id": 1} for r in rows()], [*COLUMNS, "id"])),
         {"ignore": ["id"]}),
        ("rows.jsonl", lambda path: path.write_text("\n\n".join(map(json.dumps, rows()))), {}),
        ("rows.parquet", lambda path: pq.write_table(pa.Table.from_pylist(rows()), path), {}),
        ("rows.tfrecord", lambda path: corpus._tfrecord(rows())(path.parent), {}),
    ],
    ids=["reordered", "BOM", "CRLF", "semicolons", "tabs", "gzip", "ignored", "jsonl", "parquet", "tfrecord"],
)  # fmt: skip
def test_the_same_rows_are_read_from_every_format(tmp_path, expected, name, write, settings):
    write(tmp_path / name)

    splits, _ = _read({"files": name, "features": FEATURES, "splits": FIFTHS, **settings}, tmp_path)

    assert _everything(splits) == expected


def test_several_files_are_one_data_set(tmp_path, expected):
    (tmp_path / "part-1.csv").write_text(csv_text(rows()[:20]))
    (tmp_path / "part-2.csv").write_text(csv_text(rows()[20:]))

    splits, _ = _read({"files": "part-*.csv", "features": FEATURES}, tmp_path)

    assert _everything(splits) == expected


def test_splits_have_their_shares_and_hold_each_row_once(tmp_path):
    (tmp_path / "rows.csv").write_text(csv_text(rows(1000)))

    splits, _ = _read({"files": "rows.csv", "features": FEATURES, "splits": {"validation": 0.1, "test": 0.2}}, tmp_path)

    assert len({row["plan"] for row in _joined(splits)}) == 1000
    assert 60 < len(splits["validation"]) < 140
    assert 150 < len(splits["test"]) < 250


def test_a_split_with_its_own_file_is_that_file(tmp_path):
    (tmp_path / "a.csv").write_text(csv_text(rows(100)))
    (tmp_path / "b.csv").write_text(csv_text(rows(110)[100:]))

    splits, _ = _read({"files": {"train": "a.csv", "test": "b.csv"}, "features": FEATURES}, tmp_path)

    assert [row["plan"] for row in splits["test"]] == [f"plan {i}" for i in range(100, 110)]
    assert len(splits["train"]) + len(splits["validation"]) == 100


def test_the_training_row_of_two_equal_rows_is_dropped(tmp_path):
    for name, part in (("a", rows(100)), ("b", rows(60)[50:]), ("c", rows(110)[100:])):
        (tmp_path / f"{name}.csv").write_text(csv_text(part))
    files = {"train": "a.csv", "validation": "b.csv", "test": "c.csv"}
    checks = {"leakage": {"policy": "drop"}}

    splits, (note,) = _read({"files": files, "features": FEATURES, "checks": checks}, tmp_path)

    assert {split: len(kept_rows) for split, kept_rows in splits.items()} == {"train": 90, "validation": 10, "test": 10}
    assert note.startswith("10 of 100 rows of split train are in another split too")


def test_split_by_keeps_equal_values_together(tmp_path):
    (tmp_path / "rows.csv").write_text(
        csv_text([{**row, "customer": i // 10} for i, row in enumerate(rows(1000))], [*COLUMNS, "customer"])
    )

    splits, _ = _read({"files": "rows.csv", "features": FEATURES, "split_by": "customer"}, tmp_path)

    customers = {split: {int(row["plan"].split()[1]) // 10 for row in splits[split]} for split in SPLITS}
    assert not customers["train"] & customers["test"]
    assert not customers["train"] & customers["validation"]
    assert len(set().union(*customers.values())) == 100
    # Rows of one group in the splits are one group in the intervals of a comparison.
    assert {(row.group, int(row["plan"].split()[1]) // 10) for row in _joined(splits)} == {
        (str(i), i) for i in range(100)
    }


def _splits_of(folder, rows, columns, settings) -> dict[str, str]:
    """Returns the split of each row by its `plan`, which is another in every row."""
    (folder / "rows.csv").write_text(csv_text(rows, columns))
    splits, _ = _read({"files": "rows.csv", "features": FEATURES, **settings}, folder)
    return {row["plan"]: split for split in SPLITS for row in splits[split]}


def _without(*names: str) -> dict:
    return {name: feature for name, feature in FEATURES.items() if name not in names}


def test_ignoring_a_column_moves_no_row_to_another_split(tmp_path):
    before = _splits_of(tmp_path, rows(300), COLUMNS, {})

    after = _splits_of(tmp_path, rows(300), COLUMNS, {"features": _without("age"), "ignore": ["age"]})

    assert after == before


@pytest.mark.parametrize("role", ["id", "group"])
def test_a_row_keeps_the_split_of_its_id_or_group_when_other_cells_change(tmp_path, role):
    columns = [*COLUMNS, "key"]
    settings = {"roles": {role: "key"}}
    keyed = [{**row, "key": number} for number, row in enumerate(rows(300))]

    before = _splits_of(tmp_path, keyed, columns, settings)
    after = _splits_of(tmp_path, [{**row, "age": row["age"] + 1} for row in keyed], columns, settings)

    assert after == before
    assert after != _splits_of(tmp_path, keyed, columns, {"ignore": ["key"]})


def test_rows_without_a_group_are_groups_of_their_own(tmp_path):
    columns = [*COLUMNS, "customer"]
    table = [{**row, "customer": "" if i % 2 else "one"} for i, row in enumerate(rows(400))]
    (tmp_path / "rows.csv").write_text(csv_text(table, columns))

    settings = {"files": "rows.csv", "features": FEATURES, "roles": {"group": "customer"}}
    splits, _ = _read({**settings, "checks": {"min_classes": 1}}, tmp_path)

    alone = {split: [row for row in splits[split] if row.group is None] for split in SPLITS}
    assert sum(map(len, alone.values())) == 200
    assert min(map(len, alone.values())) > 5
    assert len({split for split in SPLITS for row in splits[split] if row.group}) == 1


def test_equal_inputs_that_differ_in_an_ignored_column_count_as_duplicates(tmp_path):
    copies = [{**row, "key": number} for number in range(3) for row in rows(300)]
    (tmp_path / "rows.csv").write_text(csv_text([{**row, "key": f"{row['key']}"} for row in copies], [*COLUMNS, "key"]))
    settings = {"files": "rows.csv", "features": FEATURES, "ignore": ["key"]}

    with pytest.raises(HeadraceError, match="of split train are duplicates"):
        _read(settings, tmp_path)
    splits, notes = _read({**settings, "checks": {"duplicates": {"policy": "drop"}}}, tmp_path)

    assert len(_joined(splits)) == 300
    assert any("of split train are in another split too" in note for note in notes)
    with pytest.raises(HeadraceError, match="are in another split too"):
        _read({**settings, "checks": {"duplicates": {"policy": "drop"}, "leakage": {"policy": "stop"}}}, tmp_path)


def test_dropped_rows_are_counted_by_file_and_row(tmp_path):
    bad = corpus.changed(5, age="thirty")
    (tmp_path / "rows.csv").write_text(csv_text(bad))

    splits, (note,) = _read(
        {"files": "rows.csv", "features": FEATURES, "checks": {"invalid": {"policy": "drop", "max_rate": 0.5}}},
        tmp_path,
    )

    assert len(_everything(splits)) == 59
    assert note.startswith("1 of ")
    assert note.endswith("rows.csv:6:age: expected a number, found 'thirty'), dropped")


def test_an_optional_cell_may_be_missing(tmp_path):
    (tmp_path / "rows.csv").write_text(csv_text(corpus.changed(5, income="NA")))

    splits, _ = _read({"files": "rows.csv", "features": FEATURES, "missing_values": ["", "NA"]}, tmp_path)

    assert [row["plan"] for row in _joined(splits) if "income" not in row] == ["plan 4"]


SPACED = {
    "colour": {"kind": "category", "values": ["red", "blue"], "optional": True},
    "shape": "category",
    "note": "text",
    "fate": {"kind": "label", "classes": ["left", "stayed"]},
}


@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_spaces_are_stripped_from_categories_and_classes_but_not_from_texts(tmp_path, form):
    lines = [(" red ", "round ", f" note {i} ", " left") for i in range(30)]
    lines += [("blue", " round", f"{i}", "stayed\t") for i in range(30)]
    if form == "csv":
        text = "\n".join([",".join(SPACED), *(",".join(line) for line in [(" ", "round", "c", "left"), *lines])])
    else:
        text = "\n".join(json.dumps(dict(zip(SPACED, line, strict=True))) for line in lines)
    (tmp_path / f"rows.{form}").write_text(text)
    settings = {
        "files": f"rows.{form}",
        "features": SPACED,
        "splits": FIFTHS,
        "checks": {"min_classes": 1},
    }

    read_rows = _joined(_read(settings, tmp_path)[0])

    values_by_note = {row["note"]: (row["colour"], row["shape"], row["fate"]) for row in read_rows if "colour" in row}
    assert values_by_note == {
        **{f" note {i} ": ("red", "round", 0) for i in range(30)},
        **{f"{i}": ("blue", "round", 1) for i in range(30)},
    }
    assert [row["note"] for row in read_rows if "colour" not in row] == ["c"] * (form == "csv")


def test_a_class_that_is_named_with_spaces_keeps_them(tmp_path):
    features = {"x": "number", "fate": {"kind": "label", "classes": ["left", " left"]}}
    (tmp_path / "rows.csv").write_text("x,fate\n" + "\n".join(f"{i},{' ' * (i % 2)}left" for i in range(60)))

    read_rows = _joined(
        _read({"files": "rows.csv", "features": features, "splits": FIFTHS, "checks": {"min_classes": 1}}, tmp_path)[0]
    )

    assert {(row["x"] % 2, row["fate"]) for row in read_rows} == {(0, 0), (1, 1)}


@pytest.mark.parametrize(
    ("feature", "cell", "kept"),
    [
        ("number", "1.8e19", True),  # nanoseconds since 1970 are 1.7e18
        ("number", "-1.9e19", False),
        ("target", "1e15", True),
        ("target", "1e30", False),
        ({"kind": "date", "format": "unix"}, "1e17", True),
        ({"kind": "date", "format": "unix"}, "1e30", False),
    ],
)
def test_a_number_whose_square_overflows_is_reported_before_training(tmp_path, feature, cell, kept):
    cells = [str(i) for i in range(60)]
    cells[4] = cell
    (tmp_path / "rows.csv").write_text("x,y,z\n" + "\n".join(f"{x},{i},{i}" for i, x in enumerate(cells)))
    settings = {"files": "rows.csv", "features": {"x": feature, "y": "number", "z": "number"}}

    if kept:
        assert len(_joined(_read(settings, tmp_path)[0])) == 60
    else:
        with pytest.raises(DataError, match=rf"1 of 60 rows cannot be used.*\n.*rows\.csv:6:x: expected .*'{cell}'"):
            _read(settings, tmp_path)


def test_an_image_folder_is_read_with_its_folders_as_classes(tmp_path):
    corpus._pictures()(tmp_path)
    (tmp_path / "photos" / ".DS_Store").write_bytes(b"x")

    config = DataConfig.model_validate({"files": "photos", "features": PICTURES})
    dataset = local.dataset(config, "pets", tmp_path)
    splits, _ = _read(config.model_dump(), tmp_path)

    assert dataset.spec.features["label"].classes == ("cat", "dog")
    all_rows = _joined(splits)
    assert sorted(row["label"] for row in all_rows) == [0] * 60 + [1] * 60
    assert all(row["image"].shape == (4, 4, 1) and row["image"].dtype == np.uint8 for row in all_rows)


def test_paths_of_images_in_a_table_are_relative_to_it(tmp_path):
    folder = tmp_path / "elsewhere"
    (folder / "photos").mkdir(parents=True)
    for i in range(30):
        (folder / "photos" / f"{i}.png").write_bytes(png(7 * i))
    table = [{"image": f"photos/{i}.png", "label": i % 2} for i in range(30)]
    (folder / "rows.csv").write_text(csv_text(table, ["image", "label"]))
    features = {**PICTURES, "label": {"kind": "label", "classes": ["0", "1"]}}

    settings = {"files": "elsewhere/rows.csv", "features": features, "splits": FIFTHS, "checks": {"min_classes": 1}}
    splits, _ = _read(settings, tmp_path)

    assert sorted(int(row["image"][0, 1, 0]) for row in _joined(splits)) == [7 * i for i in range(30)]


def test_equal_pictures_with_two_names_are_in_one_split(tmp_path):
    (tmp_path / "photos").mkdir()
    for i in range(40):
        for name in ("a", "b"):
            (tmp_path / "photos" / f"{name}{i}.png").write_bytes(png(6 * i))
    table = [{"image": f"photos/{name}{i}.png", "label": i % 2} for name in ("a", "b") for i in range(40)]
    (tmp_path / "rows.csv").write_text(csv_text(table, ["image", "label"]))
    features = {**PICTURES, "label": {"kind": "label", "classes": ["0", "1"]}}
    settings = {"files": "rows.csv", "features": features, "splits": FIFTHS}

    splits, _ = _read({**settings, "checks": {"min_classes": 1, "duplicates": {"policy": "warn"}}}, tmp_path)

    shades = {split: {int(row["image"][0, 1, 0]) for row in splits[split]} for split in SPLITS}
    assert sum(map(len, shades.values())) == 40
    assert sum(map(len, splits.values())) == 80
