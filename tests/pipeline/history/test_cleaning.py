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
    made = written(tmp_path / "home")
    store = mlmd.open_store(made.database, read_only=False)
    register(store, made, 3, {"train": ([], ["model"]), "evaluate": (["model"], ["evaluation"])}, NEWEST)
    made.logs.mkdir()
    for run in executions.of(made)[::-1]:
        made.log(run.run).write_text("what it said")
        for folder in (Path(folder) for stage in run.stages for folder in stage.outputs.values()):
            folder.mkdir(parents=True)
            (folder / "file").write_text(run.run)
            write_manifest(folder)
        publish(Path(run.stages[0].outputs["model"]), made.serving, {"run": run.run})
    execution_records.write(made)
    return made


def _files(paths: PipelinePaths) -> set[str]:
    return {str(path.relative_to(paths.home)) for path in paths.home.rglob("*") if path != paths.lock}


def test_only_what_belongs_to_older_runs_goes(paths):
    older = [paths.artifacts / "train" / "model" / "1", paths.artifacts / "evaluate" / "evaluation" / "2"]
    oldest, newest = sorted(paths.serving.glob("[0-9]*"))

    found = collect(paths.home, "letters", keep=1)

    assert [removed.path for removed in found.removed] == sorted(
        [*older, *map(manifest_path, older), paths.log(RUN), oldest]
    )
    assert not any(removed.path.exists() for removed in found.removed)
    assert {kept.reason for kept in found.kept} == {f"of run {NEWEST}", "it is the newest version"}
    assert found.lines() == [f"kept 5 items: of run {NEWEST}", "kept 1 item: it is the newest version"]
    assert newest.is_dir()


def test_what_somebody_put_beside_the_files_of_a_run_stays(paths):
    model = paths.artifacts / "train" / "model" / "1"
    (model / "notes.txt").write_text("mine")
    (paths.logs / "00.log").write_text("mine")
    copy = model.with_name("1.damaged-by-me")
    shutil.copytree(model, copy)

    found = collect(paths.home, "letters", keep=1)

    assert {model, manifest_path(model), paths.logs / "00.log", copy} <= {kept.path for kept in found.kept}
    assert (model / "notes.txt").exists()
    assert not (paths.artifacts / "evaluate" / "evaluation" / "2").exists()


def test_a_home_that_moved_keeps_what_it_is_told_to_keep(paths):
    paths.home.rename(paths.home.with_name("moved"))
    moved = PipelinePaths.of(paths.home.with_name("moved"), "letters")
    before = _files(moved)

    found = collect(moved.home, "letters", keep=2)

    assert found.removed == []
    assert _files(moved) == before


def test_a_copy_removes_nothing_from_the_original(paths):
    copy = paths.home.with_name("copy")
    shutil.copytree(paths.home, copy)
    shutil.rmtree(copy / "runs" / "letters" / "artifacts" / "train" / "model")
    (copy / "runs" / "letters" / "artifacts" / "train" / "model").symlink_to(paths.artifacts / "train" / "model")
    before = _files(paths)

    found = collect(copy, "letters", keep=1)

    assert _files(paths) == before
    assert all(removed.path.is_relative_to(copy) for removed in found.removed)
    assert {kept.path.name for kept in found.kept if kept.reason == LINKED} == {
        name for number in (1, 3) for name in (str(number), f"{number}.manifest.json")
    }


def test_what_no_run_is_known_of_stays_and_is_named(paths):
    stray = paths.artifacts / "train" / "model" / "77"
    aside = paths.artifacts / "train" / "model" / "3.unknown-1"
    damaged = paths.artifacts / "train" / "model" / "1.damaged-1"
    for folder in (stray, aside, damaged, paths.serving / "5"):
        folder.mkdir()
    paths.log("20260530-000000-000").touch()

    found = collect(paths.home, "letters", keep=1, dry_run=True)

    unknown = {kept.path for kept in found.kept if kept.reason == UNKNOWN}
    assert unknown == {stray, aside, paths.serving / "5", paths.log("20260530-000000-000")}
    assert f"kept {stray}: no run is known that made it" in found.lines()
    assert damaged in {removed.path for removed in found.removed}  # it was made anew beside


def test_where_the_newest_runs_files_are_gone_nothing_is_removed(paths):
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


def test_reasons_are_told_as_json(paths):
    from click.testing import CliRunner

    from pipeline.commands.runs import gc

    (paths.home / "letters.yaml").touch()
    arguments = [str(paths.home / "letters.yaml"), "--home", str(paths.home), "--keep", "1", "--dry-run", "--json"]
    told = json.loads(CliRunner().invoke(gc, arguments).output)

    assert len(told["items"]) == 6
    assert {"path": str(paths.log(NEWEST)), "reason": f"of run {NEWEST}"} in told["kept"]
