"""Resolution of names on the command line."""

import pytest

from data.errors import ConfigError
from pipeline.core.config.named import CONFIGS
from pipeline.history import pipelines
from tests.conftest import headrace
from tests.pipeline.made_up import record_of, spec_of, write_record

RUN_FILE = "task: tabular_regression\ndata: {files: rows.csv, features: {size: number, price: target}}\n"


@pytest.fixture
def houses(tmp_path, monkeypatch):
    """A run file with its table in a folder of their own, and a home that has run it; another folder is the current."""
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    (project / "houses.yaml").write_text(RUN_FILE)
    (project / "rows.csv").write_text("size,price\n1,2\n3,4\n")
    write_record(home, record_of("20260101-000000-000", spec_of(("a", "b")), "houses", base=str(project)))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    return project / "houses.yaml", home


def test_a_name_is_looked_up_among_shipped_pipelines_then_in_the_folder_then_in_the_home(houses, tmp_path):
    file, home = houses

    assert pipelines.run_file("digits", home) == CONFIGS / "digits.yaml"
    assert pipelines.run_file("houses", home) == file
    assert pipelines.run_file(str(file), tmp_path) == file
    (tmp_path / "elsewhere" / "houses.yml").write_text(RUN_FILE)
    assert pipelines.run_file("houses", home).resolve() == tmp_path / "elsewhere" / "houses.yml"


def test_an_unknown_name_is_refused_with_the_closest_one(houses):
    _, home = houses

    with pytest.raises(ConfigError, match=r"Unknown pipeline 'huoses'. Did you mean 'houses'\? Pipelines: .*digits"):
        pipelines.run_file("huoses", home)
    with pytest.raises(ConfigError, match="Did you mean 'houses'"):
        pipelines.name_of("house", home)


def test_a_pipeline_of_the_home_is_known_without_its_run_file(houses):
    file, home = houses
    file.unlink()

    assert pipelines.name_of("houses", home) == "houses"
    with pytest.raises(
        ConfigError, match=r"The run file of houses is not where it was .*; give its path, ./houses.yaml"
    ):
        pipelines.run_file("houses", home)


def test_every_command_accepts_the_name_of_a_pipeline_of_the_home(houses):
    _, home = houses
    results = {
        arguments: headrace(*arguments, "--home", home)
        for arguments in (
            ("check", "houses"),
            ("gc", "houses", "--dry-run"),
            ("predict", "houses", "rows.csv"),
            ("versions", "houses"),
            ("serve", "houses"),
            ("schedule", "add", "houses", "--on-new-data"),
        )
    }

    assert results[("check", "houses")].out.endswith("ok: houses can be run\n")
    assert [arguments for arguments, result in results.items() if "Unknown pipeline" in result.err + result.out] == []
    assert "houses: on new data or drift" in results[("schedule", "add", "houses", "--on-new-data")].out
