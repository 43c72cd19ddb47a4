"""The outputs of a run, changed in one way after another: only an unchanged run is recalled."""

import json
import shutil
import sqlite3
from contextlib import closing

import pytest

from components.manifests import write_manifest
from models.serving.rollout import rollouts
from models.serving.rollout.versions import last_version, publish
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.core.stages import BY_ID
from pipeline.history.record import RunRecord, StageRecord
from pipeline.running import unchanged
from tests.pipeline import made_up

RUN = "20260101-000000-000"


@pytest.fixture
def paths(tmp_path) -> PipelinePaths:
    """A pipeline whose last run published a model."""
    pipeline_paths = PipelinePaths.of(tmp_path, "digits")
    model = pipeline_paths.artifacts / "train" / "model" / "1"
    model.mkdir(parents=True)
    (model / "saved_model.pb").write_text("weights")
    write_manifest(model)
    publish(model, pipeline_paths.serving, {})
    with closing(sqlite3.connect(pipeline_paths.database)) as database:
        database.execute("create table Execution (id integer primary key, last_known_state int)")
        database.execute("insert into Execution (last_known_state) values (3)")
        database.commit()
    stages = [StageRecord(name, "done", outputs={}) for name in BY_ID if name != "train"]
    stages.append(StageRecord("train", "done", seconds=2.0, detail="3 epochs", outputs={"model": str(model)}))
    version = str(last_version(pipeline_paths.serving))
    made_up.write_record(tmp_path, RunRecord(RUN, "digits", "published", stages=stages, version=version))
    unchanged.remember(pipeline_paths, "the same", RUN)
    return pipeline_paths


def _write_format_of_earlier_release(paths: PipelinePaths) -> None:
    """Writes the file of an earlier release, which held facts about the stages instead of the run's identifier."""
    last = json.loads(paths.last.read_text())
    facts = {"run": last.pop("run"), "stages": [{"name": "train", "outputs": {}}]}
    paths.last.write_text(json.dumps({**last, "facts": facts}))


def _execute(paths: PipelinePaths, statement: str) -> None:
    with closing(sqlite3.connect(paths.database)) as database:
        database.execute(statement)
        database.commit()


def _change_record(paths: PipelinePaths, **values) -> None:
    record = json.loads(paths.record(RUN).read_text())
    paths.record(RUN).write_text(json.dumps({**record, **values}))


def _change_manifest(paths: PipelinePaths) -> None:
    (version,) = paths.serving.glob("[0-9]*/assets.extra/headrace.json")
    version.write_text(json.dumps({"digest": "another"}))


def test_an_unchanged_run_is_recalled(paths):
    record = unchanged.recall(paths, "the same")

    assert record.run == RUN
    stage = record.stages[-1]
    assert {recorded_stage.name for recorded_stage in record.stages} == set(BY_ID)
    assert (stage.name, stage.state, stage.seconds, stage.detail) == ("train", "cached", 0.0, "cached")
    assert stage.outputs == {"model": str(paths.artifacts / "train" / "model" / "1")}


@pytest.mark.parametrize(
    "change",
    [
        lambda paths: (paths.artifacts / "train/model/1/saved_model.pb").write_text("Weights and more"),
        lambda paths: shutil.rmtree(paths.artifacts / "train/model/1"),
        lambda paths: shutil.rmtree(next(paths.serving.glob("[0-9]*"))),
        lambda paths: shutil.copytree(next(paths.serving.glob("[0-9]*")), paths.serving / "9999999999"),
        _change_manifest,
        lambda paths: _execute(paths, "insert into Execution (last_known_state) values (2)"),
        lambda paths: paths.last.write_text("{"),
        lambda paths: paths.last.write_text("[]"),
        _write_format_of_earlier_release,
        lambda paths: paths.record(RUN).unlink(),
        lambda paths: _change_record(paths, stages=[]),
        lambda paths: _change_record(paths, state="failed"),
        lambda paths: _change_record(paths, version="17"),
        lambda paths: _change_record(paths, stages=[{"name": name, "outputs": None} for name in BY_ID]),
        lambda paths: paths.database.unlink(),
        unchanged.forget,
    ],
    ids=[
        "damaged",
        "gone",
        "unpublished",
        "newer",
        "replaced",
        "killed",
        "unreadable",
        "no object",
        "as before",
        "no record",
        "no stages",
        "another's record",
        "another version",
        "no outputs",
        "no database",
        "forgotten",
    ],
)
def test_a_run_with_a_changed_file_or_record_is_not_recalled(paths, change):
    change(paths)

    assert unchanged.recall(paths, "the same") is None


def test_a_run_is_not_recalled_after_another_version_went_live(paths):
    last = last_version(paths.serving)
    shutil.copytree(paths.serving / str(last), paths.serving / str(last - 1))

    rollouts.promote(paths.serving, last)
    before = unchanged.recall(paths, "the same")
    rollouts.rollback(paths.serving)

    assert before is not None
    assert unchanged.recall(paths, "the same") is None


def test_a_run_of_another_identity_is_not_recalled(paths):
    assert unchanged.recall(paths, "something else") is None


def test_the_identity_depends_on_settings_and_code(monkeypatch):
    first = unchanged.identity(config.load("digits"))

    assert unchanged.identity(config.load("digits")) == first
    assert unchanged.identity(config.load("digits", ["seed=1"])) != first
    changed = {**unchanged.code_and_packages(), "models/training/trainer.py": "changed"}
    monkeypatch.setattr(unchanged, "code_and_packages", lambda: changed)
    assert unchanged.identity(config.load("digits")) != first


def test_the_identity_does_not_depend_on_the_folder(tmp_path):
    identities = []
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "mine.csv").write_text("size,label\n" + "".join(f"{n},{n % 2}\n" for n in range(20)))
        (folder / "mine.yaml").write_text(
            "task: tabular_classification\ndata: {files: mine.csv, features: {size: number, label: {kind: label, "
            "classes: ['0', '1']}}}\n"
        )
        identities.append(unchanged.identity(config.load(str(folder / "mine.yaml"))))

    assert identities[0] == identities[1]


def test_code_and_packages_are_those_that_a_run_uses():
    names = unchanged.code_and_packages()

    assert {"models/training/trainer.py", "data/schemas/digits.pbtxt", "tensorflow", "keras", "python"} <= set(names)
    assert not [name for name in names if name.startswith("tests/")]
