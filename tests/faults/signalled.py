"""Runs `headrace` and sends the process a signal at one stage: `signalled.py STAGE SIGNAL run ...`.

In `train` the signal comes after the second epoch; in any other stage when its work is done and not yet recorded, the
worst moment. With STAGE `stuck` the signal comes in `statistics`, while the main thread does not return from C.
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


def send_signal() -> None:
    os.kill(os.getpid(), number)


def run_executor_with_signal(launcher, info):
    name = launcher._pipeline_node.node_info.id
    if stage == "stuck" and name == "statistics":
        threading.Timer(0.5, send_signal).start()
        # Another thread gets the signal, and this one never returns from C.
        signal.pthread_sigmask(signal.SIG_BLOCK, {number})
        ctypes.CDLL(None).pause()
    if stage == "train" and name == "train":
        with progress.listening(lambda values: send_signal() if values.get("done") and values["epoch"] == 2 else None):
            return run_executor(launcher, info)
    done = run_executor(launcher, info)
    if name == stage:
        send_signal()
    return done


beam_runner._Launcher._run_executor = run_executor_with_signal
sys.argv = ["headrace", *sys.argv[3:]]
cli.main()
