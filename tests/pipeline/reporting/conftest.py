"""A made-up run of three classes, 12 of 16 rows right."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from pipeline.core.paths import PipelinePaths
from pipeline.reporting import facts
from tests.pipeline import made_up


def make(home: Path, classes: tuple[str, ...], rows: int = 16, accuracy: float = 0.75, **changes) -> SimpleNamespace:
    """Returns record, paths and facts of a made-up run whose record is complete."""
    spec = made_up.spec_of(classes, changes.pop("feature", "text"))
    record = made_up.record_of(changes.pop("run", "20260528-000000-000"), spec, **changes)
    made_up.write_artifacts(home, record, spec, *made_up.answers(accuracy, rows, len(classes)))
    paths = PipelinePaths.of(home, record.pipeline)
    found = facts.gather(paths, record)
    facts.conclude(record, found)
    made_up.write_record(home, record)
    return SimpleNamespace(record=record, paths=paths, facts=found, home=home, spec=spec)


@pytest.fixture
def run(tmp_path) -> SimpleNamespace:
    return make(tmp_path, ("good", "bad", "ugly"))
