"""Made-up runs: `run` has three classes and an accuracy of 12 of 16 rows, `two_runs` differ in accuracy."""

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
    """Returns `record`, `paths`, `facts`, `home` and `spec` of a made-up run with artifacts and a completed record.

    Args:
        home: The home folder.
        classes: Names of the classes.
        rows: Number of rows of each split.
        accuracy: Share of the rows with a correct prediction.
        changes: `run`, its identifier; `feature`, name of the text feature; attributes of the record.
    """
    spec = made_up.spec_of(classes, changes.pop("feature", "text"))
    record = made_up.record_of(changes.pop("run", "20260528-000000-000"), spec, **changes)
    made_up.write_artifacts(home, record, spec, *made_up.targets_and_probabilities(accuracy, rows, len(classes)))
    paths = PipelinePaths.of(home, record.pipeline)
    run_facts = facts.gather(paths, record)
    facts.complete(record, run_facts)
    made_up.write_record(home, record)
    return SimpleNamespace(record=record, paths=paths, facts=run_facts, home=home, spec=spec)


@pytest.fixture
def run(tmp_path) -> SimpleNamespace:
    return make(tmp_path, ("good", "bad", "ugly"))


@pytest.fixture
def two_runs(tmp_path):
    """A run with an accuracy of 0.6 on 200 rows, and one with 0.9 on the same rows."""
    before = make(tmp_path, CLASSES, rows=200, accuracy=0.6, run="20260528-1")
    after = make(tmp_path, CLASSES, rows=200, accuracy=0.9, run="20260529-1", cpu_seconds=75.0)
    after.record.settings["train"]["epochs"] = 7
    return before, after


def edit_metrics(run: SimpleNamespace, edit: Callable[[dict], object]) -> None:
    """Calls `edit` with the stored metrics of a run and writes what it changed."""
    path = run.record.output("evaluate", "evaluation") / "metrics.json"
    metrics = json.loads(path.read_text())
    edit(metrics)
    path.write_text(json.dumps(metrics))
