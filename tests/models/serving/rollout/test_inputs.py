import json
from pathlib import Path

import pytest

from data.errors import ConfigError
from models.serving.rollout import rollouts
from models.serving.rollout.inputs import changed_inputs
from models.serving.rollout.rollouts import Canary

BEFORE = {"size": {"kind": "number"}, "plan": {"kind": "category", "optional": True}, "left": {"kind": "label"}}


@pytest.fixture
def publish(tmp_path):
    """Returns a function that leaves a version with these features."""

    def publish(version: int, features: dict | None) -> Path:
        folder = tmp_path / "churn" / str(version) / "assets.extra"
        folder.mkdir(parents=True)
        if features is not None:
            (folder / "headrace.json").write_text(json.dumps({"spec": {"features": features}}))
        return tmp_path / "churn"

    return publish


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        (BEFORE, ""),
        ({**BEFORE, "left": {"kind": "label", "classes": ["no", "yes", "later"]}}, ""),
        ({**BEFORE, "size": {"kind": "number", "optional": True}}, ""),
        ({"plan": BEFORE["plan"]}, "size is gone"),
        ({**BEFORE, "age": {"kind": "number"}}, "age is new"),
        ({**BEFORE, "size": {"kind": "text"}}, "size is a text, was a number"),
        ({**BEFORE, "plan": {"kind": "category"}}, "plan must be there, might be absent"),
        (None, ""),
    ],
    ids=["the same", "class added", "may be absent", "dropped", "added", "other kind", "must be there", "unknown"],
)
def test_changes_for_clients_are_named(publish, after, changes):
    publish(1, BEFORE)

    assert changed_inputs(publish(2, after), 1, 2) == changes


def test_a_version_with_other_inputs_is_no_canary(publish):
    publish(1, BEFORE)
    folder = publish(2, {"plan": BEFORE["plan"]})

    with pytest.raises(
        ConfigError, match=r"cannot be a canary beside version 1: no request suits both \(size is gone\)"
    ):
        rollouts.start_canary(folder, Canary(2, 10))

    assert rollouts.read(folder) == rollouts.Rollout()
