"""The output of `headrace new`, as text and as JSON."""

import shlex
from pathlib import Path
from typing import Any

from pipeline.commands.drafting.draft import Draft
from pipeline.commands.drafting.verdict import Verdict
from pipeline.commands.drafting.wording import counted, quoted
from pipeline.commands.shared import split_lines
from pipeline.core import environment
from pipeline.running.result import home_option


def lines(draft: Draft, target: Path, verdict: Verdict) -> list[str]:
    """Returns the lines on what was inferred, what is unsure, and the result of the check."""
    *others, label = draft.features
    sentences = [
        f"{target}: {draft.task} of {quoted(label)} from {counted(len(others), 'column')}, {counted(draft.rows, 'row')}"
    ]
    sentences += [f"  {sentence}" for sentence in draft.notes]
    sentences += [f"  unsure: {sentence}" for sentence in draft.unsure]
    return [*sentences, *split_lines(verdict.splits), *verdict.notes]


def next_lines(target: Path, verdict: Verdict, home: Path) -> list[str]:
    """Returns the lines with the next command."""
    # An argument without / would be taken for the name of a pipeline.
    path = str(target) if target.parent != Path() else f"./{target}"
    arguments, program = f"{shlex.quote(path)}{home_option(home)}", environment.program()
    if verdict.error:
        return [f"{target} is written all the same; when this is mended:", f"  {program} check {arguments} --rows"]
    return [f"ok: {target.stem} can be run", "Next:", f"  {program} run {arguments}"]


def as_json(draft: Draft, target: Path, verdict: Verdict) -> dict[str, Any]:
    """Returns the result as JSON values."""
    features = {name: guess.feature.kind for name, guess in draft.features.items() if guess.feature}
    values: dict[str, Any] = {"file": str(target), "task": draft.task, "rows": draft.rows, "features": features}
    values |= {"ignored": draft.ignored, "unsure": draft.unsure, "notes": draft.notes}
    check = {"ok": not verdict.error, "exit_code": verdict.exit_code, "error": verdict.error or None}
    return values | {"check": {**check, "splits": verdict.splits, "notes": verdict.notes}}
