"""Files as data: which files are read, which settings are refused, what is inferred from a table and its label."""

import json
import math
import os
from collections import defaultdict
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from data import local
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.files import file_cache
from data.loading import open_batches, open_rows
from data.sources.tables import delimited_blocks, jsonl_blocks
from data.spec import SPLITS
from tests.data.corpus import FEATURES, csv_text, png, rows


def test_the_digest_follows_the_content_and_not_the_folder(tmp_path):
    digests = []
    for folder, count in (("a", 20), ("b", 20), ("c", 21)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "rows.csv").write_text(csv_text(rows(count)))
        config = DataConfig.model_validate({"files": "rows.csv", "features": FEATURES})
        digests.append(local.dataset(config, "customers", tmp_path / folder).digest())

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"files": "rows.cvs"}, r"data.files: there is no file .*rows.cvs; paths start at the run file"),
        ({"files": "rows.csv", "features": {}}, "data.features is missing; name the columns"),
        (
            {"files": "rows.csv", "features": {**FEATURES, "churned": "label"}},
            r"data.features.churned.classes is missing; its first rows have no, yes\.",
        ),
        ({"files": ["rows.csv", "x.bin"]}, r"the format of .*x.bin cannot be told by its ending; set data.format"),
        ({"files": ["rows.csv", "x.jsonl"]}, "expected files of one format, found csv and jsonl"),
        ({"files": "photos"}, "a folder of classes has image or text, and label; set"),
    ],
)
def test_settings_that_describe_no_data_set_are_refused(tmp_path, settings, message):
    (tmp_path / "rows.csv").write_text(csv_text(rows()))
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name).mkdir(parents=True)
    for name in ("x.bin", "x.jsonl"):
        (tmp_path / name).write_text("{}")

    with pytest.raises(ConfigError, match=message):
        local.dataset(DataConfig.model_validate({"features": FEATURES, **settings}), "customers", tmp_path)


def test_features_are_inferred_where_only_the_label_is_named(tmp_path):
    lines = [
        f"{i},{'NA' if i % 9 == 0 else i / 3},{'red' if i % 2 else 'blue'},{'left' if i % 3 else 'stayed'}"
        for i in range(90)
    ]
    (tmp_path / "rows.csv").write_text("id,how much,colour,fate\n" + "\n".join(lines))

    config = DataConfig(files="rows.csv", label="fate")
    dataset = local.dataset(config, "rows", tmp_path)
    rows = [row for _, row in open_rows(dataset, config)]

    kinds = {name: feature.kind for name, feature in dataset.spec.features.items()}
    assert kinds == {"how much": "number", "colour": "category", "fate": "label"}
    assert len(rows) == 90
    assert sum("how much" in row for row in rows) == 80
    with pytest.raises(ConfigError, match=r"data\.label: no column 'fat'; did you mean 'fate'\?"):
        local.dataset(DataConfig(files="rows.csv", label="fat"), "rows", tmp_path)


def test_inferred_settings_read_the_same_rows_when_they_are_set(tmp_path):
    lines = [f"{i},5;{'n/a' if i % 9 == 0 else f'{i}.250,75'};{'no' if i % 3 else 'yes'}" for i in range(1, 90)]
    (tmp_path / "rows.csv").write_text("\n".join(["size;price;sold", *lines]))
    config = DataConfig(files="rows.csv", label="sold", delimiter=";")
    dataset = local.dataset(config, "rows", tmp_path)

    settings = DataConfig.model_validate_json(dataset.read_by(config).model_dump_json())
    data_set = local.dataset(settings, "rows", tmp_path)

    assert (settings.decimal, settings.thousands, settings.missing_values) == (",", ".", ("", "n/a"))
    assert settings.features == dataset.spec.features
    assert list(open_rows(data_set, settings)) == list(open_rows(dataset, config))


