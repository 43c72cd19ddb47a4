"""A pipeline that changes: what the live version is asked about the rows of a candidate that takes others."""

from pathlib import Path

import numpy as np
import pytest

from components import predictions
from components.artifact_files import ROW_IDS
from components.example_gen import read_row_ids, split_files
from components.live_model.comparable import why_not_comparable
from components.live_model.shared_rows import DataSource, prepare_shared_rows
from data import loading
from data.config import DataConfig
from data.errors import DataError
from data.spec import ImageFeature
from models import registry
from tests.components.live_model.homes import BEFORE, COLUMNS, LABEL, Home, changed, made_rows
from tests.data.corpus import csv_text, png

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX


def test_without_a_change_the_live_version_is_asked_about_the_examples_as_they_are(home):
    found, _, _ = home.ask(home.publish(BEFORE), BEFORE)

    assert found.is_as_stored
    assert found.row_mask is None


@pytest.mark.parametrize(
    "settings",
    [
        changed({"size": "number", "kind": LABEL}, ignore=["weight"]),
        changed({"size": "number", "weight": "category", "kind": LABEL}),
        changed({"size": "number", "weight": {"kind": "number", "optional": True}, "kind": LABEL}),
    ],
    ids=["dropped", "other kind", "optional now"],
)
def test_a_column_that_the_data_still_has_is_given_to_the_live_version(home, settings):
    found, rows, _ = home.ask(home.publish(BEFORE), settings)

    assert found.row_mask is None
    assert home.answers(found).tolist() == [row["kind"] for row in rows]
    assert len(rows) > 5


@pytest.mark.parametrize("files", ["photos", "rows.csv", "parts/*.csv"])
def test_data_that_lies_elsewhere_by_now_is_read_again_there(tmp_path, monkeypatch, files):
    """Rows were named from the run file's folder: none was found again, and nothing was compared."""
    home, place = Home(tmp_path), tmp_path / "token-5f3a9c"
    (place / "parts").mkdir(parents=True)
    header, *lines = csv_text(made_rows(), COLUMNS).splitlines(keepends=True)
    (place / "rows.csv").write_text("".join([header, *lines]))
    for name, some in (("a", lines[::2]), ("b", lines[1::2])):
        (place / "parts" / f"{name}.csv").write_text("".join([header, *some]))
    for index, (name, shade) in ((i, one) for i in range(40) for one in (("dark", i), ("light", 250 - i))):
        (place / "photos" / name).mkdir(parents=True, exist_ok=True)
        (place / "photos" / name / f"{index}.png").write_bytes(png(shade))
    monkeypatch.setenv("DATA_ROOT", str(place))
    before, after = BEFORE, changed({"size": "number", "kind": LABEL}, ignore=["weight"])
    if files == "photos":
        home.task = registry.task("image_classification")
        before, after = (
            changed({"image": {"kind": "image", "height": side, "width": side, "channels": 1}}) for side in (8, 4)
        )
    before, after = ({**one, "files": f"${{ENV:DATA_ROOT}}/{files}"} for one in (before, after))
    live = home.publish(before)

    def moved() -> Path:
        there = tmp_path / "elsewhere" / "mnt"
        there.parent.mkdir()
        place.rename(there)
        monkeypatch.setenv("DATA_ROOT", str(there))
        return tmp_path / "elsewhere"

    found, rows, spec = home.ask(live, after, moved)

    assert found.row_mask is None
    assert home.answers(found).tolist() == [row[spec.targets()[0]] for row in rows]
    assert not any("5f3a9c" in file for file, _ in read_row_ids(str(tmp_path / "examples")))


def test_rows_that_are_not_where_ingest_found_them_are_an_error(home):
    live = home.publish(BEFORE)
    settings = changed({"size": "number", "kind": LABEL}, ignore=["weight"])

    def renamed() -> Path:
        file = ROW_IDS.path(str(home.folder / "examples"))
        with np.load(file) as found:
            np.savez(file, files=np.array(["../rows.csv"]), places=found["places"])
        return home.folder

    with pytest.raises(DataError, match=r"(\d+) of \1 test rows of data set animals are not where ingest found them"):
        home.ask(live, settings, renamed)


