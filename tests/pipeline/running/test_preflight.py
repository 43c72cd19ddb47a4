import json
from pathlib import Path

import pytest

from data.errors import ConfigError
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.running import preflight
from tests.mounts import read_only, small_disk


def test_digits_fits_on_this_machine(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.runs.mkdir(parents=True)

    preflight.check(config.load("digits"), paths)


def test_a_copy_that_would_write_into_the_original_through_a_link_is_refused(tmp_path):
    original, copy = (PipelinePaths.of(tmp_path / name, "digits") for name in ("original", "copy"))
    (original.artifacts / "train").mkdir(parents=True)
    original.database.touch()
    copy.artifacts.mkdir(parents=True)
    (copy.artifacts / "train").symlink_to(original.artifacts / "train")

    with pytest.raises(
        ConfigError, match=rf"artifacts/train is a link into {original.runs}, which has a database of its own"
    ):
        preflight.check(config.load("digits"), copy)


def test_artifacts_may_lie_on_another_disk(tmp_path):
    paths = PipelinePaths.of(tmp_path / "home", "digits")
    paths.runs.mkdir(parents=True)
    (tmp_path / "disk").mkdir()
    paths.artifacts.symlink_to(tmp_path / "disk")

    preflight.check(config.load("digits"), paths)


def test_the_size_of_a_row_is_that_of_its_pixels_and_its_label():
    assert config.load("fashion_mnist").dataset.spec.row_bytes() == 28 * 28 + 8 + 64


def test_a_batch_that_memory_cannot_hold_is_refused(tmp_path, monkeypatch):
    paths = PipelinePaths.of(tmp_path, "fashion_mnist")
    paths.runs.mkdir(parents=True)
    named = config.load("fashion_mnist", ["train.batch_size=54984"])
    needed = 54984 * (784 + 72) * 4 * 200 / 2**20  # 35.9 GiB
    if preflight.psutil.virtual_memory().available / 2**20 > needed:
        pytest.skip("this machine has the memory")

    with pytest.raises(
        ConfigError, match=r"train.batch_size: a step of 54,984 examples needs about 35,9\d\d MiB of memory"
    ):
        preflight.check(named, paths)


def _pictures(folder, side: int, count: int, *overrides: str):
    """Returns a pipeline with `count` images of `side` times `side` pixels by its run file; the files are empty."""
    for name in ("cat", "dog"):
        (folder / "photos" / name).mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / "photos" / ("cat", "dog")[number % 2] / f"{number}.png").touch()
    (folder / "pets.yaml").write_text(
        "task: image_classification\n"
        f"data: {{files: photos, features: {{image: {{kind: image, height: {side}, width: {side}, channels: 3}}}}}}\n"
    )
    return config.load(str(folder / "pets.yaml"), list(overrides))


@pytest.mark.parametrize(
    ("setting", "buffer", "validation"),
    [
        ("train.buffer_mib=4096", 2400, 300),  # all are kept, as float32
        ("train.buffer_mib=1024", 600, 300),  # 8 in 10 rows of 0.75 MiB, and 1 in 10 as float32
        ("train.buffer_mib=200", 200, 0),  # what is larger is not kept
        ("train.shuffle_buffer=100", 75, 300),
    ],
)
def test_memory_of_training_and_validation_rows_is_limited_by_the_buffer(tmp_path, setting, buffer, validation):
    named = _pictures(tmp_path, 512, 1000, "train.batch_size=1", setting)

    needed = preflight.memory_mib(named)

    step = 0.75 * 4 * 200
    assert list(needed.values()) == pytest.approx([step, buffer, validation], rel=0.01)


def test_a_buffer_that_memory_cannot_hold_is_refused(tmp_path):
    paths = PipelinePaths.of(tmp_path, "pets")
    paths.runs.mkdir(parents=True)
    named = _pictures(tmp_path, 20_000, 3000, "train.batch_size=1", "train.buffer_mib=10000000")

    with pytest.raises(
        ConfigError, match=r"train.buffer_mib: the training rows needs about 2,746,\d\d\d MiB of memory"
    ):
        preflight._check_memory(named)


