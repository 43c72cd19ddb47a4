"""Measures what docs/results.md states; `make bench ARGS="accuracy digits --seeds 5"`.

Never part of the tests: these figures depend on the machine.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parent.parent
HEADRACE = [str(Path(sys.executable).parent / "headrace")]


@click.group()
def bench() -> None:
    """Measure Headrace on this machine."""


@bench.command()
@click.argument("pipelines", nargs=-1, required=True)
@click.option("--seeds", default=3, show_default=True)
def accuracy(pipelines: tuple[str, ...], seeds: int) -> None:
    """Run PIPELINES whole, once a seed, each in an empty home."""
    print("| pipeline | accuracy: mean (least to most) | wall s: median | CPU s: median | peak MiB | parameters |")
    print("| --- | --- | --- | --- | --- | --- |")
    for name in pipelines:
        runs = [_whole_run(name, seed) for seed in range(seeds)]
        found = [run["metrics"]["accuracy"] for run in runs]
        train = next(stage["detail"] for stage in runs[0]["stages"] if stage["name"] == "train")
        parameters = train.split(", ", 1)[1].split(" parameters")[0]
        cells = [
            name,
            f"{statistics.mean(found):.4f} ({min(found):.4f} to {max(found):.4f})",
            f"{statistics.median(run['wall'] for run in runs):.0f}",
            f"{statistics.median(run['cpu'] for run in runs):.0f}",
            f"{max(run['peak'] for run in runs):,.0f}",
            parameters,
        ]
        print(f"| {' | '.join(cells)} |", flush=True)


def _whole_run(name: str, seed: int) -> dict:
    with tempfile.TemporaryDirectory() as home, tempfile.TemporaryFile("w+") as out:
        started = time.perf_counter()
        command = [*HEADRACE, "run", name, "--home", home, "--set", f"seed={seed}", "--json"]
        process = subprocess.Popen(command, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        wall = time.perf_counter() - started
        out.seek(0)
        result = json.load(out)
    if process.returncode:
        raise SystemExit(f"{name} with seed {seed} ended with {process.returncode}: {result.get('error')}")
    return {**result, "wall": wall, "cpu": usage.ru_utime + usage.ru_stime, "peak": usage.ru_maxrss / 1024}


@bench.command()
@click.option("--runs", default=9, show_default=True)
def startup(runs: int) -> None:
    """Time what must be instant: help, a typo, set-up with nothing to do; each against `python -c pass`."""
    with tempfile.TemporaryDirectory() as folder:
        typo = Path(folder) / "typo.yaml"
        typo.write_text("task: image_classification\ndata: {name: digits}\ntrain: {epoch: 3}\n")
        commands = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "headrace --help": [*HEADRACE, "--help"],
            "headrace run typo.yaml": [*HEADRACE, "run", str(typo)],
            "bootstrap.py, nothing to do": [sys.executable, str(ROOT / "bootstrap.py")],
        }
        seconds: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(runs + 1):  # the first round warms up
            for name, command in commands.items():
                started = time.perf_counter()
                subprocess.run(command, capture_output=True, cwd=ROOT)
                seconds[name].append(time.perf_counter() - started)
    base = statistics.median(seconds["python -c pass"][1:])
    print("| command | median s | most s | times `python -c pass` |\n| --- | --- | --- | --- |")
    for name, values in seconds.items():
        median = statistics.median(values[1:])
        print(f"| `{name}` | {median:.2f} | {max(values[1:]):.2f} | {median / base:.1f} |")


if __name__ == "__main__":
    bench()
