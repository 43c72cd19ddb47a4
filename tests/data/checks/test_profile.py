import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from data.checks import profile
from data.checks.profile import Profile, drifts
from data.spec import DatasetSpec, ImageFeature, LabelFeature, NumberFeature

SPEC = DatasetSpec(
    name="tiny",
    title="made up",
    licence="none",
    features={
        "image": ImageFeature(height=8, width=8, channels=1),
        "label": LabelFeature(classes=("top", "bottom", "left")),
    },
)


def _rows(count: int, seed: int) -> list[dict]:
    """Returns pictures that are bright at the top, at the bottom or on the left, as their label says."""
    generator = np.random.default_rng(seed)
    rows = []
    for index in range(count):
        image = generator.integers(0, 120, (8, 8, 1))
        part = (slice(0, 4), slice(4, 8), (slice(None), slice(0, 4)))[index % 3]
        image[part] += 100
        rows.append({"image": image.astype(np.uint8), "label": index % 3})
    return rows


def _arrays(rows: list[dict], batch: int = 64) -> dict[str, np.ndarray]:
    accumulator = Profile(SPEC)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        accumulator.add({name: np.array([row[name] for row in part]) for name in ("image", "label")})
    return accumulator.arrays


def _sentences(rows: list[dict], max_distance: float = 0.1) -> list[str]:
    return [str(drift.sentence) for drift in drifts(_arrays(_rows(300, 0)), _arrays(rows), SPEC, max_distance)]


def test_rows_are_added_up_by_hand():
    image = np.full((8, 8, 1), 16, np.uint8)

    arrays = _arrays([{"image": image, "label": 1}, {"image": image * 0, "label": 1}])

    assert arrays["label.shares"].tolist() == [0, 2, 0]
    assert arrays["inputs.sum"][1].tolist() == [16] * 64
    assert arrays["inputs.count"].tolist() == [[0] * 64, [2] * 64, [0] * 64]
    assert arrays["inputs.squares"].tolist() == [[0] * 64, [256] * 64, [0] * 64]
    assert arrays["rows"].tolist() == [2]


def test_sums_have_the_same_bits_with_any_number_of_threads():
    features = {"image": ImageFeature(height=32, width=32, channels=1), "label": LabelFeature(classes=("a", "b"))}
    spec = SPEC.model_copy(update={"features": features})
    images = np.random.default_rng(0).integers(0, 256, (2000, 32, 32, 1), np.uint8)

    profiles = []
    for threads in (1, 2, 4):
        accumulator = Profile(spec)
        with threadpool_limits(threads, user_api="blas"):
            accumulator.add({"image": images, "label": np.arange(2000) % 2})
        profiles.append(accumulator.result()["inputs.squares"].tobytes())

    assert len(set(profiles)) == 1


