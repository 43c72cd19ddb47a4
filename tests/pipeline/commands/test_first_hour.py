"""Data sets as people have them: `headrace new` on each ends with the exit code of `headrace check --rows`."""

from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from pipeline.commands.cli import cli
from tests.pipeline.commands import cases

DATA_REFUSED = 3

# Case -> exit code of `headrace new`, parts of its output, and its options.
CASES: dict[Callable[[Path], Path], tuple[int, tuple[str, ...], tuple[str, ...]]] = {
    cases.pictures_in_split_folders: (
        0,
        ("train: blue 30, red 30", "validation: blue 10, red 10", "test: blue 10"),
        (),
    ),
    cases.texts_in_split_folders: (0, ("no folder of split validation", "imdb.vocab"), ()),
    cases.pictures_with_hidden_folder: (0, ("120 rows", "1 hidden folder left out"), ()),
    cases.pictures_linked_deeply: (0, ("120 rows", "2 linked folders followed"), ()),
    cases.damaged_picture: (0, ("truncated.jpg", "a damaged JPEG"), ()),
    cases.table_without_header: (DATA_REFUSED, ("data.csv:1", "--no-header", "--names"), ()),
    cases.label_of_150_classes: (0, ("tabular_classification of label",), ()),
    cases.column_called_inputs: (0, ("text_classification of targets",), ()),
    cases.columns_differing_in_case: (0, ("label from 2 columns",), ()),
    cases.columns_differing_in_punctuation: (0, ("label from 3 columns",), ()),
    cases.surrogate_category: (0, ("1 row is broken: left out",), ()),
    cases.surrogate_text: (0, ("1 row is broken: left out",), ()),
    cases.one_target_of_1e30: (DATA_REFUSED, ("data.csv:202:price", "1e30"), ("--label", "price")),
    cases.decimal_commas: (0, ("label from 3 columns, 300 rows\ntrain",), ()),
    cases.codes_ids_dates: (0, ("label from 4 columns, 600 rows\ntrain",), ()),
    cases.label_called_none: (0, ("of which one is called None",), ("--label", "disorder")),
    cases.spaces_after_commas: (0, ("of ' label' from 2 columns",), ("--label", " label")),
    cases.label_in_three_spellings: (0, ("YES, Yes and yes differ in case only",), ()),
    cases.boolean_label: (0, ("false", "true"), ()),
    cases.nested_values: (0, ("tags is left out: a sequence, which the task does not take",), ()),
    cases.separator_line: (0, ("label from 2 columns",), ()),
    cases.trailing_comma: (0, ("label from 2 columns",), ()),
    cases.json_array: (0, ("label from 1 column",), ()),
    cases.partitioned_parquet: (0, ("label from 3 columns, 320 rows",), ()),
    cases.empty_strings: (0, ("label from 3 columns, 300 rows\ntrain",), ()),
    cases.nan_literal: (0, ("label from 2 columns, 300 rows\ntrain",), ()),
    cases.numbers_as_strings: (0, ("label from 2 columns, 300 rows\ntrain",), ()),
    cases.float_label: (
        0,
        (
            "3 classes, whole numbers",
            "6 rows have no label",
            "data.parquet:8:label: expected one of 1, 2, 3, found nothing",
        ),
        (),
    ),
    cases.unknown_integer_label: (DATA_REFUSED, ("data.parquet:1:label: expected one of 1, 2, 3, found 0",), ()),
    cases.overlapping_patterns: (0, ("ok: mine can be run",), ()),
    cases.label_trailing_spaces: (0, ("label from 2 columns",), ()),
    cases.target_far_from_zero: (
        DATA_REFUSED,
        ("different values become", "subtract a constant"),
        ("--label", "reading"),
    ),
    cases.classes_in_two_unicode_forms: (
        0,
        ("2 classes; Jos\u00e9 is written in several forms of Unicode", "ok: mine can be run"),
        (),
    ),
    cases.semicolons_and_commas: (0, ("klasse from 3 columns",), ()),
    cases.workbook: (
        0,
        ("label from 3 columns, 299 rows", "there is also 'Notes': --sheet", "data.xlsx:9:x: expected a value"),
        (),
    ),
    cases.class_of_one_row_in_a_thousand: (0, ("ok 289, fraud 1", "ok 277, fraud 1"), ()),
    cases.lines_before_the_header: (0, ("the lines before line 3 are left out",), ()),
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_new_ends_with_the_exit_code_of_check_on_the_same_data(case, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    data = case(tmp_path)
    code, expected, options = CASES[case]

    arguments = ["check", "./mine.yaml", "--rows"] if data.suffix == ".yaml" else ["new", "mine", "--data", str(data)]
    result = CliRunner().invoke(cli, [*arguments, *options])

    assert (result.exit_code, result.exception if result.exit_code == 1 else None) == (code, None), result.output
    for word in expected:
        assert word in result.output
    if code == 0:
        yaml.safe_load((tmp_path / "mine.yaml").read_text(encoding="utf-8"))
        check = CliRunner().invoke(cli, ["check", "./mine.yaml", "--rows"])
        assert check.exit_code == code, check.output
