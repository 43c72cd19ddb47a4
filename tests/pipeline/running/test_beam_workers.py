"""Beam's workers are forked, compute the same as one process, and end with the pipeline."""

import json
import subprocess
import sys

import pytest

from tests.conftest import ROOT, namesakes
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

# In a process of its own: the handler that it registers would stay in this one.
SQUARES = """
import json, os
import headrace
headrace.put_our_packages_first()
import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from pipeline.running import beam_workers
from pipeline.running.graph import beam_args

if __name__ == "__main__":
    beam_workers.start()
    with beam.Pipeline(options=PipelineOptions(beam_args(2))) as pipeline:
        (pipeline | beam.Create(range(100)) | beam.Reshuffle()
         | beam.Map(lambda x: (os.getppid(), os.getpid(), x * x, __import__("data.errors").__file__))
         | beam.combiners.ToList()
         | beam.Map(lambda found: open("found.json", "w").write(json.dumps(found))))
    print(os.getpid())
"""


def test_two_workers_compute_the_same_as_one_and_end_with_the_pipeline(tmp_path):
    (namesakes(tmp_path) / "squares.py").write_text(SQUARES)

    result = subprocess.run(
        [sys.executable, "squares.py"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )

    assert result.returncode == 0, result.stderr[-2000:]
    results = json.loads((tmp_path / "found.json").read_text())
    assert sorted(square for _, _, square, _ in results) == [x * x for x in range(100)]
    starter = int(result.stdout)
    parents, workers = {parent for parent, _, _, _ in results}, {worker for _, worker, _, _ in results}
    assert starter not in workers | parents  # forked from the server, not started by the pipeline
    assert {file for _, _, _, file in results} == {str(ROOT / "data" / "__init__.py")}  # not the current folder's
    assert not [worker for worker in workers if (ROOT / f"/proc/{worker}").exists()]
