import numpy as np
import pytest

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
    made = Profile(SPEC)
    for start in range(0, len(rows), batch):
        part = rows[start : start + batch]
        made.add({name: np.array([row[name] for row in part]) for name in ("image", "label")})
    return made.arrays


def _told(rows: list[dict], max_distance: float = 0.1) -> list[str]:
    return [str(one.sentence) for one in drifts(_arrays(_rows(300, 0)), _arrays(rows), SPEC, max_distance)]


def test_rows_are_added_up_by_hand():
    image = np.full((8, 8, 1), 16, np.uint8)

    arrays = _arrays([{"image": image, "label": 1}, {"image": image * 0, "label": 1}])

    assert arrays["label.shares"].tolist() == [0, 2, 0]
    assert arrays["inputs.sum"][1].tolist() == [16] * 64
    assert arrays["inputs.count"].tolist() == [[0] * 64, [2] * 64, [0] * 64]
    assert arrays["inputs.squares"].tolist() == [[0] * 64, [256] * 64, [0] * 64]
    assert arrays["rows"].tolist() == [2]


def test_it_is_read_back_as_written(tmp_path):
    made = Profile(SPEC)
    made.add({"image": np.zeros((1, 8, 8, 1), np.uint8), "label": np.array([2])})
    made.save(tmp_path / "profile.npz")

    read = profile.load(tmp_path / "profile.npz")

    assert {name: values.tolist() for name, values in read.items()} == {
        name: values.tolist() for name, values in made.arrays.items()
    }


def test_more_of_the_same_has_not_drifted():
    for seed in range(1, 21):
        assert _told(_rows(120, seed)) == []


def test_swapped_classes_are_told_though_their_shares_are_equal():
    swapped = [{**row, "label": (1, 0, 2)[row["label"]]} for row in _rows(300, 1)]

    assert _told(swapped) == ["classes look swapped: rows of top like bottom, bottom like top"]


def test_labels_that_were_shifted_by_one_are_told():
    shifted = [{**row, "label": (row["label"] + 1) % 3} for row in _rows(300, 1)]

    assert _told(shifted) == ["classes look swapped: rows of top like left, bottom like top, left like bottom"]


def test_a_class_that_is_gone_is_told():
    sentences = _told([row for row in _rows(300, 1) if row["label"] != 2])

    assert sentences == ["share of class left was 33.3%, is 0.0%"]


def test_a_handful_of_rows_may_differ_by_chance():
    assert _told(_rows(4, 1)) == []  # top, bottom, left, top: half are `top`, a third was


def _in_other_words(rows: list[dict], classes: tuple[str, ...]) -> list[str]:
    """Returns what has drifted where the same rows come with other classes, or in another order."""
    names = SPEC.features["label"].classes
    spec = SPEC.model_copy(update={"features": {**SPEC.features, "label": LabelFeature(classes=classes)}})
    made, kept = Profile(spec), [row for row in rows if names[row["label"]] in classes]
    labels = np.array([classes.index(names[row["label"]]) for row in kept])
    made.add({"image": np.array([row["image"] for row in kept]), "label": labels})
    return [str(one.sentence) for one in drifts(_arrays(rows), made.arrays, spec, 0.4)]


def test_classes_are_matched_by_name():
    rows = _rows(300, 0)

    assert _in_other_words(rows, ("left", "top", "bottom")) == []
    assert _in_other_words(rows, ("left", "top", "new", "bottom")) == []


def test_the_share_of_a_class_that_stays_is_looked_at_when_another_is_added():
    rows = [row for row in _rows(900, 0) if row["label"] == 0 or row["label"] == 1][:400]
    more = Profile(SPEC.model_copy(update={"features": {"label": LabelFeature(classes=("top", "bottom", "new"))}}))
    more.add({"label": np.repeat([0, 2], [20, 380])})
    spec = SPEC.model_copy(update={"features": {"label": LabelFeature(classes=("top", "bottom", "new"))}})

    told = [str(one.sentence) for one in drifts(_arrays(rows), more.arrays, spec, 0.1)]

    assert told == ["share of class new was 0.0%, is 95.0%"]


def test_means_of_other_columns_say_nothing_of_swapped_classes():
    rows = _rows(300, 0)
    before, after = _arrays(rows), _arrays([{**row, "label": (row["label"] + 1) % 3} for row in rows])
    after["inputs.names"] = np.array(["another 8x8x1"])

    assert [one for one in drifts(before, after, SPEC, 0.1) if "swapped" in one.sentence] == []


def test_a_column_called_as_a_part_of_the_profile_is_no_part_of_it():
    columns = {"inputs": NumberFeature(optional=True), "rows": NumberFeature(optional=True)}
    spec = SPEC.model_copy(update={"features": {**columns, "kind": LabelFeature(classes=("a", "b"))}})
    kinds = np.tile([0, 1], 50)
    made, swapped = Profile(spec), Profile(spec)
    made.add({"inputs": kinds + np.linspace(0, 0.1, 100), "rows": np.full(100, 2.0), "kind": kinds})
    swapped.add({"inputs": 1 - kinds + np.linspace(0, 0.1, 100), "rows": np.full(100, 2.0), "kind": kinds})

    assert drifts(made.arrays, made.arrays, spec, 0.1) == []
    assert [str(one.sentence) for one in drifts(made.arrays, swapped.arrays, spec, 0.1)] == [
        "classes look swapped: rows of a like b, b like a"
    ]


def test_few_rows_look_like_another_class_by_chance():
    """Swapped classes of -1 and 1 are 2 deviations apart, 4 squared: of 3 rows each chance explains 9 x 2/3."""
    spec = SPEC.model_copy(update={"features": {"n": NumberFeature(), "kind": LabelFeature(classes=("a", "b"))}})

    def swapped(count: int) -> list[str]:
        kinds, profiles = np.tile([0, 1], count), (Profile(spec), Profile(spec))
        for made, sign in zip(profiles, (1, -1), strict=True):
            made.add({"n": sign * np.tile([-1.0, 1.0], count), "kind": kinds})
        return [one.sentence for one in drifts(profiles[0].arrays, profiles[1].arrays, spec, 1)]

    assert swapped(3) == []
    assert swapped(6) == ["classes look swapped: rows of a like b, b like a"]


def test_two_samples_of_one_distribution_differ_by_chance():
    assert profile.critical_distance(100, 100) == pytest.approx(0.2305, abs=5e-5)  # 1.63 times the root of 2/100
