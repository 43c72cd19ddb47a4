"""Paths in the inputs and outputs of executors, in a home that they access by a link."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from data.errors import DataError

pytestmark = pytest.mark.slow

HOME, LINK, BASE = Path("/homes/a [1]"), Path("/tmp/link"), Path("/files")
PROPERTIES = {
    "base": "<base>",
    "destination": "<home>/serving/digits",
    "beam_args": "<beam>",
    "task": "of <home>",
    "seed": 3,
    "custom_config": json.dumps({"home": "<home>", "seed": 3, "checkpoints": "runs/digits/checkpoints"}),
}
FILLED = {
    "base": "/files",
    "destination": "/tmp/link/serving/digits",
    "beam_args": '["--workers=2"]',
    "task": "of <home>",
    "seed": 3,
    "custom_config": json.dumps({"home": "/tmp/link", "seed": 3, "checkpoints": "runs/digits/checkpoints"}),
}


@pytest.fixture
def home_paths():
    from pipeline.running.home_paths import HomePaths

    return HomePaths(HOME, BASE, LINK, ["--workers=2"])


def _artifacts(uri: str) -> dict:
    from tfx.types.standard_artifacts import Model

    model = Model()
    model.uri = uri
    return {"model": [model]}


def test_an_executor_gets_absolute_paths_and_the_recorded_ones_stay_relative(home_paths):
    from tfx.orchestration.portable.data_types import ExecutionInfo

    info = ExecutionInfo(
        input_dict=_artifacts("runs/digits/artifacts/train/model/7"),
        output_dict=_artifacts("runs/digits/artifacts/train/model/8"),
        exec_properties=PROPERTIES,
        execution_output_uri="runs/digits/artifacts/train/.system/output",
        stateful_working_dir="runs/digits/artifacts/train/.system/state",
        tmp_dir="runs/digits/artifacts/train/.system/.temp/",
    )

    absolute = home_paths.absolute(info)

    assert absolute.exec_properties == FILLED
    assert absolute.input_dict["model"][0].uri == "/tmp/link/runs/digits/artifacts/train/model/7"
    assert absolute.output_dict["model"][0].uri == "/tmp/link/runs/digits/artifacts/train/model/8"
    assert absolute.execution_output_uri == "/tmp/link/runs/digits/artifacts/train/.system/output"
    assert absolute.stateful_working_dir == "/tmp/link/runs/digits/artifacts/train/.system/state"
    assert absolute.tmp_dir == "/tmp/link/runs/digits/artifacts/train/.system/.temp/"
    assert info.output_dict["model"][0].uri == "runs/digits/artifacts/train/model/8"
    assert info.exec_properties == PROPERTIES


def test_the_output_of_an_executor_is_made_relative(home_paths):
    from tfx.orchestration.portable import outputs_utils
    from tfx.proto.orchestration.execution_result_pb2 import ExecutorOutput

    output = ExecutorOutput()
    outputs_utils.populate_output_artifact(output, _artifacts("/tmp/link/runs/digits/artifacts/train/model/8"))
    outputs_utils.populate_exec_properties(output, FILLED)

    home_paths.relative(output, PROPERTIES)

    assert output.output_artifacts["model"].artifacts[0].uri == "runs/digits/artifacts/train/model/8"
    assert set(output.execution_properties) == {"task", "seed"}


def test_checkpoints_of_a_stopped_training_are_found_in_a_moved_home():
    from pipeline.running.trainer_entry import _checkpoint_folder

    def checkpoints(home: str, seed: int = 3) -> Path:
        custom = {"home": home, "seed": seed, "checkpoints": "runs/digits/checkpoints"}
        artifacts = f"{home}/runs/digits/artifacts"
        return _checkpoint_folder(
            SimpleNamespace(
                custom_config=custom,
                train_files=[f"{artifacts}/ingest/examples/1/Split-train/*"],
                eval_files=[f"{artifacts}/ingest/examples/1/Split-validation/*"],
                transform_graph_path=f"{artifacts}/transform/transform_graph/6",
            )
        ).relative_to(home)

    assert checkpoints("/before") == checkpoints("/now")
    assert checkpoints("/before") != checkpoints("/before", seed=4)


def test_an_error_names_the_home_and_not_the_link(home_paths):
    with (
        pytest.raises(DataError, match=r"^/homes/a \[1\]/runs/digits/accepted.npz is damaged$"),
        home_paths.naming_home(),
    ):
        raise DataError("/tmp/link/runs/digits/accepted.npz is damaged")
