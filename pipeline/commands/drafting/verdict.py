"""Writes the inferred run file, and checks whether a run would accept its data."""

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

FEW_ROWS = 1000  # up to this number of rows, larger shares for validation and test are tried
SHARES = (0.15, 0.2, 0.25, 0.3)  # of the rows for validation, and the same for test


@dataclass(frozen=True)
class Verdict:
    """The result of checking a run file and its data.

    Attributes:
        exit_code: Exit code of `headrace check --rows`.
        error: Error message; empty if a run would accept the data.
        splits: Split -> `rows` and `classes`, as `preflight.read_everything` returns them.
        notes: Sentences on dropped rows, and warnings.
    """

    exit_code: int = 0
    error: str = ""
    splits: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def write(draft: Draft, target: Path, home: Path) -> Verdict:
    """Writes a run file atomically, and returns the result of `headrace check --rows` on it.

    If there are few rows, larger shares for validation and test are set if only these make a run possible.

    Raises:
        ConfigError: The file cannot be written, or YAML cannot hold a name or value; nothing was written.
    """
    _parse(draft, target)
    summary = _fit_shares(draft, target) if draft.rows <= FEW_ROWS and not draft.splits else None
    try:
        atomic.write(target, writing.text(draft, target.stem, target.resolve().parent))
    except OSError as error:
        raise ConfigError(f"{target} cannot be written ({error.strerror}).") from None
    try:
        named = config.load(str(target))
        preflight.check(named, PipelinePaths.of(home, named.name))
        return Verdict(**(summary or preflight.read_everything(named)))
    except HeadraceError as error:
        return Verdict(error.exit_code, hide(str(error)))


def _parse(draft: Draft, target: Path) -> config.NamedConfig:
    """Returns the run file as a run would read it; raises ConfigError if that differs from the draft."""
    base = target.resolve().parent
    settings = config.parse(writing.text(draft, target.stem, base), target.name)
    features = {name: guess.feature for name, guess in draft.features.items()}
    if settings.data.features != features or settings.data.ignore != tuple(draft.ignored):
        raise ConfigError(f"{draft.files}: a name or value of its columns cannot be written in a run file; rename it.")
    return config.NamedConfig(target.stem, settings, config.find_data(settings, target, base), base)


def _fit_shares(draft: Draft, target: Path) -> dict[str, Any] | None:
    """Enlarges the shares for validation and test in the draft if a run would refuse the data with the default shares.

    Returns the result of `preflight.read_everything`; None if a run would refuse the data with any of the shares.
    """
    if summary := _summary(draft, target):
        return summary
    previous = draft.data.pop("splits", None)
    for share in SHARES:
        draft.data["splits"] = {"validation": share, "test": share}
        if summary := _summary(draft, target):
            draft.unsure.append(
                f"{draft.rows} rows are few, so {share:.0%} each are for validation and test; more rows, or files of "
                "their own in data.files, tell more"
            )
            return summary
    draft.data.pop("splits")
    if previous is not None:
        draft.data["splits"] = previous
    return None


def _summary(draft: Draft, target: Path) -> dict[str, Any] | None:
    """Returns the result of `preflight.read_everything` for a draft; None if a run would refuse the data."""
    try:
        return preflight.read_everything(_parse(draft, target))
    except DataError:
        return None
