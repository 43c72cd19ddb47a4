"""`headrace new` writes run files that can be run as they are."""

import json
import re

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from data.errors import ConfigError, DataError
from data.loading import open_rows
from data.spec import SequenceFeature
from pipeline.commands import new
from pipeline.commands.drafting import writing
from pipeline.commands.drafting.draft import TableOptions
from pipeline.core import config
from tests.conftest import headrace


def _load(draft, folder):
    """Returns the settings that the written run file has, as a run would read it."""
    path = folder / "mine.yaml"
    path.write_text(writing.text(draft, "mine", folder), encoding="utf-8")
    return config.load(str(path))


def _table(folder, rows: int = 200, delimiter: str = ","):
    lines = [delimiter.join(["Nr", "Größe in cm", "色", "gekauft am", "Kommentar", "left us"])]
    for i in range(rows):
        size = "NA" if i % 10 == 3 else f"{150 + i % 50}.5"
        cells = [str(i), size, "赤青緑"[i % 3], f"{i % 28 + 1:02}.03.2024", f"das ist der {i}te Satz dazu", "jn"[i % 2]]
        lines.append(delimiter.join(cells))
    path = folder / "customers of 2024.csv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_a_table_with_names_in_any_alphabet_becomes_a_run_file_that_loads(tmp_path, delimiter):
    draft = new.draft(_table(tmp_path, delimiter=delimiter), label="left us")

    named = _load(draft, tmp_path)

    features = named.dataset.spec.features
    assert named.config.task == "tabular_classification"
    assert {name: feature.kind for name, feature in features.items()} == {
        "Größe in cm": "number",
        "色": "category",
        "gekauft am": "date",
        "left us": "label",
    }
    assert features["Größe in cm"].optional
    assert not features["色"].optional
    assert features["色"].values == ("緑", "赤", "青")
    assert named.config.data.ignore == ("Nr", "Kommentar")
    assert named.config.data.missing_values == ("", "NA")
    assert any("cells with NA are taken for missing; take out" in sentence for sentence in draft.unsure)


def test_a_text_column_beside_an_identifier_is_text_classification(tmp_path):
    lines = [
        json.dumps({"id": i, "review": f"a long text with the number {i} in it", "stars": i % 3}) for i in range(99)
    ]
    (tmp_path / "reviews.jsonl").write_text("\n".join(lines))

    named = _load(new.draft(tmp_path / "reviews.jsonl", label="stars"), tmp_path)

    assert named.config.task == "text_classification"
    assert named.config.baseline.require == "beat_trivial"
    assert list(named.dataset.spec.features) == ["review", "stars"]


def _rides(folder, ending: str, **columns):
    """Writes a table with a column of lists, a label, and other columns; returns its path."""
    rows = {"rides": [[i, i + 0.5, 2][: 1 + i % 3] for i in range(60)], "kind": ["a", "b"] * 30, **columns}
    path = folder / f"rides{ending}"
    if ending == ".parquet":
        pq.write_table(pa.table(rows), path)
    else:
        table = [dict(zip(rows, cells, strict=True)) for cells in zip(*rows.values(), strict=True)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in table))
    return path


@pytest.mark.parametrize("ending", [".jsonl", ".parquet"])
def test_a_column_of_lists_alone_is_sequence_classification(tmp_path, ending):
    draft = new.draft(_rides(tmp_path, ending), label="kind")

    named = _load(draft, tmp_path)

    assert named.config.task == "sequence_classification"
    assert named.dataset.spec.features["rides"] == SequenceFeature(max_length=3)
    assert draft.features["rides"].reason == "lists of 1 to 3 numbers"


def test_a_column_of_lists_beside_others_is_left_out_with_the_reason_or_chosen_by_the_task(tmp_path):
    path = _rides(tmp_path, ".jsonl", temperature=[i % 7 + 0.5 for i in range(60)])

    draft = new.draft(path, label="kind")
    of_sequences = new.draft(path, label="kind", task="sequence_classification")

    assert (draft.task, list(draft.features)) == ("tabular_classification", ["temperature", "kind"])
    assert draft.ignored == {"rides": "a sequence, which the task does not take"}
    assert list(of_sequences.features) == ["rides", "kind"]
    assert of_sequences.ignored == {"temperature": "the task takes one sequence and nothing else"}


