"""Times of pages: the page of a run of Fashion-MNIST, and the site with a thousand runs."""

import statistics
import subprocess
import tempfile
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import HEADRACE, cost
from tests.pipeline import made_up

RUNS, REQUESTS = 1000, 20
MIB = 2**20


def table(say: Callable[[str], None]) -> str:
    """Measures and returns the table in Markdown."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        rows = [*_report(home, say), *_site(home, say)]
    head = ["| | first, ms | median of 20, ms | must, ms |", "| --- | --- | --- | --- |"]
    return "\n".join(head + [f"| {what} | {first:,.0f} | {median} | {must} |" for what, first, median, must in rows])


def _report(home: Path, say: Callable[[str], None]) -> list[tuple]:
    say("one epoch of Fashion-MNIST")
    settings = ["--set", "train.epochs=1", "--set", "evaluate.thresholds={}"]
    out = cost([*HEADRACE, "run", "fashion_mnist", "--home", home, *settings]).out
    seconds_in_run = next(float(line.split()[2]) for line in out.splitlines() if line.startswith("✓ report"))
    command = [*HEADRACE, "report", "fashion_mnist", "--home", home]
    milliseconds = [cost(command).wall * 1000 for _ in range(3)]
    page = next((home / "runs" / "fashion_mnist" / "reports").glob("*.html"))
    size = f"{page.stat().st_size / MIB:.2f} MiB"
    return [
        (f"page and TensorBoard's cards, within the run of Fashion-MNIST ({size})", seconds_in_run * 1000, "", "3,000"),
        (
            "`headrace report`, Fashion-MNIST",
            milliseconds[0],
            f"{statistics.median(milliseconds):,.0f} (of 3)",
            "3,000",
        ),
    ]


def _site(home: Path, say: Callable[[str], None]) -> list[tuple]:
    say(f"{RUNS} made-up runs")
    spec = made_up.spec_of(("good", "bad"))
    for index in range(RUNS):
        record = made_up.record_of(f"20250101-{index:06d}-000", spec, metrics={"accuracy": 0.5 + index / 4000})
        record.intervals = {"accuracy": [0.4, 0.9]}
        made_up.write_record(home, record)
    runs = [cost([*HEADRACE, "runs", "--home", home]).wall * 1000 for _ in range(3)]
    rows = [(f"`headrace runs`, {RUNS:,} runs", runs[0], f"{statistics.median(runs):,.0f} (of 3)", "1,500")]
    process = subprocess.Popen([*HEADRACE, "ui", "--port", "0", "--home", str(home)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout
        address = process.stdout.readline().strip().rstrip("/")
        newest = f"/runs/made_up/20250101-{RUNS - 1:06d}-000"
        for path in ("/", "/runs", "/pipelines/made_up", newest, f"/api{newest}"):
            milliseconds = [_milliseconds(address + path) for _ in range(REQUESTS + 1)]
            rows.append(
                (
                    f"`headrace ui`, {RUNS:,} runs: {path}",
                    milliseconds[0],
                    f"{statistics.median(milliseconds[1:]):,.0f}",
                    "300",
                )
            )
    finally:
        process.terminate()
        process.wait()
    return rows


def _milliseconds(url: str) -> float:
    """Returns the milliseconds until the response is complete."""
    started = time.perf_counter()
    with urllib.request.urlopen(url) as response:
        response.read()
    return (time.perf_counter() - started) * 1000
