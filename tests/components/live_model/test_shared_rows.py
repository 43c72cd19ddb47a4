"""After a change of a pipeline: the rows that candidate and live version share, with the live version's inputs."""

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
from tests.components.live_model.homes import BEFORE, COLUMNS, LABEL, Home, changed, synthetic_rows
from tests.data.corpus import csv_text, png

pytestmark = pytest.mark.slow  # loads TensorFlow and TFX


def test_without_a_change_the_stored_examples_are_used(home):
    shared_rows, _, _ = home.shared_rows(home.publish(BEFORE), BEFORE)

    assert shared_rows.is_as_stored
    assert shared_rows.row_mask is None


@pytest.mark.parametrize(
    "settings",
    [
        changed({"size": "number", "kind": LABEL}, ignore=["weight"]),
        changed({"size": "number", "weight": "category", "kind": LABEL}),
        changed({"size": "number", "weight": {"kind": "number", "optional": True}, "kind": LABEL}),
    ],
    ids=["dropped", "other kind", "optional now"],
)
def test_the_live_version_gets_a_column_that_the_data_still_has(home, settings):
    shared_rows, rows, _ = home.shared_rows(home.publish(BEFORE), settings)

    assert shared_rows.row_mask is None
    assert home.predicted_classes(shared_rows).tolist() == [row["kind"] for row in rows]
    assert len(rows) > 5


@pytest.mark.parametrize("files", ["photos", "rows.csv", "parts/*.csv"])
def test_data_that_was_moved_is_read_again_from_its_new_folder(tmp_path, monkeypatch, files):
    """Row ids used to hold paths relative to the run file's folder: no row was found, and nothing was compared."""
    home, data = Home(tmp_path), tmp_path / "token-5f3a9c"
    (data / "parts").mkdir(parents=True)
    header, *lines = csv_text(synthetic_rows(), COLUMNS).splitlines(keepends=True)
    (data / "rows.csv").write_text("".join([header, *lines]))
    for name, part in (("a", lines[::2]), ("b", lines[1::2])):
        (data / "parts" / f"{name}.csv").write_text("".join([header, *part]))
    for index, name, shade in ((i, *photo) for i in range(40) for photo in (("dark", i), ("light", 250 - i))):
        (data / "photos" / name).mkdir(parents=True, exist_ok=True)
        (data / "photos" / name / f"{index}.png").write_bytes(png(shade))
    monkeypatch.setenv("DATA_ROOT", str(data))
    before, after = BEFORE, changed({"size": "number", "kind": LABEL}, ignore=["weight"])
    if files == "photos":
        home.task = registry.task("image_classification")
        before, after = (
            changed({"image": {"kind": "image", "height": side, "width": side, "channels": 1}}) for side in (8, 4)
        )
    before, after = ({**settings, "files": f"${{ENV:DATA_ROOT}}/{files}"} for settings in (before, after))
    live = home.publish(before)

    def move_data() -> Path:
        new_folder = tmp_path / "elsewhere" / "mnt"
        new_folder.parent.mkdir()
        data.rename(new_folder)
        monkeypatch.setenv("DATA_ROOT", str(new_folder))
        return tmp_path / "elsewhere"

    shared_rows, rows, spec = home.shared_rows(live, after, move_data)

    assert shared_rows.row_mask is None
    assert home.predicted_classes(shared_rows).tolist() == [row[spec.targets()[0]] for row in rows]
    assert not any("5f3a9c" in file for file, _ in read_row_ids(str(tmp_path / "examples")))


def test_rows_that_are_not_where_ingest_found_them_are_an_error(home):
    live = home.publish(BEFORE)
    settings = changed({"size": "number", "kind": LABEL}, ignore=["weight"])

    def replace_row_ids() -> Path:
        file = ROW_IDS.path(str(home.folder / "examples"))
        with np.load(file) as arrays:
            np.savez(file, files=np.array(["../rows.csv"]), places=arrays["places"])
        return home.folder

    with pytest.raises(DataError, match=r"(\d+) of \1 test rows of data set animals are not where ingest found them"):
        home.shared_rows(live, settings, replace_row_ids)


