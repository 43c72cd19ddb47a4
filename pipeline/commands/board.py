"""Starts TensorBoard on all runs of a home."""

import os
import sys
from pathlib import Path

from data.errors import ConfigError
from pipeline.core.paths import TENSORBOARD


def serve(home: Path, port: int) -> None:
    """Replaces this process by TensorBoard on the event files below `home`, on 127.0.0.1.

    Raises:
        ConfigError: There are no runs yet.
    """
    runs = home.resolve() / TENSORBOARD
    if not any(runs.glob("*/*")):
        raise ConfigError(f"There is nothing to show below {runs}; run `headrace run NAME` first.")
    # -P keeps modules in the current folder from being imported.
    command = [sys.executable, "-P", "-m", "tensorboard.main", f"--logdir={runs}"]
    command += ["--host=127.0.0.1", f"--port={port}"]
    # All images and histograms of a run; by default TensorBoard shows a sample.
    command += ["--samples_per_plugin=images=200,text=200,histograms=200", "--reload_interval=10"]
    os.execv(sys.executable, command)
