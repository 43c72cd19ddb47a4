"""What `headrace new` prints."""

import shlex
from pathlib import Path
from typing import Any

from pipeline.commands.drafting.draft import Draft
from pipeline.commands.drafting.verdict import Verdict
from pipeline.commands.drafting.wording import counted, named
from pipeline.commands.shared import split_lines
from pipeline.core import environment
from pipeline.running.result import home_option


def lines(made: Draft, target: Path, verdict: Verdict) -> list[str]:
    """Returns what was inferred, what is unsure, and what a run would find."""
    *others, label = made.features
    said = [
        f"{target}: {made.task} of {named(label)} from {counted(len(others), 'column')}, {counted(made.rows, 'row')}"
    ]
    said += [f"  {sentence}" for sentence in made.notes]
    said += [f"  unsure: {sentence}" for sentence in made.unsure]
    return [*said, *split_lines(verdict.splits), *verdict.notes]


def next_lines(target: Path, verdict: Verdict, home: Path) -> list[str]:
    """Returns what to type next."""
    # What has no / would be the name of a pipeline.
    path = str(target) if target.parent != Path() else f"./{target}"
    given, program = f"{shlex.quote(path)}{home_option(home)}", environment.program()
    if verdict.error:
        return [f"{target} is written all the same; when this is mended:", f"  {program} check {given} --rows"]
    return [f"ok: {target.stem} can be run", "Next:", f"  {program} run {given}"]


def as_json(made: Draft, target: Path, verdict: Verdict) -> dict[str, Any]:
    """Returns the same as JSON values."""
    features = {name: guess.feature.kind for name, guess in made.features.items() if guess.feature}
    said: dict[str, Any] = {"file": str(target), "task": made.task, "rows": made.rows, "features": features}
    said |= {"ignored": made.ignored, "unsure": made.unsure, "notes": made.notes}
    judged = {"ok": not verdict.error, "exit_code": verdict.exit_code, "error": verdict.error or None}
    return said | {"check": {**judged, "splits": verdict.splits, "notes": verdict.notes}}
