"""`headrace new` ends with what a run would say about what it wrote."""

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
    """Returns what calls `headrace new mine` on a file of this content, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))  # where headrace is

    def call(content: str, *options: str, name: str = "mine", file: str = "rows.csv") -> Finished:
        (tmp_path / file).write_text(content, encoding="utf-8")
        done = CliRunner().invoke(cli, ["new", name, "--data", file, *options], prog_name="headrace")
        return Finished(done.exit_code, done.stdout, done.stderr)

    return call


def _rows(count: int, seed: int = 1) -> str:
    draw = random.Random(seed)
    lines = [f"{draw.random():.4f},{draw.choice('uvw')},{draw.choice(('no', 'yes'))}" for _ in range(count)]
    return "\n".join(["size,kind,label", *lines, ""])


def _jsonl(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_data_that_can_be_run_is_told_with_its_splits(new):
    done = new(_rows(200))

    assert done.code == 0, done.err
    told = done.out.splitlines()
    assert [line.split()[0] for line in told[1:4]] == ["train", "validation", "test"]
    assert told[-3:] == ["ok: mine can be run", "Next:", "  headrace run ./mine.yaml"]


def test_a_home_that_is_given_is_looked_at_and_named(new, tmp_path):
    done = new(_rows(200), "--home", "my home")
    other = tmp_path / "other"
    other.mkdir()
    (other / "mine.yaml").write_text("task: another\n")
    record = made_up.record_of("1", made_up.spec_of(("good", "bad")), "mine", base=str(other))
    made_up.write_record(tmp_path / "my home", record)
    again = new(_rows(200), "--home", "my home", "--force")

    assert done.out.endswith("  headrace run ./mine.yaml --home 'my home'\n")
    assert again.code == 2
    assert f"mine is the name of {other / 'mine.yaml'} in this home" in again.err
    assert "mine.yaml is written all the same; when this is mended:\n" in again.out
    assert again.out.endswith("  headrace check ./mine.yaml --home 'my home' --rows\n")


@pytest.mark.parametrize("count", [30, 60, 90])
def test_few_rows_get_shares_with_which_they_can_be_run(new, tmp_path, count):
    done = new(_rows(count))

    assert done.code == 0, done.err
    assert config.load(str(tmp_path / "mine.yaml")).config.data.splits.test <= 0.3


def test_too_few_rows_are_refused_with_how_many_are_needed_and_the_file_is_kept(new, tmp_path):
    done = new(_rows(6), "--json")

    assert done.code == 3
    told = json.loads(done.out)
    assert told["check"]["exit_code"] == 3
    assert not told["check"]["ok"]
    assert "expected at least 2" in told["check"]["error"]
    assert "are needed; add some, or name files of each split in data.files." in told["check"]["error"]
    assert config.load(str(tmp_path / told["file"])).config.data.splits.test == 0.1


def test_a_class_too_rare_for_every_split_is_named(new):
    rows = [f"{i * 7 % 1009 / 100},{i % 13},{'rare' if i % 750 == 0 else 'usual'}" for i in range(1500)]

    done = new("\n".join(["x,n,label", *rows]))

    assert done.code == 3
    assert "class rare has 2 rows in all, 3 are needed; add some, or name files of each split" in done.err
    assert "mine.yaml is written all the same; when this is mended:\n  headrace check ./mine.yaml --rows" in done.out


def test_a_cell_that_the_reader_refuses_is_told_by_row_and_column(new):
    rows = [{"x": i / 7, "age": 3e38 if i == 4 else i, "label": "ab"[i % 2]} for i in range(90)]

    done = new(_jsonl(*rows), file="rows.jsonl")

    assert done.code == 3
    assert "rows.jsonl:5:age: expected a number from -1.8e+19 to 1.8e+19" in done.err
    assert "mine.yaml is written all the same" in done.out


@pytest.mark.parametrize(
    "cells",
    [[float("nan") if i % 9 == 0 else i / 7 for i in range(90)], [i if i % 3 else "" for i in range(90)]],
    ids=["not a number", "an empty text"],
)
def test_what_stands_for_no_number_in_a_file_with_types_is_missing(new, cells):
    rows = [{"x": i / 7, "age": cell, "label": "ab"[i % 2]} for i, cell in enumerate(cells)]

    assert new(_jsonl(*rows), file="rows.jsonl").code == 0


def test_a_word_for_nothing_that_may_be_a_class_is_told(new):
    rows = [f"{i * 17 % 101 / 7},{('NULL', 'Apnea', 'Insomnia')[i % 3]}" for i in range(200)]

    done = new("\n".join(["x,label", *rows]))

    remedy = "where it is a class, take it out of data.missing_values and add it to the classes of label"
    assert f"unsure: NULL in label is taken for no label; {remedy}\n" in done.out


def test_a_class_that_is_called_none_is_a_class(new, tmp_path):
    rows = [f"{('None', i * 17 % 101 / 7)[i % 5 > 0]},{('None', 'Apnea', 'Insomnia')[i % 3]}" for i in range(200)]

    done = new("\n".join(["x,label", *rows]))

    assert done.code == 0, done.err
    assert "3 classes, of which one is called None; where it means that nobody knows, take it out of" in done.out
    found = config.load(str(tmp_path / "mine.yaml"))
    assert found.dataset.spec.features["label"].classes == ("Apnea", "Insomnia", "None")
    assert "None" in found.config.data.missing_values  # of x


def test_a_label_of_booleans_can_be_run(new, tmp_path):
    done = new(_jsonl(*({"x": i * 17 % 101 / 7, "target": i % 3 == 0} for i in range(200))), file="rows.jsonl")

    assert done.code == 0, done.err
    assert config.load(str(tmp_path / "mine.yaml")).dataset.spec.features["target"].classes == ("false", "true")


def test_half_a_surrogate_pair_costs_its_row_and_is_refused_as_a_name(new):
    rows = [
        {"x": i * 17 % 101 / 7, "kind": "ab"[i % 2] if i else "\ud83d", "label": "no" if i % 3 else "yes"}
        for i in range(200)
    ]

    done = new(_jsonl(*rows), file="rows.jsonl")
    named = new(_jsonl(*({"x\ud83d": i, "label": i % 2} for i in range(40))), "--force", file="rows.jsonl")

    assert done.code == 0, done.err
    assert "unsure: 1 row is broken: left out; mend the file to use all rows\n" in done.out
    assert named.code == 3
    assert "rows.jsonl:1: expected names that are Unicode text, found 'x\\ud83d'" in named.err


def test_a_control_character_stands_in_the_run_file_as_it_is_in_the_data(new, tmp_path):
    done = new(_rows(200).replace("no", "n\1").replace(",u,", ",\1,"))

    assert done.code == 0, done.err
    features = config.load(str(tmp_path / "mine.yaml")).dataset.spec.features
    assert set(features["label"].classes) == {"n\1", "yes"}
    assert "\1" in features["kind"].values


def test_a_zero_byte_costs_its_row_as_raw_ones_of_json_lines_do(new):
    done = new(_rows(200).replace(",u,", ",\0,", 2))

    assert done.code == 0, done.err
    assert "unsure: 2 rows are broken: left out; mend the file to use all rows\n" in done.out


WEIRD = [
    "", " ", "a: b", "- a", "# a", "{a}", "[a", "'", '"', "\\", "a\nb", "a\r\nb", "\x00", "\x7f", "\x85", "\u2028b",
    "\ufeff", "\uffff", "\U0001f600", "\u202eabc", "null", "yes", "~", "1", "1e5", "0x1F", "<<", "=", "2024-01-01",
    "*a", "&a", "!a", "%a", "@a", "`a", "|", ">", "? a", "1:30", ".nan", "a #b", "\tb", "e\u0301", "नमस्ते", "x" * 3000,
]  # fmt: skip


@pytest.mark.parametrize("text", WEIRD, ids=ascii)
def test_whatever_a_name_or_value_holds_the_run_file_gives_it_back(tmp_path, text):
    features = {
        f"{text}|": Guess(CategoryFeature(values=(text, "other")), f"why {text}", "x"),
        text: Guess(LabelFeature(classes=(text, "b")), text),
    }
    made = Draft("tabular_classification", tmp_path / "a b.csv", 9, features, {f"{text}_": f"why {text}"})
    made.data, made.unsure = {"missing_values": ["", text]}, [f"about {text}; do that"]

    written = writing.text(made, "mine", tmp_path)

    settings = config.parse(written)
    assert settings.data.features == {name: guess.feature for name, guess in features.items()}
    assert settings.data.ignore == (f"{text}_",)
    assert settings.data.missing_values == ("", text)
    assert yaml.safe_load(written.encode())["data"]["files"] == "a b.csv"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("my data", "my data.yaml: a pipeline is named after its file, which takes letters, digits, - and _ only"),
        ("there/mine", "There is no folder there; make it, or give a name without it"),
    ],
)
def test_a_name_that_no_pipeline_can_have_is_refused_before_the_data_is_read(new, name, message):
    done = new("", name=name)

    assert done.code == 2
    assert message in done.err


def test_a_file_that_cannot_be_written_leaves_nothing_half_written(new, tmp_path):
    (tmp_path / "mine.yaml").mkdir()

    done = new(_rows(200), "--force")

    assert done.code == 2
    assert "mine.yaml cannot be written" in done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine.yaml", "rows.csv"]
