"""Scripts that a test runs in a process of its own, such as those that start Beam's workers, which would stay."""

import os
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, inherited
from tests.waiting import PATIENCE_S


def run_script(folder: Path, text: str, *arguments: str) -> None:
    """Writes a script into a folder and runs it there; it has to end well. It can be imported by Beam's workers."""
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
