"""A home that an earlier release left goes on under this one.

`old_home/home.tar.xz` was made at commit 7928e91, before the folders of the code were laid out anew: a table of 400
made-up rows, published twice; a run that failed its threshold, one by the scheduler, and one killed while it trained;
a promoted version and a canary; a paused schedule; sampled requests with labels. Databases are in it as SQL, and the
home's path and the host's name as placeholders.
"""

import contextlib
import json
import platform
import sqlite3
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

from pipeline.core.paths import PipelinePaths
from pipeline.history import runs
from tests.conftest import headrace

pytestmark = pytest.mark.e2e

ARCHIVE = Path(__file__).parent / "old_home" / "home.tar.xz"
KILLED, FAILED, SCHEDULED, SECOND, FIRST = (
    "20261128-183201-333",
    "20261128-183120-846",
    "20261128-183050-710",
    "20261128-182944-495",
    "20261128-182810-423",
)
STABLE, CANARY = "1795890568", "1795890625"


def unpack(home: Path) -> None:
    """Unpacks the archive into `home`, a new folder, as if all of it had been made on this host and moved there."""
    with tarfile.open(ARCHIVE) as archive:
        # Unlike `data` it keeps the modes of folders; Python before 3.11.4 has no filters, and keeps them anyway.
        archive.extractall(home, **({"filter": "tar"} if hasattr(tarfile, "tar_filter") else {}))
    placeholders = {"/HOME_PLACEHOLDER": str(home.with_name("before")), "HOST-PLACEHOLDER": platform.node()}
    for path in sorted(path for path in home.rglob("*") if path.is_file()):
        with contextlib.suppress(UnicodeDecodeError):  # a SavedModel names paths that nobody reads
            text = path.read_bytes().decode()
            for placeholder, value in placeholders.items():
                text = text.replace(placeholder, value)
            path.write_bytes(text.encode())
        if path.suffix == ".sql":
            with contextlib.closing(sqlite3.connect(path.with_suffix(""))) as database:
                database.executescript(path.read_text())
            path.unlink()
    for manifest in home.glob("runs/*/artifacts/*/*/*.manifest.json"):
        artifact = manifest.with_name(manifest.name.removesuffix(".manifest.json"))
        manifest.write_text(json.dumps({name: _facts(artifact / name) for name in json.loads(manifest.read_text())}))


