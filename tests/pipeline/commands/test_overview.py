from pathlib import Path

import pytest
from click.testing import CliRunner

from models.serving.rollout.versions import publish
from pipeline.commands.cli import cli
from tests.pipeline import made_up

SPEC = made_up.spec_of(("good", "bad"))


@pytest.fixture
def overview(tmp_path, monkeypatch):
    """Returns a function that returns the overview of a home; the current folder is empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("HEADRACE_HOME", str(tmp_path / "home"))

    def run_overview() -> str:
        result = CliRunner().invoke(cli, [], prog_name="headrace")
        assert result.exit_code == 0, result.output
        return result.stdout

    return run_overview


def write_run(home: Path, pipeline: str, run: str, **changes) -> None:
    made_up.write_record(home, made_up.record_of(run, SPEC, pipeline, **changes))


def test_an_empty_home_names_the_first_steps(overview, tmp_path):
    text = overview()

    assert text.startswith(f"Nothing has run in {tmp_path}/home.\n")
    assert "run digits" in text
    assert "new NAME --data FILE" in text


def test_the_next_step_depends_on_the_state_of_a_pipeline(overview, tmp_path):
    home = tmp_path / "home"
    write_run(home, "refused", "1", state="failed", error="data/rows.csv:3: no number.\nmore")
    write_run(
        home, "halted", "2", state="stopped", command=["headrace", "run", "./halted.yaml", "--set", "seed=1", "--json"]
    )
    write_run(home, "good", "3")
    (tmp_path / "model").mkdir()
    facts = {"file_query": {"kind": "text"}, "data": {}, "spec": SPEC.model_dump(mode="json")}
    version = publish(tmp_path / "model", home / "serving" / "good", facts)

    text = overview()

    assert f"{home}: 3 pipelines\n" in text
    assert "failed at publish: data/rows.csv:3: no number.\n" in text
    assert f"published; version {version} is live\n" in text
    assert "report refused --open" in text
    assert "run ./halted.yaml --set seed=1 " in text
    assert "predict good --text" in text
    assert "serve good" in text
    assert text.index("good ") < text.index("halted ") < text.index("refused ")  # the newest first


def test_a_run_file_that_has_not_run_is_the_next_step(overview):
    Path("churn.yaml").write_text("task: tabular_classification\n")
    Path("other.yaml").write_text("key: value\n")

    text = overview()

    assert "run ./churn.yaml" in text
    assert "other.yaml" not in text
    assert "run digits" not in text


def test_of_many_pipelines_the_newest_are_listed(overview, tmp_path):
    for number in range(10):
        write_run(tmp_path / "home", f"pipeline{number}", f"{number}")

    text = overview()

    assert "pipeline9 " in text
    assert "pipeline0 " not in text
    assert "  and 2 more: " in text
