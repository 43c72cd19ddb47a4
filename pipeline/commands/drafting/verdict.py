"""Writes what was inferred, and says whether a run would take it."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import ConfigError, DataError, HeadraceError
from data.files import atomic
from data.secrets import hide
from pipeline.commands.drafting import writing
from pipeline.commands.drafting.draft import Draft
from pipeline.core import config
from pipeline.core.paths import PipelinePaths
from pipeline.running import preflight

FEW_ROWS = 1000  # up to which larger shares for validation and test are tried
SHARES = (0.15, 0.2, 0.25, 0.3)  # of the rows, each


@dataclass(frozen=True)
class Verdict:
    """Whether a run would take the data of a run file.

    Attributes:
        exit_code: What `headrace check --rows` would end with.
        error: Why not; empty where it would.
        splits: Split -> `rows` and `classes`, as `preflight.read_everything` returns them.
        notes: What was dropped or is worth a warning, a sentence each.
    """

    exit_code: int = 0
    error: str = ""
    splits: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write(made: Draft, target: Path, home: Path) -> Verdict:
    """Writes a run file whole or not at all, and returns what `headrace check --rows` says about it.

    Few rows get shares for validation and test with which they can be run, where there are such.

    Raises:
        ConfigError: It cannot be written, or no run file can hold these names; nothing was written.
    """
    _parse(made, target)
    found = _fit_shares(made, target) if made.rows <= FEW_ROWS and not made.splits else None
    try:
        atomic.write(target, writing.text(made, target.stem, target.resolve().parent))
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}).") from None
    try:
        named = config.load(str(target))
        preflight.check(named, PipelinePaths.of(home, named.name))
        return Verdict(**(found or preflight.read_everything(named)))
    except HeadraceError as error:
        return Verdict(error.exit_code, hide(str(error)))


def _parse(made: Draft, target: Path) -> config.NamedConfig:
    """Returns the run file as a run would read it; raises ConfigError where it would read anything else."""
    base = target.resolve().parent
    settings = config.parse(writing.text(made, target.stem, base), target.name)
    features = {name: guess.feature for name, guess in made.features.items()}
    if settings.data.features != features or settings.data.ignore != tuple(made.ignored):
        raise ConfigError(f"{made.files}: a name or value of its columns cannot be written in a run file; rename it.")
    return config.NamedConfig(target.stem, settings, config.find_data(settings, target, base), base)


def _fit_shares(made: Draft, target: Path) -> dict[str, Any] | None:
    """Makes the shares for validation and test larger where only with them the rows can be run.

    Returns what `preflight.read_everything` found in the rows as they are cut then; None where they cannot be run.
    """
    if found := _found(made, target):
        return found
    before = made.data.pop("splits", None)
    for share in SHARES:
        made.data["splits"] = {"validation": share, "test": share}
        if found := _found(made, target):
            made.unsure.append(
                f"{made.rows} rows are few, so {share:.0%} each are for validation and test; more rows, or files of "
                "their own in data.files, tell more"
            )
            return found
    made.data.pop("splits")
    if before is not None:
        made.data["splits"] = before
    return None


def _found(made: Draft, target: Path) -> dict[str, Any] | None:
    """Returns what there is in the rows of a draft; None where a run would refuse them."""
    try:
        return preflight.read_everything(_parse(made, target))
    except DataError:
        return None
