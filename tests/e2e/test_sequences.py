"""Sequences of several numbers a step, in JSON Lines, become a published model that predicts JSON Lines and Parquet."""

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests.conftest import headrace

pytestmark = pytest.mark.e2e

RUN_FILE = """
task: sequence_classification
data:
  files: tracks.jsonl
  features:
    track: {kind: sequence, width: 2, max_length: 12, too_long: last}
    kind: {kind: label, classes: [falls, rises]}
model: {units: 8, num_layers: 1}
train: {epochs: 4, batch_size: 16, learning_rate: 0.02, tensorboard: {images: false, histogram_freq: 0}}
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> Path:
    """A home with a published model of 300 tracks, whose first number falls or rises; some have too many steps."""
    folder, generator = tmp_path_factory.mktemp("tracks"), np.random.default_rng(0)
    lines = []
    for index in range(300):
        steps = generator.normal(size=(3 + index % 13, 2)).round(3)
        steps[:, 0] += np.arange(len(steps)) * (2 if index % 2 else -2)
        lines.append(json.dumps({"track": steps.tolist(), "kind": ("falls", "rises")[index % 2]}))
    (folder / "tracks.jsonl").write_text("\n".join(lines))
    (folder / "tracks.yaml").write_text(RUN_FILE)
    done = headrace("run", "tracks.yaml", "--json", cwd=folder)
    assert done.code == 0, done.out + done.err
    return folder


def test_json_lines_and_parquet_get_the_same_predictions_and_rows_that_cannot_be_used_an_error(home):
    tracks = [[[0.0, 1.0], [5.0, 1.0], [10.0, 1.0]], [[0.0, 1.0], [-5.0, 1.0]], [[1.0]], []]
    (home / "new.jsonl").write_text("\n".join(json.dumps({"track": track}) for track in tracks))
    pq.write_table(pa.table({"track": tracks}), home / "new.parquet")

    rows = {}
    for ending in ("jsonl", "parquet"):
        done = headrace("predict", "tracks.yaml", f"new.{ending}", "--json", cwd=home)
        rows[ending] = json.loads(done.out)

    for of_file in rows.values():
        assert [row["top"][0]["class"] for row in of_file[:2]] == ["rises", "falls"]
        assert [row["error"].partition(": ")[2] for row in of_file[2:]] == [
            "expected 2 numbers at step 1, found a list of 1", "expected a list of numbers, 2 a step, found no step",
        ]  # fmt: skip
    assert [row["top"] for row in rows["jsonl"][:2]] == [row["top"] for row in rows["parquet"][:2]]


def test_the_page_shows_the_run_and_its_reference_models(home):
    (report,) = (home / "runs" / "tracks" / "reports").glob("*.html")

    assert "hist_gradient_boosting" in report.read_text()
