import json
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest

from pipeline.core.paths import PipelinePaths
from pipeline.history import database, execution_records, executions, mlmd, runs
from tests.conftest import ROOT
from tests.pipeline.history.made_up_metadata import RUN, written


def test_a_run_without_a_record_is_read_from_ml_metadata(tmp_path):
    paths = written(tmp_path)
    folder = paths.artifacts / "evaluate" / "evaluation" / "2"
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps({"slices": {"overall": {"accuracy": 0.5}}}))

    (record,) = executions.of(paths)

    assert (record.run, record.pipeline, record.state) == (RUN, "letters", "unpublished")
    assert [(stage.name, stage.state, stage.execution) for stage in record.stages] == [
        ("train", "done", 1),
        ("evaluate", "done", 2),
    ]
    assert record.stages[1].outputs == {"evaluation": str(folder)}
    assert record.metrics == {"accuracy": 0.5}
    assert record.stages[0].seconds < 60
    assert runs.runs(tmp_path) == [record]


def test_the_published_version_is_read_from_the_receipt(tmp_path):
    paths = written(tmp_path, last="publish", output="pushed_model")
    folder = paths.artifacts / "publish" / "pushed_model" / "2"
    folder.mkdir(parents=True)
    (folder / "receipt.json").write_text(json.dumps({"folder": "/somewhere/1780000060", "new": True}))

    (record,) = executions.of(paths)

    assert (record.state, record.version) == ("published", "1780000060")


@pytest.mark.parametrize(("number", "state"), [(2, "killed"), (4, "failed"), (6, "stopped"), (5, "unpublished")])
def test_the_state_of_a_run_follows_from_its_last_stage(tmp_path, number, state):
    paths = written(tmp_path, execution_state=number)

    (record,) = executions.of(paths)

    assert record.state == state


def test_the_lineage_has_the_artifacts_by_id(tmp_path):
    train, evaluate = executions.lineage(written(tmp_path), RUN)

    assert (train.consumed, list(train.produced.values())) == ({}, ["model"])
    (model,) = train.produced
    assert evaluate.consumed == {model: "model"}
    assert list(evaluate.produced.values()) == ["evaluation"]
    assert executions.lineage(PipelinePaths.of(tmp_path, "letters"), "another") == []


def test_artifacts_of_a_moved_home_have_their_current_paths(tmp_path):
    original = written(tmp_path / "before")
    (tmp_path / "before").rename(tmp_path / "now")
    paths = PipelinePaths.of(tmp_path / "now", "letters")
    before = executions.of(paths)

    database.make_relative(paths)

    assert [list(stage.outputs.values()) for stage in before[0].stages] == [
        [str(paths.artifacts / "train" / "model" / "1")],
        [str(paths.artifacts / "evaluate" / "evaluation" / "2")],
    ]
    assert executions.of(paths) == before
    with mlmd.reading(paths.database) as connection:
        assert sorted(mlmd.uris(connection)) == [
            "runs/letters/artifacts/evaluate/evaluation/2",
            "runs/letters/artifacts/train/model/1",
        ]
    assert str(original.home).encode() not in paths.database.read_bytes()


def test_without_a_database_there_are_no_runs(tmp_path):
    paths = PipelinePaths.of(tmp_path, "letters")

    assert executions.of(paths) == []
    assert executions.names(paths) == set()
    assert executions.lineage(paths, RUN) == []


def test_a_damaged_database_hides_no_run_that_has_a_record(tmp_path):
    paths = written(tmp_path)
    paths.database.write_bytes(b"no database" * 100)

    assert executions.names(paths) == set()


def test_properties_and_inputs_of_an_execution(tmp_path):
    paths = written(tmp_path)

    assert mlmd.properties(paths.database, 2) == {"seed": 3, "task": "classification"}
    with mlmd.reading(paths.database) as connection:
        assert mlmd.inputs(connection, 2) == {"model": str(paths.artifacts / "train" / "model" / "1")}


def test_a_lost_database_is_rebuilt_from_the_execution_records(tmp_path):
    paths = written(tmp_path)
    execution_records.write(paths)
    before, properties = executions.of(paths), mlmd.properties(paths.database, 2)
    paths.database.unlink()

    assert execution_records.restore(paths) == 2
    assert executions.of(paths) == before
    assert mlmd.properties(paths.database, 2) == properties
    assert execution_records.restore(paths) == 0  # nothing is missing now
    database.check(paths)


def test_a_running_execution_has_no_record_yet(tmp_path):
    paths = written(tmp_path, execution_state=2)

    execution_records.write(paths)

    assert [path.name for path in paths.execution_records.iterdir()] == ["1.json"]


def test_bytes_in_a_row_are_restored_as_bytes(tmp_path):
    paths = written(tmp_path)
    with closing(sqlite3.connect(paths.database)) as connection:
        connection.execute("update ExecutionProperty set byte_value = x'00ff' where name = 'task'")
        connection.commit()
    execution_records.write(paths)
    paths.database.unlink()

    execution_records.restore(paths)

    with closing(sqlite3.connect(paths.database)) as connection:
        query = "select distinct byte_value from ExecutionProperty where name = 'task'"
        assert connection.execute(query).fetchall() == [(b"\x00\xff",)]


def test_runs_and_lineage_load_no_ml_metadata_or_tensorflow(tmp_path):
    paths = written(tmp_path)
    program = (
        "import sys; from pathlib import Path; from pipeline.core.paths import PipelinePaths;"
        "from pipeline.history import executions;"
        "runs = executions.of(PipelinePaths.of(Path(sys.argv[1]), 'letters'));"
        "print(len(runs), [name for name in ('ml_metadata', 'tensorflow', 'tfx') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", program, str(tmp_path)], cwd=ROOT, capture_output=True, text=True)

    assert paths.database.exists()
    assert result.stdout.strip() == "1 []", result.stderr
