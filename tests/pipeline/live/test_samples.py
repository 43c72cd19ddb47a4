import json
import zipfile

import pytest

from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.spec import (
    CategoryFeature,
    DatasetSpec,
    ImageFeature,
    LabelFeature,
    NumberFeature,
    SequenceFeature,
    TargetFeature,
)
from pipeline.live import samples
from pipeline.live.samples import Sample

CLASSES = DatasetSpec(
    name="a", title="a", licence="a", features={"x": NumberFeature(), "y": LabelFeature(classes=("no", "yes"))}
)
NUMBERS = DatasetSpec(name="a", title="a", licence="a", features={"x": NumberFeature(), "y": TargetFeature()})
DAY = 86400.0


def _labels(path, spec=CLASSES, **settings):
    return samples.read_labels(path, spec, DataConfig(files="rows.csv", **settings))


def _written(folder, name, text):
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def _sample(identifier: str, yes: float, moment: float = 1.0, row: int = 0) -> Sample:
    return Sample(moment, identifier, row, 1, {"x": 1.0}, {"classes": ["no", "yes"], "scores": [1 - yes, yes]})


def test_lines_are_read_in_order_and_broken_ones_left_out(tmp_path):
    line = {"time": 5.0, "id": "a", "row": 0, "version": 7, "features": {"x": 1.0}, "outputs": {}}
    (tmp_path / "2026-01-02.jsonl").write_text(json.dumps(line | {"time": 9.0}) + '\n{"time": 1')
    (tmp_path / "2026-01-01.jsonl").write_text(json.dumps(line) + "\n[]\n\n")

    assert [sample.time for sample in samples.read(tmp_path)] == [5.0, 9.0]
    assert [sample.time for sample in samples.read(tmp_path, since=5.0)] == [9.0]
    assert samples.read(tmp_path / "none") == []


def test_accuracy_of_each_day_with_wilsons_interval():
    requests = [_sample("a", 0.9), _sample("b", 0.9, DAY), _sample("c", 0.1, DAY), _sample("d", 0.9)]
    labels = {("a", 0): 1, ("b", 0): 0, ("c", 0): 0, ("nobody", 0): 1}

    first, second = samples.quality(requests, labels, CLASSES)

    assert (first.day, first.rows, first.metric, first.value) == ("1970-01-01", 1, "accuracy", 1.0)
    assert (second.day, second.rows, second.value) == ("1970-01-02", 2, 0.5)
    assert second.low < 0.5 < second.high


def test_mean_absolute_error_of_numbers():
    requests = [Sample(1.0, "a", row, 1, {}, {"outputs": value}) for row, value in enumerate((2.0, 5.0))]

    (day,) = samples.quality(requests, {("a", 0): 3.0, ("a", 1): 3.0}, NUMBERS)

    assert (day.metric, day.value) == ("mae", 1.5)


def test_labels_without_a_sample_are_an_error():
    with pytest.raises(ConfigError, match="None of 1 labels belongs to one of 1 sampled rows"):
        samples.quality([_sample("a", 0.9)], {("b", 0): 1}, CLASSES)


def test_a_file_of_labels(tmp_path):
    (tmp_path / "labels.csv").write_text("id,label,row\na,yes,\na,no,1\n")
    (tmp_path / "bad.csv").write_text("identifier,label\n1,2\n")

    assert _labels(tmp_path / "labels.csv") == {("a", 0): 1, ("a", 1): 0}
    with pytest.raises(DataError, match=r"bad.csv:1: column id is missing; expected id,label\[,row\]"):
        _labels(tmp_path / "bad.csv")
    with pytest.raises(DataError, match="cannot be read"):
        _labels(tmp_path / "none.csv")


