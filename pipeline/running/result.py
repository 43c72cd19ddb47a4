"""What came of a run: its stages, what they put out, and the closing block that a person reads."""

import json
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import HeadraceError
from data.secrets import hide
from models.serving.rollout.versions import read_manifest
from pipeline.core.signals import Stopped

# What a model is asked about: how it is typed, and in words.
ASKED = {
    "image": ("FILE.png", "an image"),
    "text": ('--text "..."', "a text"),
    "table": ("ROWS.csv", "the rows of a table"),
    "name": ("--text USER", "what a user may like"),
}


@dataclass
class StageResult:
    """One stage of a run.

    Attributes:
        name: The stage.
        state: `done`, `cached`, `failed` or `stopped`.
        seconds: Wall time.
        detail: What it said of itself last.
        outputs: Output name -> folder of its artifact.
    """

    name: str
    state: str
    seconds: float
    detail: str
    outputs: dict[str, str] = field(default_factory=dict)


@dataclass
class RunResult:
    """What came of a run.

    Attributes:
        run: Identifier, which sorts by time.
        pipeline: Name of the pipeline.
        seconds: Wall time.
        stages: In the order they ran.
        log: The log file.
        error: Why it stopped; None when it was published.
        unchanged: Whether there was nothing to do: this is what the last run came to.
    """

    run: str
    pipeline: str
    seconds: float
    stages: list[StageResult]
    log: Path
    error: BaseException | None = None
    unchanged: bool = False

    @property
    def exit_code(self) -> int:
        """Returns DESIGN's exit code for how the run ended."""
        if self.error is None:
            return 0
        if isinstance(self.error, Stopped):
            return 128 + self.error.number
        return self.error.exit_code if isinstance(self.error, HeadraceError) else 1

    def output(self, stage: str, name: str) -> Path | None:
        """Returns the folder of a stage's output; None where the run did not come that far."""
        for result in self.stages:
            if result.name == stage and name in result.outputs:
                return Path(result.outputs[name])
        return None


def closing_block(result: RunResult) -> list[str]:
    """Returns the last lines of a run, at most twelve: verdict, metrics, where the model is, what to type next."""
    took = f"{result.seconds:.1f} s"
    if result.error is None:
        folder, new = published(result)
        if folder is None:
            return [
                f"Not good enough, allowed by --allow-unblessed, and not published ({took}):",
                *_metric_lines(result),
            ]
        verdict = "Published" if new else "No change: this model is published already"
        # What a person can type: after `make run` the venv is not on the path.
        command = "headrace" if shutil.which("headrace") else sys.argv[0]
        what, about = asked_with(folder)
        ask = f"{command} predict {result.pipeline} {what}"
        return [
            f"{verdict} ({took}): {relative(folder)}",
            f"  {_times(result)}",
            *_metric_lines(result)[:4],
            *_baseline_lines(result),
            *_answer_lines(result),
            "Next:",
            f"  {ask}   ask the model about {about}",
            f"  {f'{command} serve {result.pipeline}':<{len(ask)}}   serve it by gRPC and REST",
            f"  {f'{command} board':<{len(ask)}}   see the curves in TensorBoard",
        ]
    if isinstance(result.error, Stopped):
        return [stopped_line(result.error, result.stages[-1].name if result.stages else "start", result.log)]
    lines = str(result.error).splitlines() or [type(result.error).__name__]
    if not isinstance(result.error, HeadraceError):
        lines = [f"Stage {result.stages[-1].name} failed: {type(result.error).__name__}: {lines[0][:300]}"]
    stopped = f"Stopped after {took}; nothing was published. Log: {relative(result.log)}"
    return [*lines[:11], stopped]


def asked_with(version: Path) -> tuple[str, str]:
    """Returns what follows `headrace predict NAME` for a published version, and what that is in words."""
    return ASKED[(read_manifest(version).get("file_query") or {}).get("kind", "image")]


def stopped_line(error: Stopped, stage: str, log: Path) -> str:
    """Returns the one line of a run that a signal has stopped."""
    return f"Stopped by {error} at {stage}; the next run goes on from there. Log: {relative(log)}"


def published(result: RunResult) -> tuple[Path | None, bool]:
    """Returns the folder of the version that a finished run published, and whether it is new; None for none."""
    folder = result.output("publish", "pushed_model")
    if folder is None:
        raise ValueError(f"Run {result.run} published nothing.")
    receipt = json.loads((folder / "receipt.json").read_text())
    return Path(receipt["folder"]) if receipt["folder"] else None, receipt["new"] and not result.unchanged


def metrics(result: RunResult) -> dict[str, float]:
    """Returns the model's metrics on the test split; empty where the run did not come that far."""
    folder = result.output("evaluate", "evaluation")
    return json.loads((folder / "metrics.json").read_text())["slices"]["overall"] if folder else {}


def comparison(result: RunResult) -> dict[str, Any] | str:
    """Returns what came of the comparison with classical models, or in a sentence why the run did not get there."""
    folder = result.output("baseline", "comparison")
    return json.loads((folder / "comparison.json").read_text()) if folder else str(result.error).splitlines()[0]


def _times(result: RunResult) -> str:
    """Returns where the time went, in one line: the stages that took a second or more, and how many did not."""
    if result.unchanged:
        return f"nothing changed since run {result.run}"
    stages = result.stages
    long = [f"{stage.name} {stage.seconds:.1f}" for stage in stages if stage.seconds >= 1]
    cached = sum(stage.state == "cached" for stage in stages)
    rest = len(stages) - len(long) - cached
    words = [f"{rest} under a second"] * bool(rest) + [f"{cached} cached"] * bool(cached)
    return f"seconds: {', '.join(long + words)}"


def _metric_lines(result: RunResult) -> list[str]:
    folder = result.output("model_gate", "blessing")
    if folder is None:
        return []
    return [f"  {verdict['sentence']}" for verdict in json.loads((folder / "verdict.json").read_text())]


def _baseline_lines(result: RunResult) -> list[str]:
    found = comparison(result)
    return [f"  {found['sentence']}"] if isinstance(found, dict) else []


def _answer_lines(result: RunResult) -> list[str]:
    folder = result.output("serving_check", "blessing")
    answer = folder / "answer.txt" if folder else None
    return [f"  asked about the first test example: {answer.read_text()}"] if answer and answer.exists() else []


def relative(path: Path) -> str:
    """Returns a path as a person types it from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def as_json(result: RunResult) -> dict[str, Any]:
    """Returns a run's result as JSON values."""
    return {
        "run": result.run,
        "pipeline": result.pipeline,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 1),
        "stages": [
            {"name": stage.name, "state": stage.state, "seconds": round(stage.seconds, 1), "detail": stage.detail}
            for stage in result.stages
        ],
        "metrics": metrics(result),
        "baseline": found if isinstance(found := comparison(result), dict) else None,
        "published": str(published(result)[0] or "") or None if result.error is None else None,
        "error": hide(str(result.error)) if result.error else None,
        "log": str(result.log),
    }
