"""What drift can be measured of, as `headrace drift` checks it first."""

import subprocess
import sys

import pytest

from tests.conftest import inherited
from tests.waiting import PATIENCE_S

HEAVY = {"tensorflow", "tfx", "apache_beam"}
CODE = f"import sys, headrace\ntry:\n    headrace.main()\nfinally:\n    print(sorted({HEAVY} & set(sys.modules)))"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("all", "headrace: 0 requests were sampled since the live version was published, 50 are needed; "
         "is serving.sample.rate above 0? The data of a has no spans; name {SPAN} or a date in data.files.\n"),
        ("spans", "headrace: The data of a has no spans; name {SPAN} or a date in data.files.\n"),
    ],
)  # fmt: skip
def test_without_samples_and_spans_drift_is_refused_before_anything_heavy_is_loaded(tmp_path, source, message):
    (tmp_path / "a.csv").write_text("x,y\n" + "1,yes\n2,no\n" * 30)
    (tmp_path / "a.yaml").write_text("task: tabular_classification\ndata: {files: a.csv, label: y}\n")
    command = [sys.executable, "-c", CODE, "drift", tmp_path / "a.yaml", "--of", source, "--home", tmp_path]

    done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S, env=inherited())

    assert done.stderr == message
    assert done.stdout == "[]\n"
    assert done.returncode == 2
