"""One whole run of `digits`, looked at from all sides; see `digits_run` in conftest.py."""

import json
import re
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from pipeline.core import config
from pipeline.history import runs
from tests.conftest import ROOT, headrace

pytestmark = pytest.mark.e2e

# As little training as there can be.
QUICK = ["--set", "train.epochs=1", "--set", "evaluate.thresholds={}"]
STAGES = [
    "start", "ingest", "schema", "statistics", "data_gate", "transform", "classical", "train", "evaluate",
    "model_gate", "baseline", "serving_check", "publish", "report",
]  # fmt: skip


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[tuple[Path, str]]:
    """Ten scans of digits as PNG and JPEG files, larger than the model's 8x8, with what they show."""
    folder, digits = tmp_path_factory.mktemp("pictures"), load_digits()
    made = []
    for index in range(10):
        pixels = np.round(digits.images[index] * (255 / 16)).astype(np.uint8)
        path = folder / f"{index}.{'png' if index % 2 else 'jpg'}"
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.NEAREST).save(path, quality=95)
        made.append((path, str(digits.target[index])))
    return made


def _stages(out: str) -> dict[str, str]:
    """Returns stage -> the rest of its line, from what a run printed in a pipe."""
    lines = [line.split(maxsplit=4) for line in out.splitlines() if line.startswith(("✓", "✗"))]
    return {line[1]: line[4] if len(line) > 4 else "" for line in lines}


def test_a_pipe_shows_one_line_a_stage_and_no_noise(digits_run):
    assert sorted(_stages(digits_run.finished.out)) == sorted(STAGES)
    assert digits_run.finished.err == ""


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


def test_accuracy_confusion_matrix_and_slices_fit_together(digits_manifest):
    evaluation = digits_manifest["evaluation"]
    overall, counts = evaluation["slices"]["overall"], np.array(evaluation["confusion_matrix"])

    assert overall["accuracy"] >= 0.98
    assert counts.sum() == overall["example_count"] == 381
    assert np.trace(counts) / counts.sum() == pytest.approx(overall["accuracy"], abs=1e-6)
    for digit in range(10):
        one = evaluation["slices"][f"label={digit}"]
        assert one["example_count"] == counts[digit].sum()
        assert one["accuracy"] == pytest.approx(overall[f"recall@{digit}"], abs=1e-6)
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
    answers = json.loads(done.out)
    assert [answer["file"] for answer in answers] == list(map(str, files))
    right = [answer["top"][0]["class"] == shown for answer, (_, shown) in zip(answers, pictures, strict=True)]
    assert sum(right) >= 8  # upscaled, some as JPEG: not each of ten need be as clear to each seed
    for answer in answers:
        probabilities = [top["probability"] for top in answer["top"]]
        assert len(probabilities) == 3
        assert probabilities == sorted(probabilities, reverse=True)
        assert 0.5 < sum(probabilities) <= 1 + 1e-5


def test_predict_prints_a_line_a_file(digits_run, pictures):
    path, shown = pictures[0]

    done = headrace("predict", "digits", path, "--home", digits_run.home)

    assert re.match(rf"{re.escape(str(path))}: {shown} [01]\.\d\d\d, ", done.out)
    assert done.out.count("\n") == 1
    assert done.err == ""


def test_no_test_image_is_among_those_trained_on(digits_run):
    from components.example_gen import first_rows
    from data import catalog

    spec, examples = catalog.load("digits").spec, str(digits_run.output("ingest", "examples"))
    images = {split: {row["image"] for row in first_rows(examples, split, spec, 10_000)} for split in spec.num_rows}

    assert {split: len(found) for split, found in images.items()} == spec.num_rows
    assert not images["test"] & (images["train"] | images["validation"])


def test_the_trainer_reads_train_and_validation_only(digits_run):
    (log,) = (digits_run.home / "runs" / "digits" / "logs").glob("*.log")
    with sqlite3.connect(digits_run.home / "runs" / "digits" / "metadata.db") as database:
        query = (
            "select p.name, p.string_value from ExecutionProperty p join Execution e on p.execution_id = e.id "
            "join Type t on e.type_id = t.id where t.name like '%Trainer%'"
        )
        found = dict(database.execute(query).fetchall())

    assert json.loads(found["train_args"])["splits"] == ["train"]
    assert json.loads(found["eval_args"])["splits"] == ["validation"]
    assert log.stat().st_size > 0


