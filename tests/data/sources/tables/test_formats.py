"""A table to predict is read with the settings of the training data, adapted to the table."""

import json

import pytest

from data.config import DataConfig
from data.errors import DataError
from data.sources.tables import formats

SETTINGS = {
    "format": "csv",
    "delimiter": ";",
    "missing_values": ["", "?"],
    "header": False,
    "names": ["size", "note", "kind"],
}


def _read(path, settings):
    config = DataConfig(files=str(path), **settings)
    kind = formats.format_of_questions(path, config)
    return [
        dict(record.cells)
        for record in formats.records(path, kind, formats.for_prediction(path, kind, config, ("kind",)))
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("as_trained.csv", "1;x;a\n2;y;b\n"),
        ("without_the_label.csv", "1;x\n2;y\n"),
        ("with_a_header.csv", "note;size\nx;1\ny;2\n"),
        ("with_a_header_in_another_case.csv", " Note;SIZE\nx;1\ny;2\n"),
        ("with_a_header_and_another_column.csv", "note;2024;size;day\nx;7;1;mo\ny;8;2;tu\n"),
        ("with_a_last_cell_missing.csv", "1;x;\n2;y;\n"),
        ("of_another_ending.data", "1;x\n2;y\n"),
        ("with_tabs.csv", "sep=\t\n1\tx\n2\ty\n"),
        ("of_another_format.jsonl", '{"size": "1", "note": "x"}\n{"size": "2", "note": "y"}\n'),
    ],
)
def test_tables_to_predict_for_a_model_of_data_without_a_header(tmp_path, name, content):
    (tmp_path / name).write_text(content)

    rows = _read(tmp_path / name, SETTINGS)

    assert [(cells["size"], cells["note"]) for cells in rows] == [("1", "x"), ("2", "y")]


@pytest.mark.parametrize(
    ("settings", "names"),
    [({"header": False}, ["column_1", "column_2"]), ({"names": ["size", "kind"]}, ["size", "kind"])],
)
def test_settings_that_a_model_version_keeps_read_tables_to_predict(tmp_path, settings, names):
    (tmp_path / "train.data").write_text("1;a\n2;b\n")
    (tmp_path / "asked.data").write_text("3\n")
    config = DataConfig(files="train.data", format="csv", delimiter=";", **settings)

    saved_settings = formats.kept_settings(config, lambda: formats.columns_of(tmp_path / "train.data", "csv", config))
    table, settings = tmp_path / "asked.data", json.loads(json.dumps(saved_settings))
    prediction_config = formats.for_prediction(table, "csv", DataConfig(files="asked.data", **settings), (names[1],))

    (record,) = formats.records(table, "csv", prediction_config)
    assert record.cells == {names[0]: "3"}


def test_a_table_to_predict_with_too_few_cells_is_refused_with_the_remedy(tmp_path):
    (tmp_path / "rows.csv").write_text("1\n2\n")

    with pytest.raises(DataError, match=r"rows.csv:1: expected 2 cells \(size, note\) or a header .* found 1 cell\."):
        _read(tmp_path / "rows.csv", SETTINGS)


@pytest.mark.parametrize(
    ("content", "columns"),
    [
        ("Weight;Note\n1;x\n2;y\n", ["Weight", "note"]),  # an unknown name and a known one
        ("weight;remark\n1;x\n2;y\n3;z\n", ["weight", "remark"]),  # unknown names, and a word above numbers
        (
            "remark;place\n" + "x;a\ny;b\n" * 10,
            ["remark", "place"],
        ),  # unknown names that are no values of their columns
    ],
)
def test_columns_below_a_header_are_identified_by_name_only(tmp_path, content, columns):
    (tmp_path / "rows.csv").write_text(content)

    rows = _read(tmp_path / "rows.csv", SETTINGS)

    assert list(rows[0]) == columns
    assert "x" in rows[0].values()


def test_a_header_with_known_and_unknown_names_is_not_read_as_a_row(tmp_path):
    (tmp_path / "rows.csv").write_text("b;wieght;note\nb;2;x\na;1;y\n")  # b is also a value

    rows = _read(tmp_path / "rows.csv", SETTINGS | {"names": ["b", "weight", "note", "kind"]})

    assert rows == [{"b": "b", "wieght": "2", "note": "x"}, {"b": "a", "wieght": "1", "note": "y"}]


def test_a_header_cell_that_matches_two_names_is_left_unchanged(tmp_path):
    (tmp_path / "rows.csv").write_text("A;a;kind\n1;2;x\n")

    assert _read(tmp_path / "rows.csv", SETTINGS | {"names": ["a ", "aa", "kind"]}) == [
        {"A": "1", "a": "2", "kind": "x"}
    ]


@pytest.mark.parametrize(
    "content",
    [
        "n.a.;x\n2.5;y\n3.5;z\n",  # a missing-value marker of the settings
        "1;note\n2;x\n3;y\n",  # a value equals the name of its column, but the first cell is a number
        "1000;gold\n1;tin\n2;tin\n3;tin\n",  # an unusual row
        "7;\n8;y\n",
    ],
)
def test_an_unusual_first_row_is_a_row_of_data(tmp_path, content):
    (tmp_path / "rows.csv").write_text(content)

    rows = _read(tmp_path / "rows.csv", SETTINGS | {"missing_values": ["", "n.a."]})

    assert [f"{cells['size']};{cells['note']}" for cells in rows] == content.splitlines()


def test_settings_of_older_model_versions_are_read(tmp_path):
    (tmp_path / "rows.csv").write_text("size,note\n1,x\n")

    assert _read(tmp_path / "rows.csv", {"delimiter": ",", "missing_values": [""]}) == [{"size": "1", "note": "x"}]


def test_upper_case_endings_decide_the_format(tmp_path):
    (tmp_path / "ROWS.TSV").write_text("size\tnote\n1\tx\n")

    assert _read(tmp_path / "ROWS.TSV", {"delimiter": ","}) == [{"size": "1", "note": "x"}]