def test_inferred_settings_are_cached_for_the_same_file_and_the_same_code(tmp_path, monkeypatch):
    """After an upgrade the settings that the previous release inferred must not be used."""
    (tmp_path / "rows.csv").write_text("size,fate\n" + "\n".join(f"{i / 3},{'ab'[i % 2]}" for i in range(40)))
    os.utime(tmp_path / "rows.csv", (1, 1))
    calls, infer = [], local._infer
    monkeypatch.setattr(local, "_infer", lambda *given: calls.append(1) or infer(*given))
    config = DataConfig(files="rows.csv", label="fate")

    for release in ("1", "1", "2"):
        monkeypatch.setattr(file_cache, "_code", lambda release=release: release)
        local.dataset(config, "rows", tmp_path)

    assert len(calls) == 2


def test_a_file_that_two_patterns_name_is_read_once(tmp_path):
    rows = "".join(f"{i / 7},{'ab'[i % 2]}\n" for i in range(30))
    (tmp_path / "part-1.csv").write_text(f"x,y\n{rows}")
    (tmp_path / "latest.csv").symlink_to("part-1.csv")
    features = {"x": {"kind": "number"}, "y": {"kind": "label", "classes": ["a", "b"]}}
    config = DataConfig.model_validate({"files": ["part*.csv", "*1.csv", "latest.csv"], "features": features})

    dataset = local.dataset(config, "rows", tmp_path)

    assert sum(1 for _ in open_rows(dataset, config)) == 30


def _tables(folder: Path) -> dict:
    """Writes a table of 30 rows in three files, and returns settings that read it."""
    for name, numbers in (("2023/1", range(10)), ("2023/2", range(10, 20)), ("2024/3", range(20, 30))):
        path = folder / "rows" / f"year={name}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"x": [i / 7 for i in numbers], "y": ["ab"[i % 2] for i in numbers]}), path)
    return {"features": {"x": "number", "y": {"kind": "label", "classes": ["a", "b"]}}, "ignore": ["year"]}


@pytest.mark.parametrize(
    "files",
    [
        ["rows", "rows/*/1.parquet"],
        "rows/**",
        "rows*/**/*",
        ["rows/year=2024", "rows", "rows/year=2024/3.parquet"],
        {"train": ["rows/year=2023/2.parquet", "rows"]},
    ],
    ids=str,
)
def test_a_folder_and_a_file_in_it_are_read_once(tmp_path, files):
    settings = {"files": "rows", **_tables(tmp_path)}
    folder_only, config = (DataConfig.model_validate({**settings, "files": config_}) for config_ in ("rows", files))

    readings = [list(open_rows(local.dataset(config_, "rows", tmp_path), config_)) for config_ in (folder_only, config)]

    assert len(readings[1]) == 30
    assert sorted(row["x"] for _, row in readings[1]) == sorted(row["x"] for _, row in readings[0])


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {"train": "rows", "test": "rows/year=2023/1.parquet"},
            "year=2023/1.parquet, of test, lies in .*rows, of train",
        ),
        ({"train": "rows/*/1.*", "test": "rows"}, "year=2023/1.parquet, of train, lies in .*rows, of test"),
        ({"train": "photos", "test": "photos/held out"}, "photos/held out, of test, lies in .*photos, of train"),
    ],
    ids=str,
)
def test_a_file_of_two_splits_is_refused(tmp_path, files, message):
    settings = _tables(tmp_path)
    for class_folder in ("cat", "dog", "held out/cat", "held out/dog"):
        (tmp_path / "photos" / class_folder).mkdir(parents=True)
        (tmp_path / "photos" / class_folder / "1.png").write_bytes(png(len(class_folder)))
    if "photos" in str(files):
        settings = {"features": {"image": {"kind": "image", "height": 4, "width": 4, "channels": 1}}}

    with pytest.raises(ConfigError, match=f"data.files: .*{message}, and would be read twice; name each"):
        local.dataset(DataConfig.model_validate({"files": files, **settings}), "rows", tmp_path)


def test_numbers_of_files_are_read_in_the_notation_of_the_settings(tmp_path):
    lines = [f"{i}.234,5 \u20ac;{i},0 %;{('no', 'yes')[i % 2]}" for i in range(1, 10)]
    (tmp_path / "rows.csv").write_text("\n".join(["price;share;sold", *lines]))
    features = {
        "price": {"kind": "number", "unit": "\u20ac"},
        "share": {"kind": "number", "unit": "%"},
        "sold": {"kind": "label", "classes": ["no", "yes"]},
    }
    config = DataConfig.model_validate(
        {"files": "rows.csv", "delimiter": ";", "decimal": ",", "thousands": ".", "features": features}
    )

    rows = [row for _, row in open_rows(local.dataset(config, "sales", tmp_path), config)]

    assert sorted((row["price"], row["share"]) for row in rows) == [(1000 * i + 234.5, i) for i in range(1, 10)]


