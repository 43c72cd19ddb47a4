"""Runs a fuzzer for a time, restarts it after an input that ends the process, and reports the results."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.measuring import ROOT

TARGETS = ("rest", "tensors", "run_files", "model_configs", "cells", "csv_tables", "jsonl_tables", "parquet_tables")
HEAD = [
    "| target | minutes | inputs | a second | branches reached | corpus | most MiB | faults |",
    "| --- | --- | --- | --- | --- | --- | --- | --- |",
]
_DONE = re.compile(r"^#\d+\s+(?:DONE|NEW|REDUCE|pulse|RELOAD|INITED)\s+cov: (\d+) ft: \d+ corp: (\d+)/", re.MULTILINE)
_EXECUTED = re.compile(r"stat::number_of_executed_units:\s+(\d+)")
_PEAK = re.compile(r"stat::peak_rss_mb:\s+(\d+)")
ENDED = ("timeout-*", "oom-*", "crash-*", "leak-*")  # libFuzzer's names of inputs that ended the process


def fuzz(target: str, seconds: int, folder: Path, say: Callable[[str], None]) -> tuple[str, list[Path]]:
    """Returns a line of the table in Markdown, and the inputs that are faults.

    Args:
        target: One of `TARGETS`.
        seconds: Duration.
        folder: For the corpus, which a later call continues with, and for the faults.
        say: Receives a line for each fault.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end, executed, branches, corpus, peak = time.monotonic() + seconds, 0, 0, 0, 0
    while (left := round(end - time.monotonic())) > 0:
        log = folder / "log"
        with log.open("wb") as file:
            command = [sys.executable, "-m", "benchmarks.fuzzing", target, folder, f"-max_total_time={left}"]
            process = subprocess.run(
                list(map(str, command)), cwd=ROOT, stdout=file, stderr=file, env={**os.environ, "PYTHONHASHSEED": "0"}
            )
        text = log.read_text(errors="replace")
        for line in re.findall(r"^finding: .*|^SUMMARY: .*", text, re.MULTILINE):
            say(line)
        coverage = _DONE.findall(text)
        if not coverage:
            raise SystemExit(f"{target} cannot be fuzzed:\n{text[-2000:]}")
        branches, corpus = (
            max(before, int(value)) for before, value in zip((branches, corpus), coverage[-1], strict=True)
        )
        executed += sum(map(int, _EXECUTED.findall(text)))
        peak = max([peak, *map(int, _PEAK.findall(text))])
        if process.returncode == 0:
            break
    faults = sorted(path for pattern in ("finding-*", *ENDED) for path in folder.glob(pattern) if path.suffix != ".txt")
    cells = [target, f"{seconds / 60:g}", f"{executed:,}", f"{executed / seconds:,.0f}", f"{branches:,}",
             f"{corpus:,}", f"{peak:,}", str(len(faults))]  # fmt: skip
    return f"| {' | '.join(cells)} |", faults
