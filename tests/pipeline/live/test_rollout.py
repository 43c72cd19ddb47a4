"""The table of `headrace versions`, on versions with empty folders."""

import json
import re

import pytest
from click.testing import CliRunner

from components.live_model.comparable import LiveModel
from data.errors import ConfigError
from models.serving.rollout import rollouts
from models.serving.rollout.rollouts import Canary
from pipeline.commands.cli import cli
from pipeline.live import rollout, serving


@pytest.fixture
def folder(tmp_path):
    """A pipeline `spam` with versions 1, 2 and 3; 2 and 3 were canaries, and 1 is live."""
    folder = tmp_path / "serving" / "spam"
    for version in (1, 2, 3):
        (folder / str(version)).mkdir(parents=True)
    rollouts.promote(folder, 1)
    for version in (3, 2):
        rollouts.start_canary(folder, Canary(version, 10))
        rollouts.take_back(folder, version, f"p95 {version} ms")
    return folder


def by_version(home):
    return {row["version"]: row for row in rollout.list_versions(home, "spam")}


def test_a_canary_that_ended_has_its_outcome_and_a_running_one_has_none(tmp_path, folder):
    rows = by_version(tmp_path)
    assert rows[1]["canary"] is None
    assert (rows[3]["canary"]["outcome"], rows[3]["canary"]["why"]) == ("taken back", "p95 3 ms")

    rollouts.start_canary(folder, Canary(3, 10))
    assert by_version(tmp_path)[3]["canary"] is None
    rollouts.promote_canary(folder, 3, "kept to its budget")

    rows = by_version(tmp_path)
    assert (rows[3]["canary"]["outcome"], rows[3]["canary"]["why"]) == ("promoted", "kept to its budget")
    assert rows[2]["canary"]["outcome"] == "taken back"
    assert rows[3]["labels"] == ["stable"]


def test_the_state_of_a_version_is_that_of_the_running_server(tmp_path, folder, monkeypatch):
    server = serving.RunningServer(1, "127.0.0.1:1", "http://127.0.0.1:2", ["spam"])
    monkeypatch.setattr(rollout, "find_server", lambda home, name: server)
    monkeypatch.setattr(
        rollout, "served_states", lambda url, name: {1: "AVAILABLE", 3: "END"} if url == server.rest else {}
    )

    assert [row["state"] for row in rollout.list_versions(tmp_path, "spam")] == ["END", "", "AVAILABLE"]
    monkeypatch.setattr(rollout, "find_server", lambda home, name: None)
    assert {row["state"] for row in rollout.list_versions(tmp_path, "spam")} == {""}


def test_versions_of_two_releases_are_shown_by_the_same_metrics(tmp_path, folder):
    """An older release stored metrics by the alphabet, the number of rows among them, and no intervals."""
    features = {"label": {"kind": "label", "classes": ["no", "yes"]}, "size": {"kind": "number"}}
    spec = {"name": "spam", "title": "spam", "licence": "none", "features": features}
    by_alphabet = {"accuracy": 0.8, "example_count": 9.0, "expected_calibration_error": 0.1, "auc": 0.9, "f1@yes": 0.7}
    by_rank = {"auc": 0.9, "accuracy": 0.8, "f1@yes": 0.7, "expected_calibration_error": 0.1, "example_count": 9.0}
    intervals = {"overall": {"auc": [0.88, 0.92]}}
    for version, metrics, measured in ((1, by_alphabet, {}), (2, by_rank, {"intervals": intervals})):
        evaluation = {"slices": {"overall": metrics}, **measured}
        manifest = {"task": "tabular_classification", "spec": spec, "evaluation": evaluation}
        (folder / str(version) / "assets.extra").mkdir()
        (folder / str(version) / "assets.extra" / "headrace.json").write_text(json.dumps(manifest))

    lines = CliRunner().invoke(cli, ["versions", "spam", "--home", str(tmp_path)]).stdout.splitlines()

    for version, auc in ((1, "0.9000"), (2, "0.900")):
        line = next(line for line in lines if line.startswith(f"{version}  "))
        assert line.partition("stable")[0].rstrip().endswith(f" auc {auc}, accuracy 0.8000, f1@yes 0.7000")
    assert by_version(tmp_path)[3]["shown"] == []


def test_a_missing_pinned_version_gives_the_same_sentence_everywhere(tmp_path, folder):
    (folder / "1").rmdir()
    reason = rollout.why_not_live(tmp_path, "spam")

    results = [
        CliRunner().invoke(cli, [verb, "spam", "--home", str(tmp_path), *options])
        for verb, options in (("versions", []), ("predict", ["--text", "free money"]))
    ]

    assert reason.startswith("Version 1 of spam, which is pinned as the live one, is gone")
    assert [reason in result.stderr for result in results] == [True, True]
    assert [result.exit_code for result in results] == [0, 2]
    with pytest.raises(ConfigError, match=re.escape(reason)):
        LiveModel.of(folder)