def test_inferred_columns_are_read_again_as_the_same_kinds(home):
    lines = [f"{i},5;{i % 2},{i:03}1;{row['kind']}" for i, row in enumerate(synthetic_rows())]
    (home.folder / "rows.csv").write_text("\n".join(["size;weight;kind", *lines]))
    before = {name: value for name, value in BEFORE.items() if name != "features"}
    before |= {"label": "kind", "delimiter": ";"}

    shared_rows, rows, _ = home.shared_rows(home.publish(before), before | {"ignore": ["weight"]})

    assert shared_rows.row_mask is None
    assert home.predicted_classes(shared_rows).tolist() == [row["kind"] for row in rows]
    assert len(rows) > 5


def test_the_live_version_does_not_get_a_new_column(home):
    before = changed({"weight": "number", "kind": LABEL}, ignore=["size"])

    shared_rows, rows, _ = home.shared_rows(home.publish(before), BEFORE)

    assert shared_rows.is_as_stored
    assert home.predicted_classes(shared_rows).tolist() == [row["kind"] for row in rows]


def test_an_optional_column_that_the_data_no_longer_has_is_listed(home):
    live = home.publish(changed({"size": {"kind": "number", "optional": True}, "weight": "number", "kind": LABEL}))
    (home.folder / "rows.csv").write_text(csv_text(synthetic_rows(), ["weight", "kind"]))
    settings = changed({"weight": "number", "kind": LABEL}, checks={"duplicates": {"policy": "warn"}})

    shared_rows, rows, _ = home.shared_rows(live, settings)

    assert why_not_comparable(live, "tabular_classification", home.load(settings)[1], is_compared=True) == ""
    assert shared_rows.missing_columns == ("size",)
    assert home.predicted_classes(shared_rows).tolist() == [row["kind"] for row in rows]


def test_rows_with_cells_that_the_live_version_cannot_read_are_left_out(home):
    live = home.publish(BEFORE)
    some_words = [{**row, "weight": row["weight"] if row["size"] % 3 else "heavy"} for row in synthetic_rows()]
    (home.folder / "rows.csv").write_text(csv_text(some_words, COLUMNS))

    shared_rows, rows, _ = home.shared_rows(live, changed({"size": "number", "kind": LABEL}, ignore=["weight"]))

    kept = [row["size"] % 3 > 0 for row in rows]
    assert shared_rows.row_mask.tolist() == kept
    assert home.predicted_classes(shared_rows).tolist() == [
        row["kind"] for row, keep in zip(rows, kept, strict=True) if keep
    ]


@pytest.mark.parametrize("kinds", [("ant", "cat", "dog"), ("dog", "cat")], ids=["class added", "other order"])
def test_classes_are_matched_by_name(home, kinds):
    live = home.publish(BEFORE)
    live = home.publish(BEFORE)
    # The weight means cat, dog or ant, whatever the order of the candidate's classes.
    rows = synthetic_rows(90, ("cat", "dog", "ant")) if "ant" in kinds else synthetic_rows()
    (home.folder / "rows.csv").write_text(csv_text(rows, COLUMNS))
    features = {"size": "number", "weight": "number", "kind": {"kind": "label", "classes": list(kinds)}}

    shared_rows, rows, _ = home.shared_rows(live, changed(features))

    names = [kinds[row["kind"]] for row in rows]
    known = [name for name in names if name != "ant"]
    assert [kinds[index] for index in home.predicted_classes(shared_rows)] == known
    assert (shared_rows.row_mask is None) == ("ant" not in kinds)
    assert shared_rows.row_mask is None or shared_rows.row_mask.tolist() == [name != "ant" for name in names]


def test_the_live_versions_scores_lack_a_class_that_was_removed(home):
    three = {"kind": "label", "classes": ["cat", "dog", "ant"]}
    live = home.publish(changed({"size": "number", "weight": "number", "kind": three}))

    shared_rows, rows, _ = home.shared_rows(live, BEFORE)

    batches = predictions.predict_batches(
        shared_rows.saved_model, split_files(shared_rows.live_examples, "test"), home.task
    )
    scores = np.concatenate([outputs for _, outputs, _ in batches])
    assert shared_rows.row_mask is None
    assert scores.shape == (len(rows), 2)
    assert scores.sum(axis=1) == pytest.approx(1 - 0.2 / 3)  # without the probability of ants
    assert scores.argmax(axis=1).tolist() == [row["kind"] for row in rows]


