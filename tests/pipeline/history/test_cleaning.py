import json
import shutil
from pathlib import Path

import pytest

from components.manifests import manifest_path, write_manifest
from data.errors import ConfigError
from models.serving.rollout.versions import publish
from pipeline.core.paths import PipelinePaths
from pipeline.history import execution_records, executions, mlmd
from pipeline.history.cleaning import LINKED, UNKNOWN, collect
from tests.pipeline.history.made_up_metadata import RUN, register, written

NEWEST = "20260529-000000-000"


@pytest.fixture
def paths(tmp_path) -> PipelinePaths:
    """Two runs with a model, an evaluation, a log and a published version each; executions 1 and 2, then 3 and 4."""
    paths = written(tmp_path / "home")
    store = mlmd.open_store(paths.database, read_only=False)
    register(store, paths, 3, {"train": ([], ["model"]), "evaluate": (["model"], ["evaluation"])}, NEWEST)
    paths.logs.mkdir()
    for run in executions.of(paths)[::-1]:
        paths.log(run.run).write_text("log")
        for folder in (Path(folder) for stage in run.stages for folder in stage.outputs.values()):
            folder.mkdir(parents=True)
            (folder / "file").write_text(run.run)
            write_manifest(folder)
        publish(Path(run.stages[0].outputs["model"]), paths.serving, {"run": run.run})
    execution_records.write(paths)
    return paths


def _files(paths: PipelinePaths) -> set[str]:
    return {str(path.relative_to(paths.home)) for path in paths.home.rglob("*") if path != paths.lock}


def test_only_files_of_older_runs_are_removed(paths):
    older = [paths.artifacts / "train" / "model" / "1", paths.artifacts / "evaluate" / "evaluation" / "2"]
    oldest, newest = sorted(paths.serving.glob("[0-9]*"))

    collection = collect(paths.home, "letters", keep=1)

    assert [removed.path for removed in collection.removed] == sorted(
        [*older, *map(manifest_path, older), paths.log(RUN), oldest]
    )
    assert not any(removed.path.exists() for removed in collection.removed)
    assert {kept.reason for kept in collection.kept} == {f"of run {NEWEST}", "it is the newest version"}
    assert collection.lines() == [f"kept 5 items: of run {NEWEST}", "kept 1 item: it is the newest version"]
    assert newest.is_dir()


def test_files_that_a_person_added_stay(paths):
    model = paths.artifacts / "train" / "model" / "1"
    (model / "notes.txt").write_text("mine")
    (paths.logs / "00.log").write_text("mine")
    copy = model.with_name("1.damaged-by-me")
    shutil.copytree(model, copy)

    collection = collect(paths.home, "letters", keep=1)

    assert {model, manifest_path(model), paths.logs / "00.log", copy} <= {kept.path for kept in collection.kept}
    assert (model / "notes.txt").exists()
    assert not (paths.artifacts / "evaluate" / "evaluation" / "2").exists()


def test_a_moved_home_keeps_the_newest_runs(paths):
    paths.home.rename(paths.home.with_name("moved"))
    moved = PipelinePaths.of(paths.home.with_name("moved"), "letters")
    before = _files(moved)

    collection = collect(moved.home, "letters", keep=2)

    assert collection.removed == []
    assert _files(moved) == before


def test_a_copy_removes_nothing_from_the_original(paths):
    copy = paths.home.with_name("copy")
    shutil.copytree(paths.home, copy)
    shutil.rmtree(copy / "runs" / "letters" / "artifacts" / "train" / "model")
    (copy / "runs" / "letters" / "artifacts" / "train" / "model").symlink_to(paths.artifacts / "train" / "model")
    before = _files(paths)

    collection = collect(copy, "letters", keep=1)

    assert _files(paths) == before
    assert all(removed.path.is_relative_to(copy) for removed in collection.removed)
    assert {kept.path.name for kept in collection.kept if kept.reason == LINKED} == {
        name for number in (1, 3) for name in (str(number), f"{number}.manifest.json")
    }


def test_files_of_no_known_run_stay_and_are_named(paths):
    stray = paths.artifacts / "train" / "model" / "77"
    renamed = paths.artifacts / "train" / "model" / "3.unknown-1"
    damaged = paths.artifacts / "train" / "model" / "1.damaged-1"
    for folder in (stray, renamed, damaged, paths.serving / "5"):
        folder.mkdir()
    paths.log("20260530-000000-000").touch()

    collection = collect(paths.home, "letters", keep=1, dry_run=True)

    unknown = {kept.path for kept in collection.kept if kept.reason == UNKNOWN}
    assert unknown == {stray, renamed, paths.serving / "5", paths.log("20260530-000000-000")}
    assert f"kept {stray}: no run is known that made it" in collection.lines()
    assert damaged in {removed.path for removed in collection.removed}  # its replacement lies beside it


def test_if_files_of_the_newest_run_are_missing_nothing_is_removed(paths):
    shutil.rmtree(paths.artifacts / "train" / "model" / "3")
    before = _files(paths)

    with pytest.raises(
        ConfigError, match=rf"of {NEWEST}, the newest run, 1 of 2 outputs are gone, such as runs/letters"
    ):
        collect(paths.home, "letters", keep=2)

    assert _files(paths) == before


def test_with_the_database_of_another_home_nothing_is_removed(paths):
    other = written(paths.home.with_name("other"))
    store = mlmd.open_store(other.database, read_only=False)
    register(store, other, 3, {"train": ([], ["model"]), "publish": (["model"], ["pushed_model"])}, NEWEST)
    shutil.copy(other.database, paths.database)
    before = _files(paths)

    with pytest.raises(ConfigError, match=r"it is older, or of another home; nothing was removed"):
        collect(paths.home, "letters", keep=1)

    assert _files(paths) == before


def test_without_a_database_nothing_is_removed(paths):
    paths.database.unlink()

    with pytest.raises(ConfigError, match=r"is missing though .* run `headrace repair letters`"):
        collect(paths.home, "letters", keep=1)


def test_with_an_older_database_nothing_is_removed(paths):
    (paths.home.parent / "older").mkdir()
    older = written(paths.home.parent / "older" / "home")
    shutil.copy(older.database, paths.database)
    before = _files(paths)

    with pytest.raises(ConfigError, match=r"does not know the newest run in .*records: it is older"):
        collect(paths.home, "letters", keep=1)

    assert _files(paths) == before


def test_reasons_are_printed_as_json(paths):
    from click.testing import CliRunner

    from pipeline.commands.cli import cli

    (paths.home / "letters.yaml").touch()
    arguments = [str(paths.home / "letters.yaml"), "--home", str(paths.home), "--keep", "1", "--dry-run", "--json"]
    result = json.loads(CliRunner().invoke(cli, ["gc", *arguments]).output)

    assert len(result["items"]) == 6
    assert {"path": str(paths.log(NEWEST)), "reason": f"of run {NEWEST}"} in result["kept"]