def test_cells_are_read_again_as_they_were_where_columns_are_inferred(home):
    lines = [f"{i},5;{i % 2},{i:03}1;{row['kind']}" for i, row in enumerate(made_rows())]
    (home.folder / "rows.csv").write_text("\n".join(["size;weight;kind", *lines]))
    before = {name: value for name, value in BEFORE.items() if name != "features"}
    before |= {"label": "kind", "delimiter": ";"}

    found, rows, _ = home.ask(home.publish(before), before | {"ignore": ["weight"]})

    assert found.row_mask is None
    assert home.answers(found).tolist() == [row["kind"] for row in rows]
    assert len(rows) > 5


def test_a_column_that_is_new_is_not_given_to_it(home):
    before = changed({"weight": "number", "kind": LABEL}, ignore=["size"])

    found, rows, _ = home.ask(home.publish(before), BEFORE)

    assert found.is_as_stored
    assert home.answers(found).tolist() == [row["kind"] for row in rows]


def test_a_column_that_is_gone_and_may_be_absent_is_told_of(home):
    live = home.publish(changed({"size": {"kind": "number", "optional": True}, "weight": "number", "kind": LABEL}))
    (home.folder / "rows.csv").write_text(csv_text(made_rows(), ["weight", "kind"]))
    settings = changed({"weight": "number", "kind": LABEL}, checks={"duplicates": {"policy": "warn"}})

    found, rows, _ = home.ask(live, settings)

    assert why_not_comparable(live, "tabular_classification", home.load(settings)[1], is_compared=True) == ""
    assert found.missing_columns == ("size",)
    assert home.answers(found).tolist() == [row["kind"] for row in rows]


def test_rows_whose_cells_the_live_version_cannot_take_are_left_out(home):
    live = home.publish(BEFORE)
    untidy = [{**row, "weight": row["weight"] if row["size"] % 3 else "heavy"} for row in made_rows()]
    (home.folder / "rows.csv").write_text(csv_text(untidy, COLUMNS))

    found, rows, _ = home.ask(live, changed({"size": "number", "kind": LABEL}, ignore=["weight"]))

    kept = [row["size"] % 3 > 0 for row in rows]
    assert found.row_mask.tolist() == kept
    assert home.answers(found).tolist() == [row["kind"] for row, keep in zip(rows, kept, strict=True) if keep]


@pytest.mark.parametrize("kinds", [("ant", "cat", "dog"), ("dog", "cat")], ids=["class added", "other order"])
def test_classes_are_matched_by_name(home, kinds):
    live = home.publish(BEFORE)
    live = home.publish(BEFORE)
    # The weight stands for cat, dog and ant, whatever the order of the candidate's classes.
    rows = made_rows(90, ("cat", "dog", "ant")) if "ant" in kinds else made_rows()
    (home.folder / "rows.csv").write_text(csv_text(rows, COLUMNS))
    features = {"size": "number", "weight": "number", "kind": {"kind": "label", "classes": list(kinds)}}

    found, rows, _ = home.ask(live, changed(features))

    names = [kinds[row["kind"]] for row in rows]
    known = [name for name in names if name != "ant"]
    assert [kinds[index] for index in home.answers(found)] == known
    assert (found.row_mask is None) == ("ant" not in kinds)
    assert found.row_mask is None or found.row_mask.tolist() == [name != "ant" for name in names]


def test_of_a_class_that_was_removed_the_live_version_answers_with_what_is_left(home):
    three = {"kind": "label", "classes": ["cat", "dog", "ant"]}
    live = home.publish(changed({"size": "number", "weight": "number", "kind": three}))

    found, rows, _ = home.ask(live, BEFORE)

    told = predictions.predict_batches(found.saved_model, split_files(found.live_examples, "test"), home.task)
    scores = np.concatenate([one for _, one, _ in told])
    assert found.row_mask is None
    assert scores.shape == (len(rows), 2)
    assert scores.sum(axis=1) == pytest.approx(1 - 0.2 / 3)  # without what it gives to ants
    assert scores.argmax(axis=1).tolist() == [row["kind"] for row in rows]


