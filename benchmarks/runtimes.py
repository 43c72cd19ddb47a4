"""Whether the models of all tasks run in the C++ loaders of older TensorFlows: in those of TF Serving's releases."""

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
    """Exports a tiny model of each task, asks it in each TensorFlow, and returns the table in Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        cost([sys.executable, "-m", "benchmarks.runtimes", "export", folder])
        found = {}
        for version in versions:
            say(f"TensorFlow {version}")
            python = folder / version / "bin" / "python"
            subprocess.run([Path(sys.base_prefix) / "bin" / "python3", "-m", "venv", folder / version], check=True)
            subprocess.run([python, "-m", "pip", "install", "--quiet", f"tensorflow=={version}"], check=True)
            found[version] = dict(
                line.split(" ", 1)
                for line in cost([python, "-m", "benchmarks.runtimes", "ask", folder]).out.splitlines()
            )
    heads = ["task", *(f"TensorFlow {version}" for version in versions)]
    lines = [f"| {' | '.join(heads)} |", f"| {' | '.join(['---'] * len(heads))} |"]
    for task in next(iter(found.values())):
        lines.append(f"| {task} | {' | '.join(found[version][task] for version in versions)} |")
    return "\n".join(lines)


def export(folder: Path) -> None:
    """Trains and exports a tiny model of each task; what it is asked and answers lies beside it."""
    from models import registry
    from models.serving.protocol import warmup
    from models.serving.protocol.tensors import to_array
    from models.training.trainer import train
    from tests.models.tiny import job

    for task in sorted(registry.TASKS):
        made = job(folder / task, task)
        train(made)
        cases = [
            (
                log.predict_log.request.model_spec.signature_name,
                {alias: to_array(value) for alias, value in log.predict_log.request.inputs.items()},
                {alias: to_array(value) for alias, value in log.predict_log.response.outputs.items()},
            )
            for log in warmup.read(Path(made.model_folder))
        ]
        (folder / task / CASES).write_bytes(pickle.dumps((made.model_folder, cases)))


def ask(folder: Path) -> None:
    """Prints a line a task: the greatest difference of this TensorFlow's answers, or why there are none."""
    from tests.models.serving.cpp_loader import CppModel

    for file in sorted(folder.glob(f"*/{CASES}")):
        path, cases = pickle.loads(file.read_bytes())
        try:
            model, worst, count = CppModel(Path(path)), 0.0, 0
            for signature, inputs, expected in cases:
                answer = model.run(signature, inputs)
                for alias, value in expected.items():
                    count += value.size
                    if value.dtype.kind == "f":
                        worst = max(worst, float(np.abs(value - answer[alias]).max()))
                    elif not np.array_equal(value, answer[alias]):
                        worst = float("inf")
            print(f"{file.parent.name} {count} values, differ by at most {worst:.1g}")
        except RuntimeError as error:
            print(f"{file.parent.name} {str(error).splitlines()[0]}")


if __name__ == "__main__":
    {"export": export, "ask": ask}[sys.argv[1]](Path(sys.argv[2]))
