"""Which run file, and which pipeline, a person means by a name. One answer for all verbs."""

import re
from pathlib import Path

from data.errors import ConfigError
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord

ENDINGS = (".yaml", ".yml")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def run_file(name_or_file: str, home: Path) -> Path:
    """Returns the run file that is meant: by its path, by its name, or by the name of what a home has run.

    A name is that of a pipeline of ours, else of a file in the current folder, else of the file that the home ran last
    under it.

    Raises:
        ConfigError: There is none.
    """
    if is_path(name_or_file) or name_or_file in config.names():
        return config.find(name_or_file)
    found = file_in(Path(), name_or_file) or _of_home(name_or_file, home)
    if found is None:
        raise _unknown(name_or_file, home)
    return found


def name_of(name_or_file: str, home: Path) -> str:
    """Returns the name of the pipeline that is meant; its run file may be gone where the home has run it.

    Raises:
        ConfigError: There is none of this name.
    """
    if _NAME.fullmatch(name_or_file) and name_or_file in _of_this_home(home):
        return name_or_file
    return run_file(name_or_file, home).stem


def last_run(paths: PipelinePaths) -> RunRecord | None:
    """Returns the record of a pipeline's last run; None without one."""
    records = (RunRecord.read(file) for file in sorted(paths.reports.glob("*.json"), reverse=True))
    return next((record for record in records if record), None)


def file_in(folder: Path, name: str) -> Path | None:
    """Returns the run file of a name in a folder; None where there is none."""
    return next((folder / f"{name}{ending}" for ending in ENDINGS if (folder / f"{name}{ending}").is_file()), None)


def is_path(name_or_file: str) -> bool:
    """Whether a run file is named by its path."""
    return name_or_file.endswith(ENDINGS) or "/" in name_or_file


def names(home: Path) -> list[str]:
    """Returns every name that `run_file` may know: of ours, of the current folder, of the home."""
    here = [path.stem for ending in ENDINGS for path in Path().glob(f"*{ending}")]
    return sorted({*config.names(), *here, *_of_this_home(home)})


def _of_this_home(home: Path) -> list[str]:
    return [path.name for kind in ("runs", "serving") for path in (home / kind).glob("[!.]*") if path.is_dir()]


def _of_home(name: str, home: Path) -> Path | None:
    if not _NAME.fullmatch(name):
        return None
    paths = PipelinePaths.of(home, name)
    last = last_run(paths)
    return file_in(paths.home / last.base, name) if last and last.base else None


def _unknown(name: str, home: Path) -> ConfigError:
    if _NAME.fullmatch(name) and name in _of_this_home(home):
        return ConfigError(
            f"The run file of {name} is not where it was when it ran last; give its path, ./{name}.yaml."
        )
    return ConfigError(config.unknown("pipeline", name, names(home)))
