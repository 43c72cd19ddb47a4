"""A made-up run of three classes, 12 of 16 rows right."""

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core.paths import PipelinePaths
from pipeline.reporting import facts
from tests.pipeline import made_up

CLASSES = ("good", "bad")


def make(home: Path, classes: tuple[str, ...], rows: int = 16, accuracy: float = 0.75, **changes) -> SimpleNamespace:
    """Returns record, paths and facts of a made-up run whose record is complete."""
    spec = made_up.spec_of(classes, changes.pop("feature", "text"))
    record = made_up.record_of(changes.pop("run", "20260528-000000-000"), spec, **changes)
    made_up.write_artifacts(home, record, spec, *made_up.targets_and_probabilities(accuracy, rows, len(classes)))
    paths = PipelinePaths.of(home, record.pipeline)
    found = facts.gather(paths, record)
    facts.conclude(record, found)
    made_up.write_record(home, record)
    return SimpleNamespace(record=record, paths=paths, facts=found, home=home, spec=spec)


@pytest.fixture
def run(tmp_path) -> SimpleNamespace:
    return make(tmp_path, ("good", "bad", "ugly"))


@pytest.fixture
def two(tmp_path):
    """A run with 60 % of 200 rows right, and one of the same rows with 90 %."""
    before = make(tmp_path, CLASSES, rows=200, accuracy=0.6, run="20260528-1")
    after = make(tmp_path, CLASSES, rows=200, accuracy=0.9, run="20260529-1", cpu_seconds=75.0)
    after.record.settings["train"]["epochs"] = 7
    return before, after


def edit_metrics(run: SimpleNamespace, edit: Callable[[dict], object]) -> None:
    """Changes the stored metrics of a run by `edit`."""
    file = run.record.output("evaluate", "evaluation") / "metrics.json"
    metrics = json.loads(file.read_text())
    edit(metrics)
    file.write_text(json.dumps(metrics))
