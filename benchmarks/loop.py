"""The closed loop as a plot: a stream that shifts, drift of served requests, a new version, accuracy restored."""

import json
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.measuring import HEADRACE, ROOT
from models.serving.deployment.process import free_port
from models.serving.rollout.versions import versions
from tests.e2e import test_loop as loop
from tests.waiting import until

BATCHES, SHIFT_AT, SHIFT = 10, 4, 3.0
PLOT = ROOT / "docs" / "closed_loop.png"


def table(say: Callable[[str], None]) -> str:
    """Runs the stream, draws the plot, and returns the table in Markdown."""
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        (home / "loop.yaml").write_text(loop.RUN_FILE)
        for number in (1, 2):
            loop._write_span(home, number, 0.0)
        subprocess.run([*HEADRACE, "run", home / "loop.yaml", "--home", home], check=True, capture_output=True)
        port = free_port()
        with loop._command("serve", "loop", "--home", home, "--port", "0", "--rest-port", port) as server:
            assert server.stdout
            server.stdout.readline()
            rest = f"http://127.0.0.1:{port}"
            for batch in range(BATCHES):
                say(f"batch {batch + 1} of {BATCHES}")
                rows.append(_batch(home, rest, batch))
    _draw(rows)
    head = ["| batch | shifted | answered by | accuracy | farthest feature | drift | then |", "| --- " * 7 + "|"]
    return "\n".join(head + [f"| {' | '.join(map(str, row))} |" for row in rows])


def _batch(home: Path, rest: str, batch: int) -> list:
    shift = SHIFT if batch >= SHIFT_AT else 0.0
    examples = loop._world(100 + batch, shift)
    before = versions(home / "serving" / "loop")
    loop._ask(rest, examples, f"b{batch}-")
    accuracy = loop._accuracy(home, examples, f"b{batch}-")
    command = [
        *HEADRACE,
        "drift",
        home / "loop.yaml",
        "--of",
        "served",
        "--max-distance",
        "0.3",
        "--home",
        home,
        "--json",
    ]
    process = subprocess.run(command, capture_output=True, text=True)
    farthest = json.loads(process.stdout)["served"][0]
    drifted, action = process.returncode == 3, ""
    if drifted:
        for number in (1, 2):  # labels of two spans have come meanwhile
            loop._write_span(home, 10 + 2 * batch + number, shift)
        run = [*HEADRACE, "run", home / "loop.yaml", "--home", home, "--set", "evaluate.challenge=not_worse"]
        subprocess.run(run, check=True, capture_output=True)
        newest = versions(home / "serving" / "loop")[-1]
        until(lambda: loop.available(rest) == {str(newest)})
        action = "trained anew, published"
    distance = f"{farthest['feature']} {farthest['value']:.2f}"
    shifted, drift = ("yes" if holds else "" for holds in (shift, drifted))
    return [batch + 1, shifted, len(before), f"{accuracy:.3f}", distance, drift, action]


def _draw(rows: list[list]) -> None:
    figure = Figure(figsize=(7, 3.2), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    axes.plot(
        [row[0] for row in rows], [float(row[3]) for row in rows], "o-", label="accuracy, by labels that came later"
    )
    axes.plot(
        [row[0] for row in rows],
        [float(row[4].split()[-1]) for row in rows],
        "s--",
        label="distance of the farthest feature",
    )
    axes.axvline(SHIFT_AT + 0.5, color="grey", linestyle=":")
    axes.text(SHIFT_AT + 0.55, 0.62, "the world shifts", fontsize=8)
    for row in rows:
        if row[6]:
            axes.axvline(row[0] + 0.5, color="green", linestyle=":")
            axes.text(row[0] + 0.55, 0.62, "new version", fontsize=8)
    axes.set(xlabel="batch of 300 requests", ylim=(0, 1.05), xticks=[row[0] for row in rows])
    axes.grid(alpha=0.3)
    axes.legend(loc="center right", fontsize=8)
    figure.savefig(PLOT)