def test_no_number_can_be_predicted_from_lists(tmp_path):
    path = _rides(tmp_path, ".jsonl", price=[i * 3.7 for i in range(60)])

    with pytest.raises(ConfigError, match=r"price, a number.*learns from no sequence \(rides\)"):
        new.draft(_only(path, ["rides", "price"]), label="price")


def _only(path, columns):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(json.dumps({name: line[name] for name in columns}) + "\n" for line in lines))
    return path


def test_a_numeric_label_is_regression(tmp_path):
    (tmp_path / "flats.csv").write_text("rooms,price\n" + "".join(f"{i % 6},{i * 3.7}\n" for i in range(100)))

    named = _load(new.draft(tmp_path / "flats.csv", label="price"), tmp_path)

    assert named.config.task == "tabular_regression"
    assert named.config.baseline.require == "beat_trivial"
    assert named.dataset.spec.features["price"].kind == "target"


def test_folders_of_images_and_of_texts_are_distinguished(tmp_path):
    for name in ("кошки", "wei rd"):
        for kind in ("pictures", "texts"):
            (tmp_path / kind / name).mkdir(parents=True)
        for i in range(5):
            Image.new("RGB", (200, 100), (i, 0, 0)).save(tmp_path / "pictures" / name / f"{i}.png")
            (tmp_path / "texts" / name / f"{i}.txt").write_text(f"{name} {i}")

    pictures = _load(new.draft(tmp_path / "pictures"), tmp_path)
    texts = _load(new.draft(tmp_path / "texts"), tmp_path)

    assert pictures.config.baseline.require == "beat_trivial"
    image = pictures.dataset.spec.features["image"]
    assert (image.height, image.width, image.channels) == (32, 64, 3)
    assert pictures.dataset.spec.features["label"].classes == ("wei rd", "кошки")
    assert texts.config.task == "text_classification"
    rows = [row for _, row in open_rows(texts.dataset, texts.config.data)]
    assert sorted(row["text"] for row in rows)[0] == "wei rd 0"
    assert len(rows) == 10


def test_rows_without_a_label_are_dropped_and_reported(tmp_path):
    lines = [f"{i / 3},{'ab'[i % 2] if i % 50 else ''}" for i in range(200)]
    (tmp_path / "rows.csv").write_text("x,label\n" + "\n".join(lines))

    draft = new.draft(tmp_path / "rows.csv")
    named = _load(draft, tmp_path)

    assert "4 rows have no label: left out; mend the file to use all rows" in draft.unsure
    assert named.config.data.checks.invalid.policy == "drop"


@pytest.mark.parametrize(
    ("content", "arguments", "message"),
    [
        ("x,y\n1,2\n", {"task": "tabular_clasification"}, "Unknown task.*Did you mean 'tabular_classification'"),
        ("x,y\n1,2\n3,4\n", {"label": "z"}, "Unknown column 'z'"),
        (
            "x,y\n" + "1,same\n" * 30,
            {"label": "y"},
            "y cannot be predicted: it has 1 different value, expected 2 at least; name another column with --label",
        ),
        (
            "id,words,points\n" + "".join(f"{i},so many words as sentence {i} has,{i}.5\n" for i in range(60)),
            {},
            "rows.csv: which column is to be predicted is not clear; points, a number, would be predicted "
            r"\(tabular_regression\), which learns from no text \(words\); name a column of classes with --label",
        ),
        ("x,y\n" + "same,1\nsame,0\n" * 30, {"label": "y"}, "no column can be learned from: x: every row has 'same'"),
    ],
)
def test_data_that_no_task_can_learn_from_is_refused_in_one_line(tmp_path, content, arguments, message):
    (tmp_path / "rows.csv").write_text(content)

    with pytest.raises(ConfigError, match=message):
        new.draft(tmp_path / "rows.csv", **arguments)


def test_a_table_of_one_column_is_refused(tmp_path):
    (tmp_path / "rows.csv").write_text("x\n1\n2\n")

    with pytest.raises(DataError, match="has 1 column, expected an input and what is to be predicted"):
        new.draft(tmp_path / "rows.csv")


