"""What runs after the first one of `digits` do and leave alone; see `digits_copy` in conftest.py.

In this order: some look at the runs before them, and the last two remove what others look at.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.history import runs
from tests.conftest import ROOT, headrace
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.e2e


def test_a_second_run_reuses_everything_and_publishes_nothing_new(digits_copy):
    done = headrace("run", "digits", "--home", digits_copy.home)

    assert done.code == 0, done.out
    assert "No change: this model is published already" in done.out
    assert done.stages() == {}
    assert "accuracy 0.9" in done.out
    assert len(list(digits_copy.version.parent.glob("[0-9]*"))) == 1
    assert len(list((digits_copy.home / "runs" / "digits" / "logs").glob("*.log"))) == 1


def test_a_run_with_nothing_to_do_loads_no_tensorflow_tfx_or_beam(digits_copy):
    command = [sys.executable, "-X", "importtime", "-m", "pipeline", "run", "digits", "--home", digits_copy.home]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S)

    assert done.returncode == 0
    assert "No change" in done.stdout
    loaded = {line.split("|")[2].strip().split(".")[0] for line in done.stderr.splitlines() if line.count("|") == 2}
    assert "pipeline" in loaded
    assert not loaded & {"tensorflow", "tfx", "apache_beam", "keras", "ml_metadata"}


def test_a_model_beyond_its_serving_budget_is_refused_with_the_measured_value(digits_copy):
    before = list(digits_copy.version.parent.glob("[0-9]*"))

    done = headrace("run", "digits", "--home", digits_copy.home, "--set", "serving.max_mib=10")

    assert done.code == 5
    assert "Serving check: the server takes " in done.out
    assert " MiB, at most 10 MiB (serving.max_mib); nothing was published." in done.out
    assert list(digits_copy.version.parent.glob("[0-9]*")) == before


def test_an_unblessed_model_can_be_allowed_is_recorded_and_still_not_published(digits_copy):
    done = headrace(
        "run",
        "digits",
        "--home",
        digits_copy.home,
        "--set",
        "evaluate.thresholds.accuracy.min=1.0",
        "--allow-unblessed",
    )

    assert done.code == 0
    assert "Not good enough, allowed by --allow-unblessed, and not published" in done.out
    assert len(list(digits_copy.version.parent.glob("[0-9]*"))) == 1
    assert runs.find(digits_copy.home, "digits").state == "unpublished"


def test_a_model_worse_than_the_last_published_one_is_refused(digits_copy):
    better = digits_copy.version.parent / str(int(digits_copy.version.name) + 1)
    shutil.copytree(digits_copy.version, better)
    manifest = json.loads((better / "assets.extra" / "headrace.json").read_text())
    manifest["digest"] = "another model"
    manifest["evaluation"]["slices"]["overall"]["accuracy"] = 1.0
    (better / "assets.extra" / "headrace.json").write_text(json.dumps(manifest))
    try:
        done = headrace("run", "digits", "--home", digits_copy.home)
    finally:
        shutil.rmtree(better)

    assert done.code == 4
    assert re.search(r"live 1\.0+ \(at most 0\.005 worse\)", done.out)


def test_a_model_published_on_other_data_is_evaluated_anew(digits_copy, digits_manifest):
    from components.live_model.comparable import LiveModel
    from components.live_model.comparison import Candidate, LiveComparison
    from components.live_model.shared_rows import SharedRows
    from data import catalog
    from models import registry

    published = LiveModel.of(digits_copy.version.parent)
    recorded = {**digits_manifest["evaluation"], "slices": {"overall": {"accuracy": 0.0}}}
    live = LiveModel(published.version, published.folder, {**published.manifest, "evaluation": recorded})
    current = {**digits_manifest["evaluation"], "data_digest": "new data"}
    evaluation = digits_copy.output("evaluate", "evaluation")
    task, spec = registry.task("image_classification"), catalog.load("digits").spec
    candidate = Candidate("", current, evaluation, task, task.config(), spec)
    shared_rows = SharedRows(str(digits_copy.output("ingest", "examples")), str(live.folder), is_as_stored=True)

    metrics = LiveComparison(live, shared_rows, candidate).same_rows(is_judged=True)

    assert metrics.live == pytest.approx(digits_manifest["evaluation"]["slices"]["overall"], abs=1e-6)
    assert metrics.live["accuracy"] > 0.5  # not what was recorded, which is of other data
    assert metrics.candidate == current["slices"]["overall"]


def test_why_tells_what_changed_and_what_did_not(digits_copy):
    newest, *_, first = runs.runs(digits_copy.home, "digits")

    reasons = json.loads(headrace("why", first.run, "--home", digits_copy.home, "--json").out)
    assert set(reasons["train"]) == {"it ran for the first time"}
    reasons = json.loads(headrace("why", newest.run, "--home", digits_copy.home, "--json").out)
    assert reasons["train"][0].startswith("nothing changed: taken from the cache")
    assert reasons["model_gate"] == ["runs every time: it looks at what is published"]


def test_damaged_weights_are_rebuilt_by_name_and_never_published(digits_run, tmp_path):
    home = shutil.copytree(digits_run.home, tmp_path / "home")
    (weights,) = (home / "runs" / "digits" / "artifacts" / "train" / "model").glob(
        "[0-9]*/Format-Serving/variables/*data*"
    )
    weights.write_bytes(weights.read_bytes()[:1000])

    done = headrace("run", "digits", "--home", home)

    assert done.code == 0, done.out
    assert "train is rebuilt: in its model, Format-Serving/variables/" in done.out
    stages = done.stages()
    assert stages["train"] != "cached"
    assert stages["ingest"] == stages["transform"] == "cached"
    versions = sorted((home / "serving" / "digits").glob("[0-9]*"))
    assert all((version / "variables" / weights.name).stat().st_size > 1000 for version in versions)


def test_garbage_is_what_no_recent_run_refers_to(digits_copy):
    runs_before = runs.runs(digits_copy.home, "digits")
    newest = {folder for stage in runs_before[0].stages for folder in stage.outputs.values()}

    planned = json.loads(headrace("gc", "digits", "--home", digits_copy.home, "--keep", "1", "--dry-run", "--json").out)
    collected = json.loads(headrace("gc", "digits", "--home", digits_copy.home, "--keep", "1", "--json").out)
    again = headrace("gc", "digits", "--home", digits_copy.home, "--keep", "1").out

    assert planned["items"] == collected["items"]
    assert collected["items"]
    assert collected["bytes"] == sum(item["bytes"] for item in collected["items"]) > 0
    assert all(Path(folder).is_dir() for folder in newest)
    assert digits_copy.version.is_dir()
    profiles = {path.stem for path in (digits_copy.home / "runs" / "digits" / "profiles").iterdir()}
    assert profiles == {path.name for path in digits_copy.version.parent.glob("[0-9]*")}
    assert again.splitlines()[0].strip() == "0.0 MiB  removed: 0 items"
    assert f"of run {runs_before[0].run}" in again
    assert headrace("run", "digits", "--home", digits_copy.home).code == 0


def test_a_lost_database_and_backup_are_built_anew_and_nothing_is_run_again(digits_copy):
    folder = digits_copy.home / "runs" / "digits"
    before = runs.runs(digits_copy.home, "digits")
    (folder / "metadata.db").unlink()
    (folder / "metadata.db.backup").unlink()

    refused = headrace("run", "digits", "--home", digits_copy.home)
    repaired = headrace("repair", "digits", "--home", digits_copy.home)
    after = runs.runs(digits_copy.home, "digits")
    (folder / "last.json").unlink(missing_ok=True)  # so that it is TFX's cache that has to know
    done = headrace("run", "digits", "--home", digits_copy.home)

    assert refused.code == 2
    assert refused.err.count("\n") == 1
    assert "headrace repair digits`" in refused.err
    assert re.fullmatch(r"put back \d+ executions from their records\n", repaired.out)
    assert after == before
    assert done.code == 0
    assert done.stages()["train"] == "cached"
    assert "accuracy: the network " in done.out  # read from the folder of the cached comparison
