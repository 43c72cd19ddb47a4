"""What the publisher does with a model that was blessed, without a pipeline."""

import json
from pathlib import Path

import pytest

from data.errors import ServingError
from models.serving.rollout import rollouts
from models.serving.rollout.versions import versions


def _model(folder: Path, content: str = "graph") -> str:
    """Writes a model artifact as the trainer leaves it, with its manifest; returns its folder."""
    from components.manifests import write_manifest

    serving = folder / "Format-Serving"
    serving.mkdir(parents=True, exist_ok=True)
    (serving / "saved_model.pb").write_text(content)
    write_manifest(folder)
    return str(folder)


def _publish(model: str, destination: Path, keep: int | None = None, features: dict | None = None) -> int:
    from components.publisher import publish_undamaged

    spec = {"features": {"size": {"kind": "number"}} if features is None else features}
    return publish_undamaged(model, destination, {"spec": spec}, keep=keep, mode=None)


def test_a_damaged_model_is_not_published_though_size_and_time_of_its_files_are_right(tmp_path):
    import os

    model = _model(tmp_path / "model")
    file = tmp_path / "model" / "Format-Serving" / "saved_model.pb"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    file.write_text("grape")
    os.utime(file, ns=times)

    with pytest.raises(
        ServingError, match=r"model is damaged \(Format-Serving/saved_model.pb was changed\); run again"
    ):
        _publish(model, tmp_path / "serving" / "p")

    assert not (tmp_path / "serving").exists()


def test_the_live_version_stays_beside_the_newest_ones(tmp_path):
    destination = tmp_path / "serving" / "p"
    first = _publish(_model(tmp_path / "model", "1"), destination)
    rollouts.promote(destination, first)

    for content in "234":
        last = _publish(_model(tmp_path / "model", content), destination, keep=1)

    assert versions(destination) == [first, last]


def test_the_summary_says_whether_it_is_new_live_and_what_clients_must_change(tmp_path):
    from components.publisher import _summary

    destination = tmp_path / "serving" / "p"
    first = _publish(_model(tmp_path / "model", "1"), destination)
    assert _summary(destination, first, None, None) == f"version {first}"
    assert _summary(destination, first, first, first) == f"version {first}, published before"

    second = _publish(_model(tmp_path / "model", "2"), destination, features={"size": {"kind": "category"}})
    changes = "size is a category, was a number"
    assert (
        _summary(destination, second, first, first)
        == f"version {second}; clients of version {first} must change: {changes}"
    )
    assert _summary(destination, second, first, second) == f"version {second}"

    rollouts.promote(destination, first)
    stays = f"version {second}; version {first} stays live: `headrace promote p {second}` changes it"
    assert _summary(destination, second, first, first) == stays


def test_the_manifest_holds_what_was_measured(tmp_path):
    from components.artifact_files import METRICS, SERVING
    from components.publisher import _measured

    METRICS.path(tmp_path).write_text(json.dumps({"slices": {}}))
    SERVING.path(tmp_path).write_text(json.dumps({"p50_ms": 1.5}))

    measured = _measured(str(tmp_path), str(tmp_path))

    assert measured.pop("by")
    assert measured == {"evaluation": {"slices": {}}, "serving": {"p50_ms": 1.5}}
