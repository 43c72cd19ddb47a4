"""A whole run on a table, and a plain script that does the same: `make bench ARGS="evaluate --only whole"`."""

import json
import statistics
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import yaml

from benchmarks.columns.made_up import write_table
from benchmarks.columns.table import Row, Say, ratio
from benchmarks.measuring import HEADRACE, ROOT, Cost, cost

# The labels are drawn at random: no model beats a constant.
SETTINGS = ("train.epochs=1", "baseline.require=report")
MUST, AIM = 3, 2


def rows_of_full_run(folder: Path, rows: int, rounds: int, say: Say) -> Iterator[Row]:
    """Runs all stages in a new home and the plain script, alternately; yields rows of the table.

    Args:
        folder: An empty folder, which receives the table and its run file.
        rows: Number of rows of the table of 20 columns.
        rounds: Number of runs of each, of which medians are taken.
        say: Receives the seconds of stages and of the script's parts, as lines.

    Raises:
        SystemExit: The two networks differ in size.
    """
    write_table(folder, rows, ("csv",))
    run_file = _run_file(folder)
    ours, plain = zip(*[(_run(run_file), _script(folder, run_file)) for _ in range(rounds)], strict=True)
    _check_networks(ours[0], plain[0])
    say("stages, wall s: " + _medians([_stages(run) for run in ours]))
    for kind in ("wall", "cpu"):
        say(f"the plain script's parts, {kind} s: " + _medians([_parts(run, kind) for run in plain]))
    for kind, label in (("wall", "wall"), ("cpu", "CPU")):
        medians = [statistics.median(getattr(run, kind) for run in runs) for runs in (ours, plain)]
        what = f"`headrace run` of {rows:,} x 20, 1 epoch, all stages / plain script, {label}"
        yield ratio(what, *medians, MUST, AIM)


def _run_file(folder: Path) -> Path:
    """Writes the run file of the table with `headrace new`; returns its path."""
    data = ["--data", folder / "rows.csv", "--label", "label"]
    cost([*HEADRACE, "new", folder / "made-up", *data, "--home", folder / "home"])
    return folder / "made-up.yaml"


def _run(run_file: Path) -> Cost:
    settings = [argument for setting in SETTINGS for argument in ("--set", setting)]
    with tempfile.TemporaryDirectory() as home:
        return cost([*HEADRACE, "run", run_file, "--home", home, "--json", *settings])


def _script(folder: Path, run_file: Path) -> Cost:
    train = yaml.safe_load(run_file.read_text())["train"]
    settings = {key: train[key] for key in ("batch_size", "learning_rate")} | {"epochs": 1}
    with tempfile.TemporaryDirectory() as out:
        script = ROOT / "benchmarks" / "evaluate" / "plain_table.py"
        return cost([sys.executable, script, folder / "rows.csv", out, json.dumps(settings)])


def _check_networks(ours: Cost, plain: Cost) -> None:
    """Ends the benchmark unless both networks have the same number of parameters."""
    train = next(stage["detail"] for stage in json.loads(ours.out)["stages"] if stage["name"] == "train")
    parameters = f"{_printed(plain)['parameters']:,} parameters"
    if parameters not in train:
        raise SystemExit(f"The networks differ: train says {train!r}, the plain script has {parameters}.")


def _stages(run: Cost) -> dict[str, float]:
    return {stage["name"]: stage["seconds"] for stage in json.loads(run.out)["stages"]}


def _parts(run: Cost, kind: str) -> dict[str, float]:
    return {part: seconds[kind] for part, seconds in _printed(run)["seconds"].items()}


def _printed(run: Cost) -> dict:
    return json.loads(run.out.splitlines()[-1])


def _medians(runs: list[dict[str, float]]) -> str:
    return ", ".join(f"{name} {statistics.median(run[name] for run in runs):.1f}" for name in runs[0])
