"""Checks that a pipeline's name belongs to one run file in a home; two files of one name would mix their runs."""

from pathlib import Path

from data.errors import ConfigError
from pipeline.core.config import NamedConfig
from pipeline.core.config.named import CONFIGS
from pipeline.core.paths import PipelinePaths
from pipeline.history.pipelines import file_in, last_run


def check(named: NamedConfig, paths: PipelinePaths) -> None:
    """Raises ConfigError if the last run under this name was of another run file that still exists.

    A file that was moved, or copied together with unchanged data, counts as the same.
    """
    last = last_run(paths)
    if last is None or not last.base or (_is_shipped(Path(last.base)) and _is_shipped(named.base)):
        return
    previous_file, file = file_in(paths.home / last.base, named.name), file_in(named.base, named.name)
    if previous_file is None or file is None or previous_file.samefile(file):
        return
    if previous_file.read_bytes() == file.read_bytes() and last.data_digest == named.dataset.digest():
        return
    raise ConfigError(
        f"{named.name} is the name of {previous_file} in this home, and {file} is another file; rename it, give "
        "another --home, or let it have the name from now on with `headrace run --take-over`."
    )


def _is_shipped(folder: Path) -> bool:
    """Returns whether a folder holds the pipelines that ship with Headrace, of this installation or another."""
    run_file_module = folder.parent / "core" / "config" / "run_file.py"
    return folder == CONFIGS or (folder.parts[-2:] == CONFIGS.parts[-2:] and run_file_module.is_file())