def _facts(path: Path) -> dict:
    """Returns what an artifact's manifest says of a file."""
    status = path.stat()
    return {
        "size": status.st_size,
        "mtime_ns": status.st_mtime_ns,
        "sha256": sha256(path.read_bytes()).hexdigest(),
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("old") / "home"
    unpack(home)
    return home


def _ask(home: Path, *arguments) -> dict | list:
    done = headrace(*arguments, "--home", home, "--json", cwd=home)
    assert done.code == 0, done.out + done.err
    return json.loads(done.out)


def test_its_runs_are_listed_with_what_became_of_them(home):
    records = {run.run: run for run in runs.runs(home)}

    assert {name: run.state for name, run in records.items()} == {
        KILLED: "killed",
        FAILED: "failed",
        SCHEDULED: "published",
        SECOND: "published",
        FIRST: "published",
    }
    assert records[FAILED].exit_code == 4
    assert (records[FIRST].version, records[SECOND].version) == (STABLE, CANARY)
    assert records[SECOND].metrics["auc"] == pytest.approx(0.8979, abs=1e-4)
    assert records[KILLED].stages[-1].name == "train"


def test_a_run_without_its_record_is_read_from_ml_metadata(home):
    record = PipelinePaths.of(home, "tiny").reports / f"{FIRST}.json"
    content = record.read_bytes()
    record.unlink()

    (from_metadata,) = [run for run in runs.runs(home) if run.run == FIRST]

    record.write_bytes(content)
    assert (from_metadata.state, from_metadata.version) == ("published", STABLE)
    assert from_metadata.metrics["accuracy"] == pytest.approx(0.8261, abs=1e-4)


def test_its_pages_can_be_made_anew(home):
    done = headrace("report", "tiny", "--home", home, cwd=home)

    assert done.code == 0, done.err
    assert (PipelinePaths.of(home, "tiny").reports / f"{KILLED}.html").stat().st_size > 10_000


def test_its_runs_are_compared(home):
    done = headrace("compare", FIRST, SECOND, "--home", home, cwd=home)

    assert done.code == 0, done.err
    assert "train.epochs" in done.out
    assert "note:" not in done.out  # all that they left is found, though the home has moved


def test_nothing_that_five_runs_left_goes_where_five_are_kept(home):
    collected = _ask(home, "gc", "tiny.yaml", "--keep", "5", "--dry-run")

    assert collected["items"] == []
    assert {kept["reason"] for kept in collected["kept"]} >= {f"of run {run}" for run in (FIRST, SECOND, SCHEDULED)}


def test_its_versions_and_its_canary_are_there(home):
    versions = {str(row["version"]): row for row in _ask(home, "versions", "tiny")}

    assert versions.keys() == {STABLE, CANARY}
    assert versions[STABLE]["metrics"]["accuracy"] == pytest.approx(0.8261, abs=1e-4)
    assert "stable" in json.dumps(versions[STABLE])
    assert "canary" in json.dumps(versions[CANARY])


def test_its_published_model_answers(home):
    (home / "ask.csv").write_text("speed,wind,engine\n94.88,19.53,diesel\n110.23,10.97,diesel\n120.74,2.1,electric\n")

    stable = headrace("predict", "tiny.yaml", "ask.csv", "--home", home, cwd=home)
    canary = headrace("predict", "tiny.yaml", "ask.csv", "--version", CANARY, "--home", home, cwd=home)

    assert stable.code == canary.code == 0, stable.err + canary.err
    assert ["0.798" in stable.out, "0.847" in stable.out, "0.987" in stable.out] == [True] * 3
    assert ["0.794" in canary.out, "0.907" in canary.out, "0.995" in canary.out] == [True] * 3


def test_its_schedules_and_their_history_are_there(home):
    listed = headrace("schedule", "list", "--home", home, cwd=home)
    history = headrace("schedule", "history", "tiny", "--home", home, cwd=home)

    assert listed.code == history.code == 0, listed.err + history.err
    assert "paused: labels come on Monday" in listed.out
    assert "0 3 * * *" in listed.out
    assert f"published {CANARY}" in history.out


def test_its_request_samples_are_joined_with_labels(home):
    done = headrace("quality", "tiny.yaml", "--labels", "labels.csv", "--home", home, cwd=home)

    assert done.code == 0, done.err
    assert "30 rows" in done.out
    assert "0.967" in done.out


def test_its_checkpoint_is_restored(home):
    from data.spec import DatasetSpec
    from models import registry
    from models.config import TrainConfig
    from models.training import trainer
    from models.training.checkpoints import Checkpoints

    paths = PipelinePaths.of(home, "tiny")
    record = runs.find(home, KILLED)
    task, spec = registry.task(record.settings["task"]), DatasetSpec.model_validate(record.spec)
    config = task.config.model_validate(record.settings["model"])
    (folder,) = paths.checkpoints.iterdir()
    model = task.build_model(config, spec)
    optimizer = trainer.make_optimizer(TrainConfig.model_validate(record.settings["train"]), steps_per_epoch=7)
    model.compile(optimizer=optimizer, loss=task.loss(config, spec))
    before = [weight.numpy() for weight in model.trainable_variables]

    progress = Checkpoints(folder).restore(model)

    assert (progress.epoch, progress.step, progress.waited) == (2, 0, 0)
    assert progress.best == pytest.approx(0.371914, abs=1e-6)
    assert int(optimizer.iterations) == 2 * 7
    assert any((old != new.numpy()).any() for old, new in zip(before, model.trainable_variables, strict=True))


def test_a_run_goes_on_from_it_and_why_says_that_the_code_moved(home):
    done = headrace("run", "tiny.yaml", "--home", home, "--json", cwd=home)

    assert done.code == 0, done.out + done.err
    result = json.loads(done.out)
    details = {stage["name"]: stage["detail"] for stage in result["stages"]}
    states = {stage["name"]: stage["state"] for stage in result["stages"]}
    assert details["start"].startswith("resuming at train")
    assert states["train"] == "done"
    assert int(Path(result["published"]).name) > int(CANARY)
    why = headrace("why", result["run"], "train", "--home", home, cwd=home).out
    assert "pipeline/entrypoints.py is no longer used" in why
    assert "pipeline/running/trainer_entry.py is used now" in why
    pinned = {str(row["version"]): row for row in _ask(home, "versions", "tiny")}
    assert "stable" in json.dumps(pinned[STABLE])
    again = json.loads(headrace("run", "tiny.yaml", "--home", home, "--json", cwd=home).out)
    assert {stage["state"] for stage in again["stages"]} == {"cached"}
