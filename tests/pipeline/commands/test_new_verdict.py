"""`headrace new` ends with the result of checking the run file and its data as a run does."""

import json
import random
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from data.inference.guesses import Guess
from data.spec import CategoryFeature, LabelFeature
from pipeline.commands.cli import cli
from pipeline.commands.drafting import writing
from pipeline.commands.drafting.draft import Draft
from pipeline.core import config
from tests.conftest import Finished
from tests.pipeline import made_up


@pytest.fixture
def new(tmp_path, monkeypatch):
    """Returns a function that calls `headrace new mine` on a file with the given content, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is

    def call(content: str, *options: str, name: str = "mine", file: str = "rows.csv") -> Finished:
        (tmp_path / file).write_text(content, encoding="utf-8")
        result = CliRunner().invoke(cli, ["new", name, "--data", file, *options], prog_name="headrace")
        return Finished(result.exit_code, result.stdout, result.stderr)

    return call


def _rows(count: int, seed: int = 1) -> str:
    generator = random.Random(seed)
    lines = [
        f"{generator.random():.4f},{generator.choice('uvw')},{generator.choice(('no', 'yes'))}" for _ in range(count)
    ]
    return "\n".join(["size,kind,label", *lines, ""])


def _jsonl(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_valid_data_is_reported_with_its_splits(new):
    result = new(_rows(200))

    assert result.code == 0, result.err
    lines = result.out.splitlines()
    assert [line.split()[0] for line in lines[1:4]] == ["train", "validation", "test"]
    assert lines[-3:] == ["ok: mine can be run", "Next:", "  headrace run ./mine.yaml"]


def test_the_given_home_is_checked_and_named_in_the_next_command(new, tmp_path):
    first = new(_rows(200), "--home", "my home")
    other_folder = tmp_path / "other"
    other_folder.mkdir()
    (other_folder / "mine.yaml").write_text("task: another\n")
    record = made_up.record_of("1", made_up.spec_of(("good", "bad")), "mine", base=str(other_folder))
    made_up.write_record(tmp_path / "my home", record)
    second = new(_rows(200), "--home", "my home", "--force")

    assert first.out.endswith("  headrace run ./mine.yaml --home 'my home'\n")
    assert second.code == 2
    assert f"mine is the name of {other_folder / 'mine.yaml'} in this home" in second.err
    assert "mine.yaml is written all the same; when this is mended:\n" in second.out
    assert second.out.endswith("  headrace check ./mine.yaml --home 'my home' --rows\n")


@pytest.mark.parametrize("count", [30, 60, 90])
def test_few_rows_get_larger_shares_that_make_a_run_possible(new, tmp_path, count):
    result = new(_rows(count))

    assert result.code == 0, result.err
    assert config.load(str(tmp_path / "mine.yaml")).config.data.splits.test <= 0.3


def test_too_few_rows_are_refused_with_the_number_needed_and_the_file_is_kept(new, tmp_path):
    result = new(_rows(6), "--json")

    assert result.code == 3
    values = json.loads(result.out)
    assert values["check"]["exit_code"] == 3
    assert not values["check"]["ok"]
    assert "expected at least 2" in values["check"]["error"]
    assert "are needed; add some, or name files of each split in data.files." in values["check"]["error"]
    assert config.load(str(tmp_path / values["file"])).config.data.splits.test == 0.1


def test_a_class_too_rare_for_every_split_is_named(new):
    rows = [f"{i * 7 % 1009 / 100},{i % 13},{'rare' if i % 750 == 0 else 'usual'}" for i in range(1500)]

    result = new("\n".join(["x,n,label", *rows]))

    assert result.code == 3
    assert "class rare has 2 rows in all, 3 are needed; add some, or name files of each split" in result.err
    assert "mine.yaml is written all the same; when this is mended:\n  headrace check ./mine.yaml --rows" in result.out


def test_an_invalid_cell_is_reported_with_row_and_column(new):
    rows = [{"x": i / 7, "age": 3e38 if i == 4 else i, "label": "ab"[i % 2]} for i in range(90)]

    result = new(_jsonl(*rows), file="rows.jsonl")

    assert result.code == 3
    assert "rows.jsonl:5:age: expected a number from -1.8e+19 to 1.8e+19" in result.err
    assert "mine.yaml is written all the same" in result.out


@pytest.mark.parametrize(
    "cells",
    [[float("nan") if i % 9 == 0 else i / 7 for i in range(90)], [i if i % 3 else "" for i in range(90)]],
    ids=["not a number", "an empty text"],
)
def test_nan_and_empty_texts_in_a_numeric_column_of_json_lines_are_missing_values(new, cells):
    rows = [{"x": i / 7, "age": cell, "label": "ab"[i % 2]} for i, cell in enumerate(cells)]

    assert new(_jsonl(*rows), file="rows.jsonl").code == 0


def test_a_missing_value_marker_that_may_be_a_class_is_called_unsure(new):
    rows = [f"{i * 17 % 101 / 7},{('NULL', 'Apnea', 'Insomnia')[i % 3]}" for i in range(200)]

    result = new("\n".join(["x,label", *rows]))

    remedy = "where it is a class, take it out of data.missing_values and add it to the classes of label"
    assert f"unsure: NULL in label is taken for no label; {remedy}\n" in result.out


def test_none_as_the_name_of_a_class_is_a_class(new, tmp_path):
    rows = [f"{('None', i * 17 % 101 / 7)[i % 5 > 0]},{('None', 'Apnea', 'Insomnia')[i % 3]}" for i in range(200)]

    result = new("\n".join(["x,label", *rows]))

    assert result.code == 0, result.err
    assert "3 classes, of which one is called None; if it means unknown, remove it from" in result.out
    named = config.load(str(tmp_path / "mine.yaml"))
    assert named.dataset.spec.features["label"].classes == ("Apnea", "Insomnia", "None")
    assert "None" in named.config.data.missing_values  # of x


def test_a_label_of_booleans_can_be_run(new, tmp_path):
    result = new(_jsonl(*({"x": i * 17 % 101 / 7, "target": i % 3 == 0} for i in range(200))), file="rows.jsonl")

    assert result.code == 0, result.err
    assert config.load(str(tmp_path / "mine.yaml")).dataset.spec.features["target"].classes == ("false", "true")


def test_a_row_with_a_lone_surrogate_is_dropped_and_a_name_with_one_is_refused(new):
    rows = [
        {"x": i * 17 % 101 / 7, "kind": "ab"[i % 2] if i else "\ud83d", "label": "no" if i % 3 else "yes"}
        for i in range(200)
    ]

    result = new(_jsonl(*rows), file="rows.jsonl")
    refused = new(_jsonl(*({"x\ud83d": i, "label": i % 2} for i in range(40))), "--force", file="rows.jsonl")

    assert result.code == 0, result.err
    assert "unsure: 1 row is broken: left out; mend the file to use all rows\n" in result.out
    assert refused.code == 3
    assert "rows.jsonl:1: expected names that are Unicode text, found 'x\\ud83d'" in refused.err


def test_control_characters_are_the_same_in_the_run_file_as_in_the_data(new, tmp_path):
    result = new(_rows(200).replace("no", "n\1").replace(",u,", ",\1,"))

    assert result.code == 0, result.err
    features = config.load(str(tmp_path / "mine.yaml")).dataset.spec.features
    assert set(features["label"].classes) == {"n\1", "yes"}
    assert "\1" in features["kind"].values


def test_a_row_with_a_zero_byte_is_dropped(new):
    result = new(_rows(200).replace(",u,", ",\0,", 2))

    assert result.code == 0, result.err
    assert "unsure: 2 rows are broken: left out; mend the file to use all rows\n" in result.out


WEIRD = [
    "", " ", "a: b", "- a", "# a", "{a}", "[a", "'", '"', "\\", "a\nb", "a\r\nb", "\x00", "\x7f", "\x85", "\u2028b",
    "\ufeff", "\uffff", "\U0001f600", "\u202eabc", "null", "yes", "~", "1", "1e5", "0x1F", "<<", "=", "2024-01-01",
    "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "? a", "1:30", ".nan", "a #b", "\tb", "e\u0301", "नमस्ते", "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("text", WEIRD, ids=ascii)
def test_any_name_or_value_is_read_back_from_the_run_file(tmp_path, text):
    features = {
        f"{text}|": Guess(CategoryFeature(values=(text, "other")), f"why {text}", "x"),
        text: Guess(LabelFeature(classes=(text, "b")), text),
    }
    draft = Draft("tabular_classification", tmp_path / "a b.csv", 9, features, {f"{text}_": f"why {text}"})
    draft.data, draft.unsure = {"missing_values": ["", text]}, [f"about {text}; do that"]

    content = writing.text(draft, "mine", tmp_path)

    settings = config.parse(content)
    assert settings.data.features == {name: guess.feature for name, guess in features.items()}
    assert settings.data.ignore == (f"{text}_",)
    assert settings.data.missing_values == ("", text)
    assert yaml.safe_load(content.encode())["data"]["files"] == "a b.csv"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my data", "my data.yaml: a pipeline is named after its file, which takes letters, digits, - and _ only"),
        ("there/mine", "There is no folder there; make it, or give a name without it"),
    ],
)
def test_a_name_that_no_pipeline_can_have_is_refused_before_the_data_is_read(new, name, message):
    result = new("", name=name)

    assert result.code == 2
    assert message in result.err


def test_a_failed_write_leaves_no_partial_file(new, tmp_path):
    (tmp_path / "mine.yaml").mkdir()

    result = new(_rows(200), "--force")

    assert result.code == 2
    assert "mine.yaml cannot be written" in result.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml", "rows.csv"]
