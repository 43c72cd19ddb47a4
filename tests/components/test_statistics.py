import numpy as np
import pytest

from data.config import DriftCheck
from data.spec import DatasetSpec, ImageFeature, LabelFeature, NumberFeature, TextFeature

pytestmark = pytest.mark.slow  # loads TFDV

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={
        "image": ImageFeature(height=2, width=2, channels=1),
        "age": NumberFeature(optional=True),
        "plan": TextFeature(optional=True),
        "label": LabelFeature(classes=("cat", "dog")),
    },
)


def _rows(count: int, shade: int = 100) -> list[dict]:
    rows = []
    for index in range(count):
        image = np.full((2, 2, 1), shade + index % 50, np.uint8)
        image[0] -= 10  # a contrast of 5
        row = {"image": image, "age": float(index), "plan": f"plan {index % 3}", "label": index % 2}
        rows.append(row if index % 4 else {"image": image, "label": 1})
    return rows


def _generate(rows: list[dict], folder):
    from components.example_gen import split_files, write_splits
    from components.statistics import generate
    from data.batches import of_rows

    write_splits(of_rows((("train", row) for row in rows), SPEC), SPEC, folder)
    return generate(split_files(str(folder), "train"), SPEC)


def test_the_statistics_are_those_of_tfdv_over_beam(tmp_path, monkeypatch):
    import tensorflow_data_validation as tfdv

    from components import statistics
    from components.example_gen import split_files

    monkeypatch.setattr(statistics, "BATCH_ROWS", 7)  # so that batches are merged
    found, _ = _generate(_rows(100), tmp_path)
    (pattern,) = split_files(str(tmp_path), "train")
    expected = tfdv.generate_statistics_from_tfrecord(pattern, stats_options=statistics.OPTIONS)

    ours = {feature.path.step[0]: feature for feature in found.datasets[0].features}
    theirs = {feature.path.step[0]: feature for feature in expected.datasets[0].features}
    assert set(ours) == {"age", "plan", "label", "image.brightness", "image.contrast"}
    assert found.datasets[0].num_examples == expected.datasets[0].num_examples == 100
    for name in ("age", "label"):
        assert ours[name].num_stats.mean == pytest.approx(theirs[name].num_stats.mean)
        assert ours[name].num_stats.std_dev == pytest.approx(theirs[name].num_stats.std_dev)
        assert ours[name].num_stats.common_stats.num_missing == theirs[name].num_stats.common_stats.num_missing
    assert ours["plan"].string_stats.unique == theirs["plan"].string_stats.unique == 3
    assert [(top.value, top.frequency) for top in ours["plan"].string_stats.top_values] == [
        (top.value, top.frequency) for top in theirs["plan"].string_stats.top_values
    ]


def test_an_image_is_told_by_brightness_and_contrast(tmp_path):
    found, profile = _generate(_rows(50), tmp_path)

    numbers = {feature.path.step[0]: feature.num_stats for feature in found.datasets[0].features}
    assert numbers["image.brightness"].min == 95
    assert numbers["image.brightness"].max == 144
    assert numbers["image.contrast"].mean == pytest.approx(5)
    assert profile.arrays["rows"].tolist() == [50]
    assert profile.arrays["age.present"].tolist() == profile.arrays["plan.present"].tolist() == [37]
    assert profile.arrays["label.shares"].tolist() == [12, 38]


def test_brighter_images_drift(tmp_path):
    from components.data_gate import find_drift
    from data.checks.reference import DataSummary

    first, profile = _generate(_rows(200), tmp_path / "first")
    second, brighter = _generate(_rows(200, shade=180), tmp_path / "second")
    before, after = DataSummary(first, profile.arrays), DataSummary(second, brighter.arrays)

    drifts = find_drift(before, after, SPEC, DriftCheck())

    assert [drift.feature for drift in drifts] == ["image.brightness"]
    assert "values are 1.00 away" in drifts[0].sentence
