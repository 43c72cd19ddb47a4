"""The models of all tasks in the C++ loaders of older TensorFlows, those of TF Serving's releases."""

import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from benchmarks.measuring import cost

CASES = "cases.pickle"


def table(versions: Sequence[str], say: Callable[[str], None]) -> str:
    """Exports a tiny model of each task, runs it in each TensorFlow, and returns the table in Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cost([sys.executable, "-m", "benchmarks.runtimes", "export", folder])
        results = {}
        for version in versions:
            say(f"TensorFlow {version}")
            python = folder / version / "bin" / "python"
            subprocess.run([Path(sys.base_prefix) / "bin" / "python3", "-m", "venv", folder / version], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", f"tensorflow=={version}"], check=True)
            results[version] = dict(
                line.split(" ", 1)
                for line in cost([python, "-m", "benchmarks.runtimes", "run", folder]).out.splitlines()
            )
    columns = ["task", *(f"TensorFlow {version}" for version in versions)]
    lines = [f"| {' | '.join(columns)} |", f"| {' | '.join(['---'] * len(columns))} |"]
    for task in next(iter(results.values())):
        lines.append(f"| {task} | {' | '.join(results[version][task] for version in versions)} |")
    return "\n".join(lines)


def export(folder: Path) -> None:
    """Trains and exports a tiny model of each task, with its warm-up requests and their outputs."""
    from models import registry
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array
    from models.training.trainer import train
    from tests.models import tiny

    for task in sorted(registry.TASKS):
        job = tiny.job(folder / task, task)
        train(job)
        cases = [
            (
                log.predict_log.request.model_spec.signature_name,
                {alias: to_array(value) for alias, value in log.predict_log.request.inputs.items()},
                {alias: to_array(value) for alias, value in log.predict_log.response.outputs.items()},
            )
            for log in warmup.read(Path(job.model_folder))
        ]
        (folder / task / CASES).write_bytes(pickle.dumps((job.model_folder, cases)))


def run(folder: Path) -> None:
    """Prints a line for each task: the greatest difference of this TensorFlow's outputs, or the error."""
    from tests.models.serving.cpp_loader import CppModel

    for file in sorted(folder.glob(f"*/{CASES}")):
        path, cases = pickle.loads(file.read_bytes())
        try:
            model, worst, count = CppModel(Path(path)), 0.0, 0
            for signature, inputs, expected in cases:
                outputs = model.run(signature, inputs)
                for alias, value in expected.items():
                    count += value.size
                    if value.dtype.kind == "f":
                        worst = max(worst, float(np.abs(value - outputs[alias]).max()))
                    elif not np.array_equal(value, outputs[alias]):
                        worst = float("inf")
            print(f"{file.parent.name} {count} values, differ by at most {worst:.1g}")
        except RuntimeError as error:
            print(f"{file.parent.name} {str(error).splitlines()[0]}")


if __name__ == "__main__":
    {"export": export, "run": run}[sys.argv[1]](Path(sys.argv[2]))
