"""Runs `headrace` as a person would, and sends it a real signal at one stage: `struck.py STAGE SIGNAL run ...`.

In `train` the signal comes after the second epoch; in any other stage when its work is done and not yet recorded, the
worst moment. With STAGE `stuck` the main thread does not come back from C when the signal comes, in `statistics`.
"""

import ctypes
import os
import signal
import sys
import threading
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from models import progress
from pipeline.commands import cli
from pipeline.running import beam_runner

stage, number = sys.argv[1], signal.Signals[sys.argv[2]]
run_executor = beam_runner._Launcher._run_executor


def strike() -> None:
    os.kill(os.getpid(), number)


def struck(launcher, info):
    name = launcher._pipeline_node.node_info.id
    if stage == "stuck" and name == "statistics":
        threading.Timer(0.5, strike).start()
        # The signal reaches another thread, and this one stays in C for good.
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        ctypes.CDLL(None).pause()
    if stage == "train" and name == "train":
        with progress.listening(lambda values: strike() if values.get("done") and values["epoch"] == 2 else None):
            return run_executor(launcher, info)
    done = run_executor(launcher, info)
    if name == stage:
        strike()
    return done


beam_runner._Launcher._run_executor = struck
sys.argv = ["headrace", *sys.argv[3:]]
cli.main()