def test_the_command_writes_the_file_once_and_prints_the_next_command(tmp_path):
    _table(tmp_path)
    arguments = ("new", "mine", "--data", "customers of 2024.csv", "--label", "left us")

    first = headrace(*arguments, cwd=tmp_path)
    second = headrace(*arguments, cwd=tmp_path)
    forced = headrace(*arguments, "--force", "--json", cwd=tmp_path)

    assert first.code == 0, first.err
    assert first.out.startswith("mine.yaml: tabular_classification of 'left us' from 3 columns, 200 rows\n")
    assert "\nvalidation " in first.out
    assert re.search(r"ok: mine can be run\nNext:\n  \S*headrace run \./mine\.yaml\n$", first.out)
    assert second.code == 2
    assert "mine.yaml is there already" in second.err
    assert json.loads(forced.out)["features"]["left us"] == "label"


def test_columns_in_a_notation_that_is_not_read_are_called_unsure(tmp_path):
    rows = [
        f'"{i % 90}.{i % 10}98,67",{i % 7}%,"{i},6",{i % 28 + 1}. März 2024,{"JA" if i % 3 else "ja"}'
        for i in range(200)
    ]
    (tmp_path / "rows.csv").write_text("\n".join(["Umsatz in EUR,rate,width,day,label", *rows]), encoding="utf-8")

    draft = new.draft(tmp_path / "rows.csv", options=TableOptions(delimiter=","))

    description = "its cells look like {} in a notation that is not read yet, such as "
    for column, kind in (("'Umsatz in EUR'", "numbers"), ("day", "dates or times")):  # 0.098,67 has too many zeros
        start = f"{column} is taken for a category: {description.format(kind)}"
        assert any(sentence.startswith(start) for sentence in draft.unsure), draft.unsure
    assert draft.data["decimal"] == ","
    assert (draft.features["rate"].feature.unit, draft.features["width"].feature.kind) == ("%", "number")
    assert "label: classes JA and ja differ in case only; make them one in the data" in draft.unsure


def test_values_of_a_category_that_differ_in_case_only_are_called_unsure(tmp_path):
    cities = ["Sankt Gallen", "sankt gallen", "Köln"]
    rows = [f"{cities[i % 3]},{i % 40 / 4},{'ja' if i % 2 else 'nein'}" for i in range(200)]
    (tmp_path / "rows.csv").write_text("\n".join(["city,kg,label", *rows]), encoding="utf-8")

    draft = new.draft(tmp_path / "rows.csv")

    expected = "city: values 'Sankt Gallen' and 'sankt gallen' differ in case only; make them one in the data"
    assert draft.unsure == [expected]


def test_percent_signs_beside_plain_numbers_are_called_unsure(tmp_path):
    rows = [f"{i % 40 / 4}{'%' if i % 2 else ''},{i % 3}" for i in range(200)]
    (tmp_path / "rows.csv").write_text("\n".join(["rate,label", *rows]))

    draft = new.draft(tmp_path / "rows.csv")

    assert any(sentence.startswith("rate is") and "%" in sentence for sentence in draft.unsure), draft.unsure


def test_an_ambiguous_thousands_separator_is_called_unsure(tmp_path):
    rows = [f'"{i % 9 + 1},{i:03}",{i % 3}' for i in range(200)]
    (tmp_path / "rows.csv").write_text("\n".join(["width,label", *rows]))

    draft = new.draft(tmp_path / "rows.csv", options=TableOptions(delimiter=","))

    assert draft.data["thousands"] == ","
    assert any(
        "1,000 in width is taken for 1000; where it is another number, set" in sentence for sentence in draft.unsure
    )


def test_many_numbers_as_classes_are_called_unsure(tmp_path):
    rows = [f"so many words as row {i} has,{i % 40 / 4}" for i in range(400)]
    (tmp_path / "rows.csv").write_text("\n".join(["words,score", *rows]))

    draft = new.draft(tmp_path / "rows.csv", "text_classification", "score")

    assert any("40 different numbers as classes; put them into few classes" in sentence for sentence in draft.unsure)


def test_a_pattern_is_refused_with_a_hint_at_the_run_file(tmp_path):
    with pytest.raises(
        ConfigError, match=r"no file or folder .*\*\.csv; .* data\.files of its run file takes a pattern"
    ):
        new.draft(tmp_path / "*.csv")