@pytest.mark.slow
@pytest.mark.parametrize("roles", [{}, {"time": "x"}], ids=["stratified", "by time"])
def test_the_order_of_files_and_the_block_size_change_no_byte(tmp_path, monkeypatch, roles):
    from components.example_gen import split_files, write_splits

    for number in range(3):
        lines = "".join(f'{i / 7},{"ab"[i % 2] if i % 97 else "c"},"word {i % 9}"\n' for i in range(number, 600, 3))
        (tmp_path / f"part-{number}.csv").write_text(f"x,y,z\n{lines}")
    features = {"x": "number", "y": {"kind": "label", "classes": ["a", "b", "c"]}, "z": "category"}
    written = []
    for names, block_bytes in (
        (["part-2.csv", "part-*.csv"], 2**22),
        (["part-0.csv", "part-1.csv", "part-2.csv"], 300),
    ):
        monkeypatch.setattr(delimited_blocks.read, "__defaults__", (delimited_blocks.delimited.PLAIN, block_bytes))
        config = DataConfig.model_validate({"files": names, "features": features, "roles": roles})
        dataset = local.dataset(config, "rows", tmp_path)
        folder = tmp_path / str(block_bytes)
        summary = write_splits(open_batches(dataset, config), dataset.spec, folder)
        files = [Path(file).read_bytes() for split in SPLITS for file in split_files(str(folder), split)]
        written.append((summary, files))

    assert written[0] == written[1]
    assert sum(split_summary["rows"] for split_summary in written[0][0].values()) == 600
    rare = {split: split_summary["classes"]["y"][2] for split, split_summary in written[0][0].items()}
    assert roles or rare == {"train": 5, "validation": 1, "test": 1}


@pytest.mark.parametrize("role", ["group", "id"])
@pytest.mark.parametrize(
    ("name", "nothing"),
    [
        ("rows.csv", ["", "NA"]),
        ("rows.jsonl", ["", " ", None, math.nan, "NA"]),
        ("rows.parquet", ["", " ", None, "NA"]),
        ("rows.parquet", [None, math.nan]),
    ],
)
def test_rows_without_a_group_or_id_are_groups_of_their_own_in_every_format(tmp_path, name, nothing, role):
    """All rows with "" or NaN were one group: half of a table was in one split."""
    value = 7.0 if math.nan in nothing else "x"
    table = [{"x": i, "key": value if i % 7 == 0 else nothing[i % len(nothing)], "y": "ab"[i % 2]} for i in range(600)]
    if name == "rows.csv":
        (tmp_path / name).write_text(csv_text(table, ["x", "key", "y"]))
    elif name == "rows.jsonl":
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in table))
    else:
        pq.write_table(pa.Table.from_pylist(table), tmp_path / name)
    label = {"kind": "label", "classes": ["a", "b"]}
    settings = {"files": name, "features": {"x": "number", "y": label}, "roles": {role: "key"}}
    config = DataConfig.model_validate(settings | {"missing_values": ["", "NA"]})

    splits: dict[int, set[str]] = defaultdict(set)
    for split, row in open_rows(local.dataset(config, "rows", tmp_path), config):
        has_value = row["x"] % 7 == 0
        splits[-1 if has_value else row["x"] % len(nothing)].add(split)
        assert role == "id" or (row.group is not None) == has_value

    assert len(splits.pop(-1)) == 1
    assert set(map(frozenset, splits.values())) == {frozenset(SPLITS)}