@pytest.mark.parametrize(("height", "channels"), [(4, 1), (12, 1), (8, 3)], ids=["smaller", "larger", "in color"])
def test_a_picture_of_another_size_is_read_again_for_the_live_version(tmp_path, height, channels):
    home = Home(tmp_path)
    home.task = registry.task("image_classification")
    for index in range(40):
        for name, shade in (("dark", index), ("light", 250 - index)):
            file = tmp_path / "photos" / name / f"{index}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(shade))
    sides = {"height": 8, "width": 8, "channels": 1}
    before = {"files": "photos", "features": {"image": {"kind": "image", **sides}}, "splits": BEFORE["splits"]}
    live = home.publish(before, "image_classification")
    after = {
        **before,
        "features": {"image": {"kind": "image", "height": height, "width": height, "channels": channels}},
    }

    found, rows, spec = home.ask(live, after)

    assert isinstance(spec.features["image"], ImageFeature)
    assert home.answers(found).tolist() == [row["label"] for row in rows]
    assert not found.is_as_stored


def test_where_no_row_can_be_asked_about_the_question_is_empty(home):
    live = home.publish(BEFORE)
    words = [{**row, "weight": "heavy" if row["size"] % 2 else "light"} for row in made_rows()]
    (home.folder / "rows.csv").write_text(csv_text(words, COLUMNS))

    found, _, _ = home.ask(live, changed({"size": "number", "weight": "category", "kind": LABEL}))

    assert found.is_empty


def test_a_column_that_is_gone_and_one_that_is_ignored_are_told_apart(home):
    live = home.publish(changed({"size": {"kind": "number", "optional": True}, "weight": "number", "kind": LABEL}))
    rows = [{**row, "height": row["size"]} for row in made_rows()]
    (home.folder / "rows.csv").write_text(csv_text(rows, ["height", "weight", "kind"]))

    found, stored, _ = home.ask(live, changed({"height": "number", "kind": LABEL}, ignore=["weight"]))

    assert found.missing_columns == ("size",)
    assert home.answers(found).tolist() == [row["kind"] for row in stored]


def test_cells_that_stand_for_missing_values_are_those_of_the_live_version(home):
    """A dash is a category of the candidate's; the live version, a number of which may lack, has it for missing."""
    optional = {"size": "number", "weight": {"kind": "number", "optional": True}, "kind": LABEL}
    rows = [{**row, "weight": row["weight"] if row["size"] % 3 else "-"} for row in made_rows()]
    (home.folder / "rows.csv").write_text(csv_text(rows, COLUMNS))
    live = home.publish(changed(optional, missing_values=["-"]))

    found, stored, _ = home.ask(live, changed({"size": "number", "weight": "category", "kind": LABEL}))

    assert found.row_mask is None
    # Without a weight the model finds the first class likeliest: the candidate's own "-" was taken out.
    expected = [row["kind"] if row["size"] % 3 else 0 for row in stored]
    assert home.answers(found).tolist() == expected


def test_data_that_changes_while_it_is_read_again_is_not_compared(home, monkeypatch):
    live = home.publish(BEFORE)
    open_batches = loading.open_batches

    def changing(dataset, config):
        yield from open_batches(dataset, config)
        if dataset.spec.features.keys() >= {"weight"}:  # what is read for the live version
            with (home.folder / "rows.csv").open("a") as file:
                file.write("1000,0.5,cat\n")

    monkeypatch.setattr(loading, "open_batches", changing)
    with pytest.raises(DataError, match="changed"):
        home.ask(live, changed({"size": "number", "kind": LABEL}, ignore=["weight"]))


def test_where_nothing_changed_the_data_is_not_looked_at_again(home):
    live = home.publish(BEFORE)
    _, dataset = home.load(BEFORE)
    source = DataSource(DataConfig.model_validate(BEFORE), "animals", home.folder, "any")
    (home.folder / "rows.csv").unlink()

    found = prepare_shared_rows(
        live, source, examples_uri="examples", spec=dataset.spec, task=home.task, scratch=home.folder
    )

    assert found.is_as_stored


def test_data_that_changes_between_ingest_and_gate_is_not_compared(home):
    live = home.publish(BEFORE)
    settings = changed({"size": "number", "kind": LABEL}, ignore=["weight"])
    config, dataset = home.load(settings)
    (home.folder / "examples" / "Split-test").mkdir(parents=True)
    source = DataSource(config, "animals", home.folder, "another digest")

    with pytest.raises(DataError, match="has changed since this run read it; run again"):
        prepare_shared_rows(
            live,
            source,
            examples_uri=str(home.folder / "examples"),
            spec=dataset.spec,
            task=home.task,
            scratch=home.folder / "scratch",
        )
