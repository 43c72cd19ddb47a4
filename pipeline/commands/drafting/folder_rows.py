"""Checks all files of class folders as ingest does, and suggests policies for invalid and duplicate files."""

from pathlib import Path

from threadpoolctl import threadpool_limits

from data import loading, local
from data.checks.rows import Finding, RowChecks
from data.config import DataConfig, InvalidCheck
from data.sources.folders.listing import readable
from models import progress
from pipeline.commands.drafting.draft import Draft
from pipeline.commands.drafting.wording import counted, joined


def set_checks(draft: Draft, files: list[Path], odd_files: list[Path]) -> None:
    """Reads all files, sets `data.checks` of the draft, and adds sentences on what is left out.

    Invalid files are dropped as long as they are few (`data.checks.invalid`), and so are duplicates.

    Args:
        draft: The draft, complete except for the checks; it is changed.
        files: All files in the class folders.
        odd_files: Files among them that are read as texts though their ending is not one of texts.
    """
    row_checks = _run_checks(draft)
    checks: dict[str, dict[str, str]] = {}
    empty = [file for file in files if not file.stat().st_size]
    if row_checks.invalid.rows:
        checks |= _invalid_policy(draft, row_checks, len(empty))
    if odd_files:
        endings = joined(sorted({file.suffix.lower() for file in odd_files}))
        verb = "has" if len(odd_files) == 1 else "have"
        draft.unsure.append(
            f"{counted(len(odd_files), 'file')} {verb} another ending, {endings} (first: {readable(odd_files[0])}): "
            "read like the others; move out of the class folders what is no example"
        )
    checks |= _duplicate_policies(draft, row_checks)
    if checks:
        draft.data["checks"] = checks


def _run_checks(draft: Draft) -> RowChecks:
    """Returns the row checks of a run, with their findings on all files."""
    files: dict | str = str(draft.files)
    if draft.splits:
        files = {split: [str(path) for path in paths] for split, paths in draft.splits.items()}
    features = {name: guess.feature for name, guess in draft.features.items()}
    config = DataConfig.model_validate({"files": files, "features": features})
    dataset = local.dataset(config, draft.files.name, Path.cwd())
    checks = RowChecks(config.row_checks, dataset.spec, config.cut_shares)
    with threadpool_limits(1, user_api="blas"):  # as at ingest
        num_rows = 0
        for batch in loading.open_batches(dataset, config):
            checks.add(batch)
            num_rows += len(batch)
            progress.report(rows=num_rows, of=draft.rows)
    checks.find()
    return checks


def _invalid_policy(draft: Draft, row_checks: RowChecks, num_empty: int) -> dict[str, dict[str, str]]:
    """Adds a sentence on the invalid files to the draft; returns the policy for them, empty if they are many."""
    count, first = row_checks.invalid.rows, row_checks.invalid.first[0]
    details = [*([f"{num_empty:,} empty"] if num_empty else []), f"first: {first}"]
    is_few = count <= InvalidCheck().max_rate * draft.rows
    remedy = f"{'left out' if is_few else 'a run will stop'}; mend or remove {'it' if count == 1 else 'them'}"
    draft.unsure.append(f"{count:,} of {counted(draft.rows, 'file')} cannot be used ({'; '.join(details)}): {remedy}")
    return {"invalid": {"policy": "drop"}} if is_few else {}


def _duplicate_policies(draft: Draft, row_checks: RowChecks) -> dict[str, dict[str, str]]:
    """Returns the policies for duplicates, and adds a comment on them to the draft; the verdict counts them.

    Of equal files with different labels one is wrong: if they are many, no policy is suggested, and a run stops.
    """
    policies: dict[str, dict[str, str]] = {}
    for kind in ("duplicates", "leakage"):
        findings: list[Finding] = [getattr(state, kind) for state in row_checks.splits.values()]
        num_relabelled = sum(finding.relabelled for finding in findings)
        # Leakage into splits that are cut off the training files is handled by the policy for duplicates.
        key = kind if draft.splits else "duplicates"
        is_few, stops = num_relabelled <= InvalidCheck().max_rate * draft.rows, "; a run stops as it is"
        if is_few and any(finding.count for finding in findings):
            policies[key] = {"policy": "drop"}
        if num_relabelled:
            first = next(finding.first_relabelled for finding in findings if finding.relabelled)
            verb = "has" if num_relabelled == 1 else "have"
            draft.unsure.append(
                f"{num_relabelled:,} of {counted(draft.rows, 'file')} {verb} another class than an equal file (first: "
                f"{first}): remove the one of the two that is in the wrong folder{'' if is_few else stops}"
            )
    if policies:
        settings = " and ".join(f"data.checks.{kind}.policy" for kind in policies)
        draft.comments["checks"] = f"files that equal another one are left out; set {settings} to warn to keep them"
    return policies
