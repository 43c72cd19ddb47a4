"""A whole run with everything set at once that reaches into one: it ends as on a clean machine."""

import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipeline.core import environment
from pipeline.history import runs
from tests.waiting import PATIENCE_S

pytestmark = [pytest.mark.e2e, pytest.mark.long]

RUN_FILE = """
task: tabular_classification
data:
  files: "*.csv"
  features: {speed: number, wind: number, engine: category, late: {kind: label, classes: ["no", "yes"]}}
model: {dense_units: [16], hash_buckets: 16}
train: {epochs: 2, batch_size: 32, learning_rate: 0.01, early_stopping: null}
evaluate: {thresholds: {accuracy: {min: 0.3}}}
"""
SET = {
    "PYTHONOPTIMIZE": "2",
    "PYTHONWARNINGS": "error",
    "PYTHONIOENCODING": "ascii",
    "KERAS_BACKEND": "jax",
    "KERAS_MAX_EPOCHS": "1",
    "TF_USE_LEGACY_KERAS": "1",
    "TF2_BEHAVIOR": "0",
    "TF_XLA_FLAGS": "--no_such_flag",
    "TF_FUNCTION_JIT_COMPILE_DEFAULT": "1",
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "MPLBACKEND": "TkAgg",
    "http_proxy": "http://127.0.0.1:9",
    "https_proxy": "http://127.0.0.1:9",
    "grpc_proxy": "http://127.0.0.1:9",
}


@pytest.fixture
def home():
    """A folder that any user can reach, unlike pytest's own, with a name that is not ASCII."""
    folder = Path(tempfile.mkdtemp(prefix="headrace \u00e9 "))
    folder.chmod(0o777)
    yield folder
    shutil.rmtree(folder)


def _command(*arguments: str) -> list[str]:
    """Returns the command, for a user id without an entry in passwd where this is root."""
    other_user = ["setpriv", "--reuid", "12345", "--clear-groups"]
    command = [str(Path(sys.executable).with_name("headrace")), *arguments]
    return command if os.getuid() or not shutil.which("setpriv") else other_user + command


def test_a_run_ends_well_whatever_is_set(home):
    generator = random.Random(0)
    speeds = [generator.gauss(0, 1) for _ in range(300)]
    rows = [f"{speed:.4f},{generator.gauss(0, 1):.4f},électrique,{'yes' if speed < 0 else 'no'}" for speed in speeds]
    (home / "rows.csv").write_text("\n".join(["speed,wind,engine,late", *rows]) + "\n", encoding="utf-8")
    (home / "tiny.yaml").write_text(RUN_FILE)
    (home / "keras").mkdir()
    (home / "keras" / "keras.json").write_text(json.dumps({"backend": "jax", "floatx": "float64"}))
    kept = {name: value for name, value in os.environ.items() if name not in (*environment.USER_VARIABLES, "HOME")}

    done = subprocess.run(
        _command("run", "./tiny.yaml", "--home", str(home), "-v"), cwd=home, capture_output=True, timeout=PATIENCE_S,
        env={**kept, **SET, "KERAS_HOME": str(home / "keras")},
    )  # fmt: skip

    out = done.stdout.decode("ascii")
    assert done.returncode == 0, out + done.stderr.decode()
    assert "+ publish" in out
    (noted,) = [line for line in out.splitlines() if line.startswith("  environment: ")]
    assert "KERAS_MAX_EPOCHS=1 is not used" in noted
    assert "keras.json is not used (backend, floatx)" in noted
    assert "TF_ENABLE_ONEDNN_OPTS=0: results may differ" in noted
    (record,) = runs.runs(home)
    assert record.state == "published"
    assert noted.strip() in [note.replace("\u00e9", "?") for note in record.notes]
    assert next(stage for stage in record.stages if stage.name == "train").detail.startswith("2 epochs")
