"""Runs scripts of tests in a separate process, such as those that start Beam workers, which would outlive the test."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, inherited
from tests.waiting import PATIENCE_S


def run_script(folder: Path, text: str, *arguments: str) -> None:
    """Writes a script into a folder, where Beam workers can import it, and runs it; it must end with exit code 0."""
    script = folder / "on_beam.py"
    script.write_text(text)
    done = subprocess.run(
        [sys.executable, script.name, *arguments],
        cwd=folder,
        env=inherited() | {"PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)])},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr[-2000:]
