"""Which run file a pipeline's name belongs to in a home: two of one name from different folders would mix up."""

from pathlib import Path

from data.errors import ConfigError
from pipeline.core.config import NamedConfig
from pipeline.core.config.named import CONFIGS
from pipeline.core.paths import PipelinePaths
from pipeline.history.pipelines import file_in, last_run


def check(named: NamedConfig, paths: PipelinePaths) -> None:
    """Raises ConfigError where the last run under this name was of another run file, which is still there.

    A file that was moved, or copied with its data as it was, is the same.
    """
    last = last_run(paths)
    if last is None or not last.base or (_is_ours(Path(last.base)) and _is_ours(named.base)):
        return
    before, now = file_in(paths.home / last.base, named.name), file_in(named.base, named.name)
    if before is None or now is None or before.samefile(now):
        return
    if before.read_bytes() == now.read_bytes() and last.data_digest == named.dataset.digest():
        return
    raise ConfigError(
        f"{named.name} is the name of {before} in this home, and {now} is another file; rename it, give another "
        "--home, or let it have the name from now on with `headrace run --take-over`."
    )


def _is_ours(folder: Path) -> bool:
    """Whether a folder is that of the pipelines that ship with Headrace, of this installation or another."""
    ours = folder.parent / "core" / "config" / "run_file.py"
    return folder == CONFIGS or (folder.parts[-2:] == CONFIGS.parts[-2:] and ours.is_file())