def test_a_second_run_reuses_everything_and_publishes_nothing_new(digits_run):
    done = headrace("run", "digits", "--home", digits_run.home)

    assert done.code == 0, done.out
    assert "No change: this model is published already" in done.out
    assert _stages(done.out) == {}
    assert "accuracy 0.9" in done.out
    assert len(list(digits_run.version.parent.glob("[0-9]*"))) == 1
    assert len(list((digits_run.home / "runs" / "digits" / "logs").glob("*.log"))) == 1


def test_a_run_with_nothing_to_do_loads_no_tensorflow_tfx_or_beam(digits_run):
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", "run", "digits", "--home", digits_run.home]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    assert done.returncode == 0
    assert "No change" in done.stdout
    loaded = {line.split("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if line.count("|") == 2}
    assert "pipeline" in loaded
    assert not loaded & {"tensorflow", "tfx", "apache_beam", "keras", "ml_metadata"}


def test_a_new_learning_rate_trains_again_and_does_nothing_before(digits_run):
    """Not published: so that the tests that follow find the first version only."""
    done = headrace(
        "run", "digits", "--home", digits_run.home, "--set", "train.learning_rate=0.002", "--set", "train.epochs=1",
        "--set", "evaluate.thresholds.accuracy.min=1.0",
    )  # fmt: skip

    assert done.code == 4
    stages = _stages(done.out)
    ran = {"start", "data_gate", "train", "evaluate", "model_gate", "report"}
    assert {name for name, rest in stages.items() if rest != "cached"} == ran


def test_the_same_seed_predicts_the_same_bit_for_bit_in_another_home(digits_run, tmp_path):
    import tensorflow as tf

    from components.example_gen import first_rows
    from data import catalog
    from models.tasks.image_classification.task import queries

    done = headrace("run", "digits", "--home", tmp_path, "--json", PYTHONHASHSEED="1")
    assert done.code == 0, done.err
    again = json.loads(done.out)
    spec = catalog.load("digits").spec
    rows = first_rows(str(digits_run.output("ingest", "examples")), "test", spec, 381)
    inputs = tf.constant([queries(row, spec)["serving_default"]["inputs"] for row in rows])

    first, second = (
        tf.saved_model.load(str(folder)).signatures["serving_default"](inputs=inputs)["scores"].numpy()
        for folder in (digits_run.version, again["published"])
    )

    np.testing.assert_array_equal(first, second)
    assert again["exit_code"] == 0
    assert again["metrics"]["accuracy"] >= 0.98


def test_a_model_below_its_threshold_is_refused_with_the_numbers(digits_run):
    done = headrace(
        "run", "digits", "--home", digits_run.home, "--set", "evaluate.thresholds.accuracy.min=1.0"
    )  # fmt: skip

    assert done.code == 4
    assert "✗ model_gate" in done.out
    assert "not good enough and was not published" in done.out
    verdict, worst, last = done.out.splitlines()[-3:]
    assert verdict.strip().startswith("accuracy 0.9")
    assert "expected >= 1" in verdict
    assert worst.strip().startswith("worst: label=")
    assert worst.count("label=") == 3
    assert "nothing was published" in last
    assert len(list(digits_run.version.parent.glob("[0-9]*"))) == 1


def test_a_model_beyond_its_serving_budget_is_refused_with_the_measured_value(digits_run):
    before = list(digits_run.version.parent.glob("[0-9]*"))

    done = headrace("run", "digits", "--home", digits_run.home, "--set", "serving.max_mib=10")

    assert done.code == 5
    assert "Serving check: the server takes " in done.out
    assert " MiB, at most 10 (serving.max_mib); nothing was published." in done.out
    assert list(digits_run.version.parent.glob("[0-9]*")) == before


def test_the_manifest_tells_what_the_serving_check_measured(digits_run, digits_manifest):
    measured = digits_manifest["serving"]

    assert 0 < measured["p50_ms"] <= measured["p95_ms"] <= measured["p99_ms"]
    assert measured["mib"] > 100
    assert digits_manifest["by"]


def test_an_unblessed_model_can_be_allowed_is_recorded_and_still_not_published(digits_run):
    done = headrace(
        "run", "digits", "--home", digits_run.home, "--set", "evaluate.thresholds.accuracy.min=1.0", "--allow-unblessed"
    )

    assert done.code == 0
    assert "Not good enough, allowed by --allow-unblessed, and not published" in done.out
    assert len(list(digits_run.version.parent.glob("[0-9]*"))) == 1
    assert runs.find(digits_run.home, "digits").state == "unpublished"


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
    assert text.count(": stage ") == 2
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


def test_a_model_worse_than_the_last_published_one_is_refused(digits_run):
    better = digits_run.version.parent / str(int(digits_run.version.name) + 1)
    shutil.copytree(digits_run.version, better)
    manifest = json.loads((better / "assets.extra" / "headrace.json").read_text())
    manifest["digest"] = "another model"
    manifest["evaluation"]["slices"]["overall"]["accuracy"] = 1.0
    (better / "assets.extra" / "headrace.json").write_text(json.dumps(manifest))
    try:
        done = headrace("run", "digits", "--home", digits_run.home)
    finally:
        shutil.rmtree(better)

    assert done.code == 4
    assert "last published 1.0000 (at most 0.005 worse)" in done.out


def test_a_model_published_on_other_data_is_evaluated_anew(digits_run, digits_manifest):
    from components.model_gate import published_metrics
    from data import catalog
    from pipeline.running.graph import BEAM_ARGS

    current = {**digits_manifest["evaluation"], "data_digest": "new data"}
    found = published_metrics(
        digits_run.version.parent,
        "another model",
        current,
        str(digits_run.output("ingest", "examples")),
        catalog.load("digits").spec,
        BEAM_ARGS,
    )

    assert found == pytest.approx(digits_manifest["evaluation"]["slices"]["overall"], abs=1e-6)


def test_why_tells_what_changed_and_what_did_not(digits_run):
    newest, *_, first = runs.runs(digits_run.home, "digits")

    told = json.loads(headrace("why", first.run, "--home", digits_run.home, "--json").out)
    assert set(told["train"]) == {"it ran for the first time"}
    told = json.loads(headrace("why", newest.run, "--home", digits_run.home, "--json").out)
    assert told["train"][0].startswith("nothing changed: taken from the cache")
    assert told["model_gate"] == ["runs every time: it looks at what is published"]


def test_damaged_weights_are_rebuilt_by_name_and_never_published(digits_run, tmp_path):
    home = tmp_path / "home"
    assert headrace("run", "digits", "--home", home, *QUICK).code == 0
    (weights,) = (home / "runs" / "digits" / "artifacts" / "train" / "model").glob(
        "[0-9]*/Format-Serving/variables/*data*"
    )
    weights.write_bytes(weights.read_bytes()[:1000])

    done = headrace("run", "digits", "--home", home, *QUICK)

    assert done.code == 0, done.out
    assert "train is rebuilt: in its model, Format-Serving/variables/" in done.out
    stages = _stages(done.out)
    assert stages["train"] != "cached"
    assert stages["ingest"] == stages["transform"] == "cached"
    versions = sorted((home / "serving" / "digits").glob("[0-9]*"))
    assert all((version / "variables" / weights.name).stat().st_size > 1000 for version in versions)


def test_garbage_is_what_no_recent_run_refers_to(digits_run):
    """Last in this file: it removes what the others looked at."""
    runs_before = runs.runs(digits_run.home, "digits")
    newest = {folder for stage in runs_before[0].stages for folder in stage.outputs.values()}

    would = json.loads(headrace("gc", "digits", "--home", digits_run.home, "--keep", "1", "--dry-run", "--json").out)
    did = json.loads(headrace("gc", "digits", "--home", digits_run.home, "--keep", "1", "--json").out)
    again = headrace("gc", "digits", "--home", digits_run.home, "--keep", "1").out

    assert would["items"] == did["items"]
    assert did["items"]
    assert did["bytes"] == sum(item["bytes"] for item in did["items"]) > 0
    assert all(Path(folder).is_dir() for folder in newest)
    assert digits_run.version.is_dir()
    assert again.strip() == "0.0 MiB  removed: 0 items"
    assert headrace("run", "digits", "--home", digits_run.home).code == 0


def test_a_lost_database_and_backup_are_built_anew_and_nothing_is_run_again(digits_run):
    folder = digits_run.home / "runs" / "digits"
    before = runs.runs(digits_run.home, "digits")
    (folder / "metadata.db").unlink()
    (folder / "metadata.db.backup").unlink()

    refused = headrace("run", "digits", "--home", digits_run.home)
    repaired = headrace("repair", "digits", "--home", digits_run.home)
    known = runs.runs(digits_run.home, "digits")
    (folder / "last.json").unlink(missing_ok=True)  # so that it is TFX's cache that has to know
    done = headrace("run", "digits", "--home", digits_run.home)

    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "run `headrace repair digits`" in refused.err
    assert re.fullmatch(r"put back \d+ executions from their records\n", repaired.out)
    assert known == before
    assert done.code == 0
    assert _stages(done.out)["train"] == "cached"
    assert "accuracy: the network " in done.out  # read from the folder of the cached comparison
