"""Two run files of one name from different folders."""

import dataclasses
import shutil
from pathlib import Path

import pytest

from data.errors import ConfigError
from pipeline.core import config
from pipeline.core.config.named import CONFIGS
from pipeline.core.paths import PipelinePaths
from pipeline.running import preflight
from tests.pipeline.made_up import record_of, spec_of, write_record

RUN_FILE = "task: tabular_regression\ndata: {files: rows.csv, features: {size: number, price: target}}\n"


def _project(folder: Path, first_row: str = "1,2") -> config.NamedConfig:
    """Returns the run file of a folder with a table beside it."""
    folder.mkdir()
    (folder / "houses.yaml").write_text(RUN_FILE)
    (folder / "rows.csv").write_text(f"size,price\n{first_row}\n3,4\n")
    return config.load(str(folder / "houses.yaml"))


def _has_run(home: Path, named: config.NamedConfig) -> PipelinePaths:
    """Writes the record of a run of this file into a home, and returns the pipeline's paths."""
    record = record_of("20260101-000000-000", spec_of(("a", "b")), "houses", base=str(named.base))
    write_record(home, dataclasses.replace(record, data_digest=named.dataset.digest()))
    return PipelinePaths.of(home, "houses")


def test_another_file_of_the_name_is_refused_without_take_over(tmp_path):
    first, other = _project(tmp_path / "mine"), _project(tmp_path / "other", "5,6")
    paths = _has_run(tmp_path / "home", first)

    preflight.check(first, paths)
    with pytest.raises(ConfigError, match=r"houses is the name of \S+mine/houses.yaml in this home, and \S+other/"):
        preflight.check(other, paths)
    preflight.check(other, paths, take_over=True)


def test_a_file_that_was_moved_or_copied_with_its_data_keeps_its_name(tmp_path):
    original, copy = _project(tmp_path / "mine"), _project(tmp_path / "copy")
    (tmp_path / "linked").symlink_to(tmp_path / "mine")
    paths = _has_run(tmp_path / "home", original)

    preflight.check(copy, paths)
    preflight.check(config.load(str(tmp_path / "linked" / "houses.yaml")), paths)
    (tmp_path / "mine").rename(tmp_path / "moved")
    (tmp_path / "moved" / "rows.csv").write_text("size,price\n7,8\n")
    preflight.check(config.load(str(tmp_path / "moved" / "houses.yaml")), paths)


def test_a_run_file_in_a_home_that_was_copied_belongs_to_the_copy(tmp_path):
    (tmp_path / "home").mkdir()
    named = _project(tmp_path / "home" / "project")
    paths = PipelinePaths.of(tmp_path / "home", "houses")
    record = record_of("20260101-000000-000", spec_of(("a", "b")), "houses", base=paths.recorded(named.base))
    write_record(tmp_path / "home", record)
    shutil.copytree(tmp_path / "home", tmp_path / "copy")
    (tmp_path / "copy" / "project" / "rows.csv").write_text("size,price\n7,8\n")

    copied = config.load(str(tmp_path / "copy" / "project" / "houses.yaml"))

    assert record.base == "project"
    preflight.check(copied, PipelinePaths.of(tmp_path / "copy", "houses"))


def test_a_shipped_pipeline_keeps_its_name_in_every_installation(tmp_path):
    named = config.load("digits")
    elsewhere = tmp_path / CONFIGS.parent.name / CONFIGS.name
    elsewhere.mkdir(parents=True)
    (elsewhere / "digits.yaml").write_text("# of another release\n")
    (elsewhere.parent / "core" / "config").mkdir(parents=True)
    (elsewhere.parent / "core" / "config" / "run_file.py").touch()
    write_record(tmp_path, record_of("20260101-000000-000", spec_of(("a", "b")), "digits", base=str(elsewhere)))

    preflight.check(named, PipelinePaths.of(tmp_path, "digits"))
