"""Reads the files of class folders as ingest does, and suggests what to do about those that cannot be used."""

from pathlib import Path

from threadpoolctl import threadpool_limits

from data import loading, local
from data.checks.rows import Finding, RowChecks
from data.config import DataConfig, InvalidCheck
from data.sources.folders.listing import readable
from models import progress
from pipeline.commands.drafting.draft import Draft
from pipeline.commands.drafting.wording import counted, some


def set_checks(made: Draft, files: list[Path], strays: list[Path]) -> None:
    """Reads all files, sets the checks of the draft, and says what is left out.

    A file that cannot be used is left out as long as there are few (`data.checks.invalid`), and so are files that equal
    another one.

    Args:
        made: The draft, complete but for this.
        files: All files in the class folders.
        strays: Those whose endings are not those of images or texts, whichever is learned from.
    """
    found = _read(made)
    checks: dict[str, dict[str, str]] = {}
    empty = [file for file in files if not file.stat().st_size]
    if found.invalid.rows:
        checks |= _unusable(made, found, len(empty))
    if strays:
        kinds = some(sorted({file.suffix.lower() for file in strays}))
        verb = "has" if len(strays) == 1 else "have"
        made.unsure.append(
            f"{counted(len(strays), 'file')} {verb} another ending, {kinds} (first: {readable(strays[0])}): read like "
            "the others; move out of the class folders what is no example"
        )
    checks |= _equal(made, found)
    if checks:
        made.data["checks"] = checks


def _read(made: Draft) -> RowChecks:
    """Returns what the checks of a run find in all files."""
    files: dict | str = str(made.files)
    if made.splits:
        files = {split: [str(path) for path in paths] for split, paths in made.splits.items()}
    features = {name: guess.feature for name, guess in made.features.items()}
    config = DataConfig.model_validate({"files": files, "features": features})
    dataset = local.dataset(config, made.files.name, Path.cwd())
    checks = RowChecks(config.row_checks, dataset.spec, config.cut_shares)
    with threadpool_limits(1, user_api="blas"):  # as at ingest
        number = 0
        for batch in loading.open_batches(dataset, config):
            checks.add(batch)
            number += len(batch)
            progress.report(rows=number, of=made.rows)
    checks.find()
    return checks


def _unusable(made: Draft, found: RowChecks, empty: int) -> dict[str, dict[str, str]]:
    """Says how many files cannot be used; returns the policy for them."""
    count, first = found.invalid.rows, found.invalid.first[0]
    kinds = [*([f"{empty:,} empty"] if empty else []), f"first: {first}"]
    is_few = count <= InvalidCheck().max_rate * made.rows
    done = f"{'left out' if is_few else 'a run will stop'}; mend or remove {'it' if count == 1 else 'them'}"
    made.unsure.append(f"{count:,} of {counted(made.rows, 'file')} cannot be used ({'; '.join(kinds)}): {done}")
    return {"invalid": {"policy": "drop"}} if is_few else {}


def _equal(made: Draft, found: RowChecks) -> dict[str, dict[str, str]]:
    """Returns the policies for files that equal another one, and says why in the run file; the verdict counts them.

    Of equal files with different labels one is wrong: where they are many, no policy is suggested, and a run stops.
    """
    checks: dict[str, dict[str, str]] = {}
    for kind in ("duplicates", "leakage"):
        findings: list[Finding] = [getattr(state, kind) for state in found.splits.values()]
        relabelled = sum(finding.relabelled for finding in findings)
        # Of splits that are cut off, the check of leakage is that of duplicates.
        key = kind if made.splits else "duplicates"
        is_few, stops = relabelled <= InvalidCheck().max_rate * made.rows, "; a run stops as it is"
        if is_few and any(finding.count for finding in findings):
            checks[key] = {"policy": "drop"}
        if relabelled:
            first = next(finding.first_relabelled for finding in findings if finding.relabelled)
            verb = "has" if relabelled == 1 else "have"
            made.unsure.append(
                f"{relabelled:,} of {counted(made.rows, 'file')} {verb} another class than an equal file (first: "
                f"{first}): remove the one of the two that is in the wrong folder{'' if is_few else stops}"
            )
    if checks:
        policies = " and ".join(f"data.checks.{kind}.policy" for kind in checks)
        made.comments["checks"] = f"files that equal another one are left out; set {policies} to warn to keep them"
    return checks