def test_a_file_of_labels_is_read_as_training_data_is(tmp_path):
    (tmp_path / "excel.csv").write_text("\ufeffid;label;row\r\na; yes ;\r\na;no;1\r\n", encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "labels.zip", "w") as archive:
        archive.writestr("labels.csv", "id,label\na,yes\n")
    (tmp_path / "labels.jsonl").write_text('{"id": 7, "label": "yes"}\n{"id": "a", "label": "yes", "row": 2.0}\n')
    (tmp_path / "bad.csv").write_text("id,label,row\na,yes,first\n")

    assert _labels(tmp_path / "excel.csv") == {("a", 0): 1, ("a", 1): 0}
    assert _labels(tmp_path / "labels.zip") == {("a", 0): 1}
    assert _labels(tmp_path / "labels.jsonl") == {("7", 0): 1, ("a", 2): 1}
    with pytest.raises(DataError, match=r"bad.csv:2:row: expected the row of a request"):
        _labels(tmp_path / "bad.csv")


def test_a_missing_label_is_left_out(tmp_path):
    """Missing labels counted as wrong predictions."""
    table = _written(tmp_path, "labels.csv", "id,label,row\na,yes,0.0\nb,,\nc,n/a,1.0\n")
    lines = _written(tmp_path, "labels.jsonl", '{"id": "a", "label": "yes"}\n{"id": "b", "label": null}\n')
    labels = _labels(table, missing_values=("", "n/a"))

    assert labels == {("a", 0): 1} == _labels(lines)
    assert samples.quality([_sample("a", 0.9), _sample("b", 0.9)], labels, CLASSES)[0].rows == 1


def test_a_label_is_mapped_to_the_class_that_training_maps_it_to(tmp_path):
    spec = CLASSES.model_copy(update={"features": {"y": LabelFeature(classes=("caf\u00e9", "1"))}})
    table = _written(tmp_path, "labels.csv", "id,label\na,cafe\u0301\nb,1.0\n")
    matching = Sample(1.0, "a", 0, 1, {}, {"classes": ["caf\u00e9", "1"], "scores": [0.9, 0.1]})
    of_older_version = Sample(1.0, "b", 0, 1, {}, {"classes": ["another", "1"], "scores": [0.9, 0.1]})

    (day,) = samples.quality([matching, of_older_version], _labels(table, spec), spec)

    assert (day.rows, day.value) == (2, 0.5)
    with pytest.raises(DataError, match=r"typo.csv:2:label: expected one of no, yes, found 'Yes' \(meant 'yes'\?\)\.$"):
        _labels(_written(tmp_path, "typo.csv", "id,label\na,Yes\n"))


def test_a_number_is_read_in_the_notation_of_the_training_data(tmp_path):
    table = _written(tmp_path, "labels.csv", "id;label\na;1.234,5\nb;\n")

    assert _labels(table, NUMBERS, decimal=",", thousands=".") == {("a", 0): 1234.5}
    for text, reason in (("12,5", "expected a number, found '12,5'"), ("nan", "expected a finite number, found 'nan'")):
        with pytest.raises(DataError, match=f"one.csv:2:label: {reason}"):
            _labels(_written(tmp_path, "one.csv", f"id;label\na;{text}\n"), NUMBERS)


def test_missing_values_stay_missing_and_pixels_are_decoded():
    spec = DatasetSpec(
        name="a", title="a", licence="a",
        features={"x": NumberFeature(optional=True), "kind": CategoryFeature(optional=True),
                  "image": ImageFeature(height=1, width=2, channels=1)},
    )  # fmt: skip
    sample = Sample(1.0, "a", 0, 1, {"x": float("nan"), "kind": "", "image": {"b64": "AP8="}}, {})

    assert sample.stored(spec) == {"image": b"\x00\xff"}
    assert Sample(1.0, "a", 0, 1, {"image": "PNG..."}, {}).stored(spec) is None  # an encoded file, not pixels
    assert Sample(1.0, "a", 0, 1, {"x": 2, "kind": "é"}, {}).stored(CLASSES) == {"x": 2}


def test_sequences_of_a_request_are_stored_step_by_step():
    features = {"s": SequenceFeature(), "c": SequenceFeature(of="category"), "empty": SequenceFeature(optional=True)}
    spec = DatasetSpec(name="a", title="a", licence="a", features=features)
    sample = Sample(1.0, "a", 0, 1, {"s": [1.5, 2.0], "c": ["é", "x"], "empty": []}, {})

    assert sample.stored(spec) == {"s": [1.5, 2.0], "c": ["é".encode(), b"x"]}