def test_a_full_disk_is_refused_before_any_work(tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, "1m"):
        paths = PipelinePaths.of(disk, "digits")
        paths.runs.mkdir(parents=True)

        with pytest.raises(
            ConfigError, match=r"runs/digits has 1 MiB free, a run of digits needs about 100; free some"
        ):
            preflight.check(config.load("digits"), paths)


def test_all_rows_are_read_and_counted_without_a_run(tmp_path):
    summary = preflight.read_everything(config.load("digits"))

    assert {split: facts["rows"] for split, facts in summary["splits"].items()} == {
        "train": 1226,
        "validation": 190,
        "test": 381,
    }
    assert sum(summary["splits"]["test"]["classes"].values()) == 381
    assert summary["notes"] == []
    assert not list(tmp_path.iterdir())


def test_classes_without_a_row_in_a_split_are_noted_once_for_each_split(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split, names in {"train": "aaabbbccc", "test": "aaa", "validation": "aabbccd"}.items():
        rows = "".join(f"{number}.5,{name}\n" for number, name in enumerate(names))
        Path(f"{split}.csv").write_text(f"size,kind\n{rows}")
    Path("mine.yaml").write_text(
        "task: tabular_classification\n"
        "data:\n"
        "  files: {train: train.csv, validation: validation.csv, test: test.csv}\n"
        "  checks: {leakage: {policy: warn}, min_rows: 1, min_classes: 1}\n"
        "  features: {size: number, kind: {kind: label, classes: [a, b, c, d]}}\n"
    )

    notes = preflight.read_everything(config.load("mine.yaml"))["notes"]

    assert [note for note in notes if "no row" in note] == [
        "1 of 4 classes has no row in train (d): it cannot be learned; add rows to split train, or take out what is no "
        "class",
        "3 of 4 classes have no row in test (b, c, d): they cannot be measured; add rows to split test, or take out "
        "what is no class",
    ]


def test_a_class_with_a_single_row_in_test_or_validation_is_noted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    kinds = ["no"] * 400 + ["yes"] * 6 + ["maybe"] * 6
    Path("rows.csv").write_text("size,kind\n" + "".join(f"{n}.5,{kind}\n" for n, kind in enumerate(kinds)))
    Path("test.csv").write_text("size,kind\n.1,no\n.2,no\n.3,yes\n.4,maybe\n.6,maybe\n")
    Path("mine.yaml").write_text(
        "task: tabular_classification\n"
        "data:\n"
        "  files: {train: rows.csv, test: test.csv}\n"
        "  checks: {leakage: {policy: warn}, min_rows: 1, min_classes: 1}\n"
        "  features: {size: number, kind: {kind: label, classes: [no, yes, maybe]}}\n"
    )
    named = config.load("mine.yaml")

    assert (
        "1 class has only 1 row in test (yes): its recall, F1 and AUC say next to nothing; add rows to split test"
        in preflight.read_everything(named)["notes"]
    )
    counts = {"train": {"no": 1}, "validation": {"no": 9, "yes": 1, "maybe": 1}, "test": {"no": 9}}
    assert preflight._single_rows(named, counts) == [
        "2 classes have only 1 row in validation (yes, maybe): their recall, F1 and AUC say next to nothing; "
        "add rows, or raise data.splits.validation"
    ]


@pytest.mark.parametrize(("num_rare", "remedy"), [(1, "at least one of a class for each of 3 splits"), (3, "or raise")])
def test_larger_shares_are_suggested_only_if_a_class_has_a_row_for_each_split(tmp_path, monkeypatch, num_rare, remedy):
    monkeypatch.chdir(tmp_path)
    kinds = ["a", "b"] * 60 + ["rare"] * num_rare
    Path("rows.csv").write_text("size,who,kind\n" + "".join(f"{n}.5,{k},{k}\n" for n, k in enumerate(kinds)))
    Path("mine.yaml").write_text(
        "task: tabular_classification\n"
        "data:\n"
        "  files: rows.csv\n"
        "  checks: {min_rows: 1, min_classes: 1}\n"
        "  roles: {group: who}\n"
        "  features: {size: number, kind: {kind: label, classes: [a, b, rare]}}\n"
    )
    named = config.load("mine.yaml")

    counts = {"train": {"a": 60, "b": 60, "rare": num_rare}, "test": {"a": 9, "b": 9}, "validation": {"a": 1, "b": 1}}

    assert all(remedy in note for note in preflight._absent_classes(named, counts))


def test_disk_space_is_estimated_by_the_size_of_images_in_the_run_file(tmp_path):
    (tmp_path / "photos" / "cat").mkdir(parents=True)
    (tmp_path / "photos" / "dog").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "photos" / name / "1.png").write_bytes(b"x")
    (tmp_path / "pets.yaml").write_text(
        "task: image_classification\n"
        "data: {files: photos, features: {image: {kind: image, height: 5000, width: 5000, channels: 3}}}\n"
    )
    disk = tmp_path / "disk"
    with small_disk(disk, "120m"):
        paths = PipelinePaths.of(disk, "pets")
        paths.runs.mkdir(parents=True)

        with pytest.raises(ConfigError, match="has 120 MiB free, a run of pets needs about 243"):  # 2 x 71.5 + 100
            preflight.check(config.load(str(tmp_path / "pets.yaml")), paths)


