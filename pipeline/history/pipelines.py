"""Resolves a name on the command line to a run file and a pipeline, alike for all commands."""

import re
from pathlib import Path

from data.errors import ConfigError
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord

ENDINGS = (".yaml", ".yml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def run_file(name_or_file: str, home: Path) -> Path:
    """Returns the run file of a path or of a pipeline's name.

    A name is looked up among the pipelines that ship with Headrace, then among the files of the current folder, then
    among the last runs of the home.

    Raises:
        ConfigError: There is no such run file.
    """
    if is_path(name_or_file) or name_or_file in config.names():
        return config.find(name_or_file)
    path = file_in(Path(), name_or_file) or _last_run_file(name_or_file, home)
    if path is None:
        raise _unknown(name_or_file, home)
    return path


def name_of(name_or_file: str, home: Path) -> str:
    """Returns the pipeline's name for a name or run file; a pipeline that the home has run needs no run file.

    Raises:
        ConfigError: There is no such pipeline.
    """
    if _NAME.fullmatch(name_or_file) and name_or_file in _pipelines_of_home(home):
        return name_or_file
    return run_file(name_or_file, home).stem


def last_run(paths: PipelinePaths) -> RunRecord | None:
    """Returns the record of a pipeline's last run; None if there is none."""
    records = (RunRecord.read(file) for file in sorted(paths.reports.glob("*.json"), reverse=True))
    return next((record for record in records if record), None)


def file_in(folder: Path, name: str) -> Path | None:
    """Returns the run file `name` in a folder; None if there is none."""
    return next((folder / f"{name}{ending}" for ending in ENDINGS if (folder / f"{name}{ending}").is_file()), None)


def is_path(name_or_file: str) -> bool:
    """Returns whether the text is the path of a run file."""
    return name_or_file.endswith(ENDINGS) or "/" in name_or_file


def names(home: Path) -> list[str]:
    """Returns all names for `run_file`: those shipped with Headrace, of the current folder and of the home."""
    local = [path.stem for ending in ENDINGS for path in Path().glob(f"*{ending}")]
    return sorted({*config.names(), *local, *_pipelines_of_home(home)})


def _pipelines_of_home(home: Path) -> list[str]:
    return [path.name for folder in ("runs", "serving") for path in (home / folder).glob("[!.]*") if path.is_dir()]


def _last_run_file(name: str, home: Path) -> Path | None:
    if not _NAME.fullmatch(name):
        return None
    paths = PipelinePaths.of(home, name)
    last = last_run(paths)
    return file_in(paths.home / last.base, name) if last and last.base else None


def _unknown(name: str, home: Path) -> ConfigError:
    if _NAME.fullmatch(name) and name in _pipelines_of_home(home):
        return ConfigError(
            f"The run file of {name} is not where it was when it ran last; give its path, ./{name}.yaml."
        )
    return ConfigError(config.unknown("pipeline", name, names(home)))