def test_the_split_of_a_json_row_does_not_depend_on_other_rows(tmp_path, monkeypatch):
    lists = ["[1, 2]", "[1, 2.5]", "[2.0]", "[]", "null", "[0.5, null]", "[true, 1]", "[[1], [2.5]]", "3", "3.5"]
    lines = [f'{{"x": {i}, "list": {lists[i % 10 if i % 50 < 10 else 0]}, "y": "{"ab"[i % 2]}"}}' for i in range(300)]
    (tmp_path / "rows.jsonl").write_text("\n".join(lines))
    features = {"x": "number", "y": {"kind": "label", "classes": ["a", "b"]}}
    config = DataConfig.model_validate({"files": "rows.jsonl", "features": features, "ignore": ["list"]})
    splits = []
    for block_bytes in (1, 500, 2**22):
        monkeypatch.setattr(jsonl_blocks.read, "__defaults__", (block_bytes,))
        batches = local.dataset(config, "rows", tmp_path).sources["files"](None)
        splits.append(np.concatenate([batch.splits for batch in batches]).tolist())

    assert splits[0] == splits[1] == splits[2]
    assert set(splits[0]) == {0, 1, 2}


@pytest.mark.parametrize("role", ["group", "id"])
def test_a_group_or_id_may_be_bytes_that_are_no_text(tmp_path, role):
    """The 16 bytes of a UUID raised an error of Arrow."""
    keys = [bytes([250 + i % 3]) * 16 if i % 4 else b"text" for i in range(60)]
    pq.write_table(pa.table({"x": range(60), "key": keys, "y": ["a", "b"] * 30}), tmp_path / "rows.parquet")
    label = {"kind": "label", "classes": ["a", "b"]}
    settings = {"files": "rows.parquet", "features": {"x": "number", "y": label}, "roles": {role: "key"}}
    config = DataConfig.model_validate(settings)

    splits_and_groups = {
        int(row["x"]): (split, row.group) for split, row in open_rows(local.dataset(config, "rows", tmp_path), config)
    }

    assert len(splits_and_groups) == 60
    assert all(
        splits_and_groups[i] == splits_and_groups[j]
        for i in splits_and_groups
        for j in splits_and_groups
        if keys[i] == keys[j]
    )
    assert len({group for _, group in splits_and_groups.values()}) == (4 if role == "group" else 1)


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        (
            "a.csv",
            {"sheet": "A"},
            "data.sheet: 'A' would be without effect: it is of xlsx files, and data.files are csv;",
        ),
        ("a.jsonl", {"delimiter": ";"}, "data.delimiter: ';' would be without effect: it is of csv files, and "),
        ("a.parquet", {"header": False}, "data.header: False would be without effect: it is of csv and xlsx files, "),
        ("a.parquet", {"names": ("x", "y")}, "data.names: .* would be without effect: .*; take it out."),
        ("a.tsv", {"delimiter": ";"}, "data.delimiter: ';' would be without effect: in files that end with .tsv it is"),
    ],
)
def test_a_setting_of_another_format_is_refused(tmp_path, name, settings, message):
    (tmp_path / name).write_text("x\ty\n1\tno\n")
    features = {"x": "number", "y": {"kind": "label", "classes": ["no", "yes"]}}

    with pytest.raises(ConfigError, match=message):
        local.dataset(DataConfig(files=name, features=features, **settings), "a", tmp_path)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"roles": {"group": "custmer"}},
            "column custmer is missing (there is 'customer'), which is data.roles.group; ",
        ),
        ({"split_by": "custmer"}, "column custmer is missing (there is 'customer'), which is data.split_by; "),
    ],
)
def test_a_mistyped_role_is_reported_with_its_setting(tmp_path, settings, message):
    (tmp_path / "a.csv").write_text("customer,x,y\n1,2,no\n")
    features = {"x": "number", "y": {"kind": "label", "classes": ["no", "yes"]}, "customer": "category"}
    config = DataConfig(files="a.csv", features=features, **settings)

    with pytest.raises(DataError) as raised:
        local.dataset(config, "a", tmp_path)

    assert str(raised.value).endswith(f"a.csv:1: {message}correct {message.split()[-1].strip(';')}.")


def test_equal_separators_are_refused_with_the_one_to_change():
    with pytest.raises(ValueError, match=r"another mark than that of data.decimal, '.' \(set data.decimal to ','\)"):
        DataConfig(files="a.csv", thousands=".")
