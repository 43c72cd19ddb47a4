"""One whole run of `digits`, looked at from all sides; see `digits_run` in conftest.py."""

import json
import re
import sqlite3
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.core import config
from pipeline.history import runs
from tests.conftest import headrace

pytestmark = pytest.mark.e2e

STAGES = [
    "start", "ingest", "schema", "statistics", "data_gate", "transform", "train", "classical", "evaluate",
    "model_gate", "baseline", "serving_check", "publish", "report",
]  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[tuple[Path, str]]:
    """Ten scans of digits as PNG and JPEG files, larger than the model's 8x8, with what they show."""
    folder, digits = tmp_path_factory.mktemp("pictures"), load_digits()
    labelled = []
    for index in range(10):
        pixels = np.round(digits.images[index] * (255 / 16)).astype(np.uint8)
        path = folder / f"{index}.{'png' if index % 2 else 'jpg'}"
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST).save(path, quality=95)
        labelled.append((path, str(digits.target[index])))
    return labelled


def test_a_pipe_shows_one_line_a_stage_and_no_noise(digits_run):
    assert sorted(digits_run.finished.stages()) == sorted(STAGES)
    assert digits_run.finished.err == ""


def test_nothing_is_left_in_the_systems_temporary_folder(digits_run):
    assert list(digits_run.temporary.iterdir()) == []


def test_the_closing_block_is_short_and_tells_all(digits_run):
    block = digits_run.finished.out.split("\n\n")[1].splitlines()

    assert len(block) <= 12
    assert block[0].startswith("Published (")
    assert block[0].endswith(str(digits_run.version))
    assert block[1].strip().startswith("seconds: start ")
    assert " train " in block[1]
    assert block[2].strip().startswith("accuracy 0.9")
    assert "expected >= 0.98" in block[2]
    assert any("predict digits FILE.png" in line for line in block)


def test_the_version_has_tf_servings_layout_and_its_labels(digits_run, digits_manifest):
    assert digits_run.version.name.isdecimal()
    assert (digits_run.version / "saved_model.pb").is_file()
    assert (digits_run.version / "assets" / "labels.txt").read_text().split() == list("0123456789")
    assert digits_manifest["pipeline"] == "digits"
    assert {path.name for path in digits_run.version.parent.iterdir()} == {digits_run.version.name, ".lock"}


def test_the_profile_of_the_versions_data_is_kept_for_the_owner_alone(digits_run):
    (profile,) = (digits_run.home / "runs" / "digits" / "profiles").iterdir()

    assert profile.name == f"{digits_run.version.name}.npz"
    assert profile.stat().st_mode & 0o777 == 0o600


def test_accuracy_confusion_matrix_and_slices_fit_together(digits_manifest):
    evaluation = digits_manifest["evaluation"]
    overall, counts = evaluation["slices"]["overall"], np.array(evaluation["confusion_matrix"])

    assert overall["accuracy"] >= 0.98
    assert counts.sum() == overall["example_count"] == 381
    assert np.trace(counts) / counts.sum() == pytest.approx(overall["accuracy"], abs=1e-6)
    for digit in range(10):
        digit_slice = evaluation["slices"][f"label={digit}"]
        assert digit_slice["example_count"] == counts[digit].sum()
        assert digit_slice["accuracy"] == pytest.approx(overall[f"recall@{digit}"], abs=1e-6)
    assert 0 <= overall["expected_calibration_error"] < 0.1


def test_the_metrics_are_those_that_thresholds_may_name(digits_manifest):
    named = config.load("digits")

    ranges = named.config.model.metric_ranges(named.dataset.spec)
    overall = digits_manifest["evaluation"]["slices"]["overall"]
    assert set(overall) == set(ranges)
    assert all(least <= overall[name] <= greatest for name, (least, greatest) in ranges.items())


def test_the_signatures_are_as_promised(digits_run, golden):
    import tensorflow as tf

    lines = []
    for name, signature in sorted(tf.saved_model.load(str(digits_run.version)).signatures.items()):
        lines.append(name)
        inputs = signature.structured_input_signature[1]
        for kind, specs in (("in", inputs), ("out", signature.structured_outputs)):
            lines += [f"  {kind:<4}{key}: {spec.dtype.name} {spec.shape}" for key, spec in sorted(specs.items())]
    golden("digits.signatures.txt", "\n".join(lines) + "\n")