@pytest.mark.parametrize("folder", ["", "runs", "runs/digits", "runs/digits/logs", "serving/digits", "tensorboard"])
def test_a_home_that_cannot_be_written_to_is_refused_before_any_work(tmp_path, folder):
    (tmp_path / "home" / folder).mkdir(parents=True)
    paths = PipelinePaths.of(tmp_path / "home", "digits")

    with (
        read_only(tmp_path / "home" / folder),
        pytest.raises(ConfigError, match=rf"{tmp_path / 'home' / folder} cannot be written to; run `chmod u\+w "),
    ):
        preflight.check(config.load("digits"), paths)


def test_a_read_only_database_is_refused_before_any_work(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.runs.mkdir(parents=True)
    paths.database.touch()

    with (
        read_only(paths.database),
        pytest.raises(ConfigError, match=r"metadata\.db cannot be written to; run `chmod u\+w "),
    ):
        preflight.check(config.load("digits"), paths)


def test_columns_that_are_served_under_another_name_are_noted(tmp_path):
    (tmp_path / "t.csv").write_text("A,a,size in cm,kind\n1,2,3,x\n")
    features = "{A: number, a: number, size in cm: number, kind: {kind: label, classes: [x, y]}}"
    run_file = tmp_path / "t.yaml"
    run_file.write_text(f"task: tabular_classification\ndata: {{files: t.csv, features: {features}}}\n")

    assert preflight.renamed_inputs(config.load(str(run_file))) == [
        "served signature columns takes 'A' as A_559aead0, 'a' as a_ca978112, 'size in cm' as size_in_cm"
    ]
    assert preflight.renamed_inputs(config.load("digits")) == []


def test_a_live_version_that_cannot_be_compared_is_refused_before_any_work(tmp_path):
    paths = PipelinePaths.of(tmp_path, "digits")
    paths.runs.mkdir(parents=True)
    named = config.load("digits")
    spec = named.dataset.spec.model_dump(mode="json")
    manifest = paths.serving / "1" / "assets.extra" / "headrace.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text(json.dumps({"task": "text_classification", "spec": spec}))

    with pytest.raises(
        ConfigError, match=r"^digits: version 1, which is live, is of task text_classification, this one"
    ):
        preflight.check(named, paths)
    preflight.check(config.load("digits", ["evaluate.against_live=never"]), paths)
