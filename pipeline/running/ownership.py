"""Which run file a pipeline's name belongs to in a home: two of one name from different folders would mix up."""

from pathlib import Path

from data.errors import ConfigError
from pipeline.core.config import NamedConfig
from pipeline.core.config.named import CONFIGS
from pipeline.core.paths import PipelinePaths
from pipeline.history.record import RunRecord

ENDINGS = (".yaml", ".yml")


def check(named: NamedConfig, paths: PipelinePaths) -> None:
    """Raises ConfigError where the last run under this name was of another run file, which is still there.

    A file that was moved, or copied with its data as it was, is the same.
    """
    last = _last(paths)
    if last is None or not last.base or (_is_ours(Path(last.base)) and _is_ours(named.base)):
        return
    before, now = _file(paths.home / last.base, named.name), _file(named.base, named.name)
    if before is None or now is None or before.samefile(now):
        return
    if before.read_bytes() == now.read_bytes() and last.data_digest == named.dataset.digest():
        return
    raise ConfigError(
        f"{named.name} is the name of {before} in this home, and {now} is another file; rename it, give another "
        "--home, or let it have the name from now on with `headrace run --take-over`."
    )


def _last(paths: PipelinePaths) -> RunRecord | None:
    """Returns the record of the last run; None without one."""
    return next(
        (one for file in sorted(paths.reports.glob("*.json"), reverse=True) if (one := RunRecord.read(file))), None
    )


def _is_ours(folder: Path) -> bool:
    """Whether a folder is that of the pipelines that ship with Headrace, of this installation or another."""
    return folder.parts[-2:] == CONFIGS.parts[-2:]


def _file(folder: Path, name: str) -> Path | None:
    return next((folder / f"{name}{ending}" for ending in ENDINGS if (folder / f"{name}{ending}").is_file()), None)