def test_the_published_model_reads_pictures_of_any_size(digits_run, pictures):
    files = [path for path, _ in pictures]

    done = headrace("predict", "digits", *files, "--home", digits_run.home, "--json")

    assert done.code == 0, done.err
    predictions = json.loads(done.out)
    assert [prediction["file"] for prediction in predictions] == list(map(str, files))
    is_correct = [
        prediction["top"][0]["class"] == digit for prediction, (_, digit) in zip(predictions, pictures, strict=True)
    ]
    assert sum(is_correct) >= 8  # upscaled, some as JPEG: not each of ten need be as clear to each seed
    for prediction in predictions:
        probabilities = [top["probability"] for top in prediction["top"]]
        assert len(probabilities) == 3
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0.5 < sum(probabilities) <= 1 + 1e-5


def test_predict_prints_a_line_a_file(digits_run, pictures):
    path, digit = pictures[0]

    done = headrace("predict", "digits", path, "--home", digits_run.home)

    assert re.match(rf"{re.escape(str(path))}: {digit} [01]\.\d\d\d, ", done.out)
    assert done.out.count("\n") == 1
    assert re.fullmatch(r"loading version \d+ \.\.\.\n", done.err)


def test_no_test_image_is_among_those_trained_on(digits_run):
    from components.example_gen import first_rows
    from data import catalog

    spec, examples = catalog.load("digits").spec, str(digits_run.output("ingest", "examples"))
    images = {split: {row["image"] for row in first_rows(examples, split, spec, 10_000)} for split in spec.num_rows}

    assert {split: len(pixels) for split, pixels in images.items()} == spec.num_rows
    assert not images["test"] & (images["train"] | images["validation"])


def test_the_trainer_reads_train_and_validation_only(digits_run):
    (log,) = (digits_run.home / "runs" / "digits" / "logs").glob("*.log")
    with sqlite3.connect(digits_run.home / "runs" / "digits" / "metadata.db") as database:
        query = (
            "select p.name, p.string_value from ExecutionProperty p join Execution e on p.execution_id = e.id "
            "join Type t on e.type_id = t.id where t.name like '%Trainer%'"
        )
        properties = dict(database.execute(query).fetchall())

    assert json.loads(properties["train_args"])["splits"] == ["train"]
    assert json.loads(properties["eval_args"])["splits"] == ["validation"]
    assert log.stat().st_size > 0


def test_the_manifest_tells_what_the_serving_check_measured(digits_run, digits_manifest):
    measured = digits_manifest["serving"]

    assert 0 < measured["p50_ms"] <= measured["p95_ms"] <= measured["p99_ms"]
    assert measured["mib"] > 100
    assert digits_manifest["by"]


def test_the_history_tells_of_the_first_run(digits_run):
    first = runs.runs(digits_run.home, "digits")[-1]

    assert first.state == "published"
    assert first.version == digits_run.version.name
    assert [stage.name for stage in first.stages] != []
    assert sorted(stage.name for stage in first.stages) == sorted(set(STAGES) - {"report"})
    assert {stage.state for stage in first.stages} == {"done"}
    assert first.metrics["accuracy"] >= 0.98
    assert all(Path(folder).is_dir() for stage in first.stages for folder in stage.outputs.values())
    assert runs.find(digits_run.home, first.run) == first


def test_the_log_of_one_stage_is_that_stages_alone(digits_run):
    first = runs.runs(digits_run.home, "digits")[-1]

    text = headrace("logs", first.run, "train", "--home", digits_run.home).out

    lines = text.splitlines()
    assert lines[0].endswith("stage train begins")
    assert lines[-1].endswith("stage train ends: done")
    assert text.count(": stage ") == text.count(": stage train")
    assert "training on CPU with float32" in text


def test_runs_and_show_speak_json(digits_run):
    runs = json.loads(headrace("runs", "digits", "--home", digits_run.home, "--json").out)
    show = json.loads(headrace("show", runs[-1]["run"], "--home", digits_run.home, "--json").out)

    assert show == runs[-1]
    assert show["state"] == "published"


def test_a_run_that_is_not_there_is_told_with_the_last_ones(digits_run):
    done = headrace("show", "yesterday", "--home", digits_run.home)

    assert done.code == 2
    assert done.err.startswith(f"headrace: There is no run yesterday below {digits_run.home}; the last are 20")
