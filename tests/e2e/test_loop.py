"""The loop closed: the world shifts, requests show it, the pipeline trains anew by itself, answers are right again."""

import contextlib
import csv
import json
import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import numpy as np
import pytest

from models.serving.deployment.process import free_port
from models.serving.rollout.versions import versions
from pipeline.history import runs
from pipeline.scheduling.store import Store
from tests.conftest import ROOT, headrace
from tests.waiting import PATIENCE_S, until

pytestmark = [pytest.mark.e2e, pytest.mark.long]

ROWS = 300
RUN_FILE = """
task: tabular_classification
data:
  files: spans/{SPAN}.csv
  window: 2
  test_spans: 1
  features: {speed: number, wind: number, engine: category, late: {kind: label, classes: ["no", "yes"]}}
  checks: {drift: {policy: warn}}
model: {dense_units: [16], hash_buckets: 16}
train: {epochs: 12, batch_size: 32, learning_rate: 0.01, early_stopping: null, warm_start: auto}
evaluate: {thresholds: {accuracy: {min: 0.85, max_regression: 1.0}}}
serving: {sample: {rate: 1.0}}
"""


def _world(seed: int, shift: float) -> list[dict]:
    """Rows: whoever is slower than the rest is late. After the shift all are faster, and so is the rest."""
    generator = np.random.default_rng(seed)
    speeds = generator.normal(shift, 1.0, ROWS)
    return [
        {
            "speed": round(float(speed), 4),
            "wind": round(float(generator.normal()), 4),
            "engine": str(generator.choice(["diesel", "electric"])),
            "late": "yes" if speed < shift else "no",
        }
        for speed in speeds
    ]


def _write_span(home: Path, number: int, shift: float) -> None:
    file = home / "spans" / f"{number}.csv"
    file.parent.mkdir(exist_ok=True)
    with file.open("w", newline="") as target:
        writer = csv.DictWriter(target, ["speed", "wind", "engine", "late"])
        writer.writeheader()
        writer.writerows(_world(number, shift))


def _ask(rest: str, rows: list[dict], prefix: str) -> None:
    """Asks about each row by itself, under an identifier of its own."""
    for index, row in enumerate(rows):
        instance = {name: value for name, value in row.items() if name != "late"}
        body = json.dumps({"signature_name": "columns", "instances": [instance]}).encode()
        request = urllib.request.Request(
            f"{rest}/v1/models/loop:predict",
            body,
            {"X-Request-Id": f"{prefix}{index}", "Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as response:
            response.read()


def _accuracy(home: Path, rows: list[dict], prefix: str) -> float:
    """Returns how good the answers were, by labels that come later."""
    labels = home / f"{prefix}.csv"
    lines = [f"{prefix}{index},{row['late']}" for index, row in enumerate(rows)]
    labels.write_text("id,label\n" + "\n".join(lines) + "\n")
    done = headrace("quality", home / "loop.yaml", "--labels", labels, "--home", home, "--json")
    assert done.code == 0, done.err
    (day,) = json.loads(done.out)
    assert day["rows"] == ROWS
    assert day["low"] <= day["value"] <= day["high"]
    return day["value"]


def available(rest: str) -> set[str]:
    """Returns the versions that answer."""
    with urllib.request.urlopen(f"{rest}/v1/models/loop", timeout=PATIENCE_S) as response:
        states = json.loads(response.read())["model_version_status"]
    return {state["version"] for state in states if state["state"] == "AVAILABLE"}


@contextlib.contextmanager
def _command(*arguments):
    """Runs a command until the block ends; yields its process."""
    command = [str(Path(sys.executable).with_name("headrace")), *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(PATIENCE_S)
        process.stdout.close()


def test_a_shift_leads_to_drift_a_new_version_and_better_answers(tmp_path):
    home = tmp_path
    (home / "loop.yaml").write_text(RUN_FILE)
    for number in (1, 2):
        _write_span(home, number, 0.0)
    first = headrace("run", home / "loop.yaml", "--home", home)
    assert first.code == 0, first.out + first.err
    (before,) = versions(home / "serving" / "loop")
    shifted = _world(99, 3.0)
    port = free_port()

    with _command("serve", "loop", "--home", home, "--port", "0", "--rest-port", port) as server:
        assert server.stdout.readline()
        rest = f"http://127.0.0.1:{port}"
        _ask(rest, _world(98, 0.0)[:100], "calm")
        calm = headrace("drift", home / "loop.yaml", "--of", "served", "--max-distance", "0.2", "--home", home)
        assert (calm.code, calm.err) == (0, ""), calm.out + calm.err
        _ask(rest, shifted, "before")
        accuracy_before = _accuracy(home, shifted, "before")
        assert accuracy_before < 0.75
        drifted = headrace(
            "drift", home / "loop.yaml", "--of", "served", "--max-distance", "0.2", "--home", home, "--json"
        )
        assert drifted.code == 3
        (speed,) = [distance for distance in json.loads(drifted.out)["served"] if distance["drifted"]]
        assert speed["feature"] == "speed"

        for number in (3, 4):  # what was true has become known
            _write_span(home, number, 3.0)
        of_spans = headrace("drift", home / "loop.yaml", "--of", "spans", "--home", home)
        assert of_spans.code == 3
        assert "newest span" in of_spans.out
        assert "DRIFT" in of_spans.out
        added = headrace("schedule", "add", home / "loop.yaml", "--on-drift", "0.2", "--home", home)
        assert added.code == 0, added.err
        _ask(rest, shifted[:1], "again")  # since the last look at it
        with _command("scheduler", "--port", "0", "--poll", "1s", "--home", home):
            until(lambda: any(scheduled_run.ended for scheduled_run in Store.of(home).scheduled_runs("loop")))
        (scheduled_run,) = Store.of(home).scheduled_runs("loop")
        assert (scheduled_run.reason, scheduled_run.state) == ("drift", "succeeded"), scheduled_run
        after = versions(home / "serving" / "loop")[-1]
        assert after > before

        until(lambda: available(rest) == {str(after)})
        _ask(rest, shifted, "after")
        accuracy_after = _accuracy(home, shifted, "after")

    assert accuracy_after > 0.9
    assert accuracy_after > accuracy_before
    run = runs.find(home, "loop")
    assert list(run.spans) == ["3", "4"]
    gate = next(stage for stage in run.stages if stage.name == "model_gate")
    assert f"the candidate beats version {before}" in gate.detail
    samples = home / "runs" / "loop" / "samples"
    assert [path.stat().st_mode & 0o777 for path in samples.iterdir()] == [0o600]
    assert samples.stat().st_mode & 0o777 == 0o700