def test_a_profile_is_loaded_as_it_was_saved(tmp_path):
    written = Profile(SPEC)
    written.add({"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([2])})
    written.save(tmp_path / "profile.npz")

    arrays = profile.load(tmp_path / "profile.npz")

    assert {name: values.tolist() for name, values in arrays.items()} == {
        name: values.tolist() for name, values in written.arrays.items()
    }


def test_more_rows_of_one_distribution_have_not_drifted():
    for seed in range(1, 21):
        assert _sentences(_rows(120, seed)) == []


def test_swapped_classes_with_equal_shares_are_reported():
    swapped = [{**row, "label": (1, 0, 2)[row["label"]]} for row in _rows(300, 1)]

    assert _sentences(swapped) == ["classes look swapped: rows of top like bottom, bottom like top"]


def test_labels_that_were_shifted_by_one_are_reported():
    shifted = [{**row, "label": (row["label"] + 1) % 3} for row in _rows(300, 1)]

    assert _sentences(shifted) == ["classes look swapped: rows of top like left, bottom like top, left like bottom"]


def test_a_removed_class_is_reported():
    sentences = _sentences([row for row in _rows(300, 1) if row["label"] != 2])

    assert sentences == ["share of class left was 33.3%, is 0.0%"]


def test_few_rows_may_differ_by_sampling_error():
    assert _sentences(_rows(4, 1)) == []  # top, bottom, left, top: half of the rows are `top`, before a third


def _drift_with_classes(rows: list[dict], classes: tuple[str, ...]) -> list[str]:
    """Returns what has drifted where the same rows come with other classes, or in another order."""
    names = SPEC.features["label"].classes
    spec = SPEC.model_copy(update={"features": {**SPEC.features, "label": LabelFeature(classes=classes)}})
    accumulator, kept_rows = Profile(spec), [row for row in rows if names[row["label"]] in classes]
    labels = np.array([classes.index(names[row["label"]]) for row in kept_rows])
    accumulator.add({"image": np.array([row["image"] for row in kept_rows]), "label": labels})
    return [str(drift.sentence) for drift in drifts(_arrays(rows), accumulator.arrays, spec, 0.4)]


def test_classes_are_matched_by_name():
    rows = _rows(300, 0)

    assert _drift_with_classes(rows, ("left", "top", "bottom")) == []
    assert _drift_with_classes(rows, ("left", "top", "new", "bottom")) == []


def test_shares_of_remaining_classes_are_compared_when_a_class_is_added():
    rows = [row for row in _rows(900, 0) if row["label"] == 0 or row["label"] == 1][:400]
    accumulator = Profile(
        SPEC.model_copy(update={"features": {"label": LabelFeature(classes=("top", "bottom", "new"))}})
    )
    accumulator.add({"label": np.repeat([0, 2], [20, 380])})
    spec = SPEC.model_copy(update={"features": {"label": LabelFeature(classes=("top", "bottom", "new"))}})

    sentences = [str(drift.sentence) for drift in drifts(_arrays(rows), accumulator.arrays, spec, 0.1)]

    assert sentences == ["share of class new was 0.0%, is 95.0%"]


def test_swapped_classes_are_not_judged_by_means_of_other_columns():
    rows = _rows(300, 0)
    before, after = _arrays(rows), _arrays([{**row, "label": (row["label"] + 1) % 3} for row in rows])
    after["inputs.names"] = np.array(["another 8x8x1"])

    assert [drift for drift in drifts(before, after, SPEC, 0.1) if "swapped" in drift.sentence] == []


def test_a_column_may_have_the_name_of_a_profile_array():
    columns = {"inputs": NumberFeature(optional=True), "rows": NumberFeature(optional=True)}
    spec = SPEC.model_copy(update={"features": {**columns, "kind": LabelFeature(classes=("a", "b"))}})
    kinds = np.tile([0, 1], 50)
    original, swapped = Profile(spec), Profile(spec)
    original.add({"inputs": kinds + np.linspace(0, 0.1, 100), "rows": np.full(100, 2.0), "kind": kinds})
    swapped.add({"inputs": 1 - kinds + np.linspace(0, 0.1, 100), "rows": np.full(100, 2.0), "kind": kinds})

    assert drifts(original.arrays, original.arrays, spec, 0.1) == []
    assert [str(drift.sentence) for drift in drifts(original.arrays, swapped.arrays, spec, 0.1)] == [
        "classes look swapped: rows of a like b, b like a"
    ]


def test_classes_of_few_rows_are_not_reported_as_swapped():
    """Means of -1 and 1 are 2 standard deviations apart, 4 squared; the limit for classes of 3 rows is 9 x 2/3."""
    spec = SPEC.model_copy(update={"features": {"n": NumberFeature(), "kind": LabelFeature(classes=("a", "b"))}})

    def swapped(count: int) -> list[str]:
        kinds, profiles = np.tile([0, 1], count), (Profile(spec), Profile(spec))
        for accumulator, sign in zip(profiles, (1, -1), strict=True):
            accumulator.add({"n": sign * np.tile([-1.0, 1.0], count), "kind": kinds})
        return [drift.sentence for drift in drifts(profiles[0].arrays, profiles[1].arrays, spec, 1)]

    assert swapped(3) == []
    assert swapped(6) == ["classes look swapped: rows of a like b, b like a"]


def test_the_critical_distance_of_two_samples():
    assert profile.critical_distance(100, 100) == pytest.approx(0.2305, abs=5e-5)  # 1.63 times the root of 2/100
