"""Benchmarks call what exists. They run too long for a test, so that mypy looks at their calls."""

import re
import subprocess
import sys

import pytest

from tests.conftest import ROOT

# Of mypy's errors only these: TFX and TensorFlow have no types, and it does not count the arguments in `*medians`.
WRONG_CALL = re.compile(
    r'^benchmarks/.*(?:Missing .*argument|Unexpected keyword argument|Module ".*" has no attribute).*', re.M
)
OPTIONS = (
    "--config-file /dev/null --no-site-packages --ignore-missing-imports --check-untyped-defs --explicit-package-bases"
)


@pytest.mark.slow
def test_benchmarks_pass_the_arguments_that_functions_take(tmp_path):
    options = [*OPTIONS.split(), "--follow-imports", "silent", "--cache-dir", str(tmp_path)]

    command = [sys.executable, "-m", "mypy", *options, "benchmarks"]
    report = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert report.returncode < 2, report.stderr
    assert WRONG_CALL.findall(report.stdout) == []