@pytest.mark.parametrize(("height", "channels"), [(4, 1), (12, 1), (8, 3)], ids=["smaller", "larger", "in color"])
def test_pictures_of_another_size_are_read_again_for_the_live_version(tmp_path, height, channels):
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

    shared_rows, rows, spec = home.shared_rows(live, after)

    assert isinstance(spec.features["image"], ImageFeature)
    assert home.predicted_classes(shared_rows).tolist() == [row["label"] for row in rows]
    assert not shared_rows.is_as_stored


def test_shared_rows_are_empty_where_the_live_version_can_read_none(home):
    live = home.publish(BEFORE)
    words = [{**row, "weight": "heavy" if row["size"] % 2 else "light"} for row in synthetic_rows()]
    (home.folder / "rows.csv").write_text(csv_text(words, COLUMNS))

    shared_rows, _, _ = home.shared_rows(live, changed({"size": "number", "weight": "category", "kind": LABEL}))

    assert shared_rows.is_empty


def test_a_missing_column_is_listed_and_an_ignored_one_is_read(home):
    live = home.publish(changed({"size": {"kind": "number", "optional": True}, "weight": "number", "kind": LABEL}))
    rows = [{**row, "height": row["size"]} for row in synthetic_rows()]
    (home.folder / "rows.csv").write_text(csv_text(rows, ["height", "weight", "kind"]))

    shared_rows, stored, _ = home.shared_rows(live, changed({"height": "number", "kind": LABEL}, ignore=["weight"]))

    assert shared_rows.missing_columns == ("size",)
    assert home.predicted_classes(shared_rows).tolist() == [row["kind"] for row in stored]


def test_missing_value_markers_are_those_of_the_live_version(home):
    """A dash is a category to the candidate, and marks a missing number to the live version."""
    optional = {"size": "number", "weight": {"kind": "number", "optional": True}, "kind": LABEL}
    rows = [{**row, "weight": row["weight"] if row["size"] % 3 else "-"} for row in synthetic_rows()]
    (home.folder / "rows.csv").write_text(csv_text(rows, COLUMNS))
    live = home.publish(changed(optional, missing_values=["-"]))

    shared_rows, stored, _ = home.shared_rows(live, changed({"size": "number", "weight": "category", "kind": LABEL}))

    assert shared_rows.row_mask is None
    # Without a weight the model predicts the first class: the candidate's "-" was not among its inputs.
    expected = [row["kind"] if row["size"] % 3 else 0 for row in stored]
    assert home.predicted_classes(shared_rows).tolist() == expected


def test_data_that_changes_while_it_is_read_again_is_an_error(home, monkeypatch):
    live = home.publish(BEFORE)
    open_batches = loading.open_batches

    def change_data_after_reading(dataset, config):
        yield from open_batches(dataset, config)
        if dataset.spec.features.keys() >= {"weight"}:  # the batches for the live version
            with (home.folder / "rows.csv").open("a") as file:
                file.write("1000,0.5,cat\n")

    monkeypatch.setattr(loading, "open_batches", change_data_after_reading)
    with pytest.raises(DataError, match="changed"):
        home.shared_rows(live, changed({"size": "number", "kind": LABEL}, ignore=["weight"]))


def test_without_a_change_the_data_is_not_read_again(home):
    live = home.publish(BEFORE)
    _, dataset = home.load(BEFORE)
    source = DataSource(DataConfig.model_validate(BEFORE), "animals", home.folder, "any")
    (home.folder / "rows.csv").unlink()

    shared_rows = prepare_shared_rows(
        live, source, examples_uri="examples", spec=dataset.spec, task=home.task, scratch=home.folder
    )

    assert shared_rows.is_as_stored


def test_data_that_changes_between_ingest_and_gate_is_an_error(home):
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
