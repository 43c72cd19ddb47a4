"""What came of a run for who started it: the closing block that a person reads, and the same as JSON values."""

import json
import os
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifact_files import ANSWER, COMPARISON, METRICS, OVERALL, RECEIPT, TRAINING, VERDICT
from data.errors import ConfigError, HeadraceError
from data.scripts import printable
from data.secrets import hide
from models.serving.rollout.versions import read_manifest
from pipeline.core import environment
from pipeline.core.paths import PipelinePaths
from pipeline.core.signals import Stopped
from pipeline.history.record import START, RunRecord

# What a model is asked about: how it is typed, and in words.
ASKED = {
    "image": ("FILE.png", "an image"),
    "text": ('--text "..."', "a text"),
    "table": ("ROWS.csv", "the rows of a table"),
    "name": ("--text USER", "what a user may like"),
}


@dataclass
class RunResult:
    """A run that has ended, for who started it.

    Attributes:
        record: What came of it; of the last run, its stages cached, where there was nothing to do.
        log: The log file.
        seconds: Wall time, with waiting for the lock and writing the report.
        error: Why it stopped; None when it came to its end.
        unchanged: Whether there was nothing to do.
    """

    record: RunRecord
    log: Path
    seconds: float
    error: BaseException | None = None
    unchanged: bool = False

    @property
    def exit_code(self) -> int:
        """DESIGN's exit code for how the run ended."""
        return exit_code(self.error)


def exit_code(error: BaseException | None) -> int:
    """Returns DESIGN's exit code for what stopped a run; of None that of a run that came to its end."""
    if error is None:
        return 0
    if isinstance(error, Stopped):
        return 128 + error.number
    return error.exit_code if isinstance(error, HeadraceError) else 1


def closing_block(result: RunResult) -> list[str]:
    """Returns the last lines of a run, at most twelve: verdict, metrics, where the model is, what to type next."""
    return list(map(printable, _closing_lines(result)))


def _closing_lines(result: RunResult) -> list[str]:
    if result.error is not None:
        return _stopped_lines(result, result.error)
    folder = published(result.record)
    if folder is None:
        return [
            f"Not good enough, allowed by --allow-unblessed, and not published ({result.seconds:.1f} s):",
            *_metric_lines(result.record),
        ]
    return [
        f"{_verdict(result)} ({result.seconds:.1f} s): {relative(folder)}",
        f"  {_times(result)}",
        *_metric_lines(result.record)[:4],
        *_baseline_lines(result),
        *_answer_lines(result.record),
        *next_lines(_steps(result.record.pipeline, folder)),
    ]


def _stopped_lines(result: RunResult, error: BaseException) -> list[str]:
    stages = result.record.stages
    if isinstance(error, Stopped):
        return [stopped_line(error, stages[-1].name if stages else START, result.log)]
    lines = str(error).splitlines() or [type(error).__name__]
    if not isinstance(error, HeadraceError):
        lines = [f"Stage {stages[-1].name} failed: {type(error).__name__}: {lines[0][:300]}"]
    stopped = f"Stopped after {result.seconds:.1f} s; nothing was published. Log: {relative(result.log)}"
    is_judged = isinstance(error, HeadraceError) and not isinstance(error, ConfigError)  # data or model, by a stage
    steps = next_lines(_steps_after_stop(result)) if is_judged and stages else []
    return [*lines[: 11 - len(steps)], stopped, *steps]


def _steps_after_stop(result: RunResult) -> dict[str, str]:
    """Returns what to type after a stage that found data or model not good enough, with what it is for."""
    record, stage = result.record, result.record.stages[-1].name
    place = home_option(PipelinePaths.of_record(result.log).home)
    page = {f"report {record.pipeline}{place} --open": "see its page: what was measured, and by what it was judged"}
    typed = record.command[1:] if record.command[1:2] == ["run"] else []
    again = shlex.join(typed) if typed else f"run {record.pipeline}{place}"
    target = shlex.quote(typed[1]) if typed else record.pipeline
    if stage == "ingest":
        return {f"check {target}{place} --rows": "look at all rows again, once they are mended"}
    if stage == "data_gate":
        return page
    if stage not in ("model_gate", "baseline", "serving_check"):
        return {}
    if stage == "baseline" and _too_few_rows(record):
        page[f"check {target}{place} --rows"] = "see how many rows of each class the test split has; more are needed"
    elif stage != "serving_check" and (epochs := _epochs(record)):
        longer = shlex.join(_without_epochs(typed)) if typed else again
        page[f"{longer} --set train.epochs={3 * epochs}"] = "train longer"
    if stage == "baseline":
        page[f"{again} --set baseline.require=report"] = "publish it all the same, where that is good enough"
    if stage == "model_gate":
        names = ", ".join(record.settings["evaluate"]["thresholds"]) or "challenge"
        page[again] = f"after a change of evaluate.thresholds ({names}) in the run file"
    if stage == "serving_check":
        page[again] = "after a change of serving, or of the model, in the run file"
    return page


def _too_few_rows(record: RunRecord) -> bool:
    """Returns whether the baseline gate saw too few rows, or rows of a class, to tell any difference."""
    path = record.file(COMPARISON)
    if path is None:
        return False
    found = json.loads(path.read_text())
    is_trivial = record.settings["baseline"]["require"] == "beat_trivial"
    return None in (found["trivial"] if is_trivial else found).get("interval", ())


def _without_epochs(words: list[str]) -> list[str]:
    """Returns what was typed without a number of epochs: another is named."""
    given = [
        at for at, word in enumerate(words) if at and word.startswith("train.epochs=") and words[at - 1] == "--set"
    ]
    return [word for at, word in enumerate(words) if at not in given and at + 1 not in given]


def _epochs(record: RunRecord) -> int | None:
    """Returns for how many epochs the network was trained; None where it was stopped early, or is gone."""
    path, epochs = record.file(TRAINING), record.settings["train"]["epochs"]
    try:
        curves = json.loads(path.read_text())["history"] if path else {}
    except (OSError, ValueError, KeyError):
        return None
    return epochs if any(len(values) >= epochs for values in curves.values()) else None


def _steps(pipeline: str, version: Path) -> dict[str, str]:
    """Returns what to type after a version was published, with what it is for."""
    what, about = predict_arguments(version)
    place = home_option(version.parents[2])
    return {
        f"predict {pipeline} {what}{place}": f"ask the model about {about}",
        f"serve {pipeline}{place}": "serve it by gRPC and REST",
        f"board{place}": "see the curves in TensorBoard",
    }


def next_lines(steps: dict[str, str]) -> list[str]:
    """Returns what to type next, command -> what it is for, as lines."""
    commands = [f"{environment.program()} {command}" for command in steps]
    width = max(map(len, commands), default=0)
    lines = [f"{command:<{width}}   {words}" for command, words in zip(commands, steps.values(), strict=True)]
    return [f"Next: {lines[0]}"] if len(lines) == 1 else ["Next:", *(f"  {line}" for line in lines)] * bool(lines)


def home_option(home: Path) -> str:
    """Returns what names the home in a command that a person types next; empty where it is found without."""
    usual = Path(os.environ.get("HEADRACE_HOME", "."))
    return "" if usual.resolve() == home.resolve() else f" --home {shlex.quote(str(relative(home)))}"


def predict_arguments(version: Path) -> tuple[str, str]:
    """Returns what follows `headrace predict NAME` for a published version, and what that is in words."""
    return ASKED[(read_manifest(version).get("file_query") or {}).get("kind", "image")]


def stopped_line(error: Stopped, stage: str, log: Path) -> str:
    """Returns the one line of a run that a signal has stopped."""
    return f"Stopped by {error} at {stage}; the next run goes on from there. Log: {relative(log)}"


def published(record: RunRecord) -> Path | None:
    """Returns the folder of the version that a run which came to its end published; None where it published none.

    Raises:
        ValueError: It did not come to its end.
    """
    folder, receipt = _receipt(record)["folder"], record.file(RECEIPT)
    # Relative to the home; the receipt is in runs/NAME/artifacts/publish/pushed_model/N.
    return receipt.parents[6] / folder if folder and receipt else None


def _receipt(record: RunRecord) -> dict[str, Any]:
    path = record.file(RECEIPT)
    if path is None:
        raise ValueError(f"Run {record.run} published nothing.")
    return json.loads(path.read_text())


def _verdict(result: RunResult) -> str:
    is_new = _receipt(result.record)["new"] and not result.unchanged
    return "Published" if is_new else "No change: this model is published already"


def metrics(record: RunRecord) -> dict[str, float]:
    """Returns the model's metrics on the test split; empty where the run did not come that far."""
    path = record.file(METRICS)
    return json.loads(path.read_text())["slices"][OVERALL] if path else {}


def comparison(result: RunResult) -> dict[str, Any] | str:
    """Returns what came of the comparison with classical models, or in a sentence why the run did not get there."""
    path = result.record.file(COMPARISON)
    return json.loads(path.read_text()) if path else str(result.error).splitlines()[0]


def _times(result: RunResult) -> str:
    """Returns where the time went, in one line: the stages that took a second or more, and how many did not."""
    stages = result.record.stages
    if result.unchanged:
        return f"nothing changed since run {result.record.run}"
    long = [f"{stage.name} {stage.seconds:.1f}" for stage in stages if stage.seconds >= 1]
    cached = sum(stage.state == "cached" for stage in stages)
    rest = len(stages) - len(long) - cached
    words = [f"{rest} under a second"] * bool(rest) + [f"{cached} cached"] * bool(cached)
    return f"seconds: {', '.join(long + words)}"


def _metric_lines(record: RunRecord) -> list[str]:
    path = record.file(VERDICT)
    return [f"  {verdict['sentence']}" for verdict in json.loads(path.read_text())] if path else []


def _baseline_lines(result: RunResult) -> list[str]:
    found = comparison(result)
    return [f"  {found['sentence']}"] if isinstance(found, dict) else []


def _answer_lines(record: RunRecord) -> list[str]:
    answer = record.file(ANSWER)
    return [f"  asked about the first test example: {answer.read_text()}"] if answer and answer.exists() else []


def relative(path: Path) -> str:
    """Returns a path as a person types it from the current folder."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def as_json(result: RunResult) -> dict[str, Any]:
    """Returns a run's result as JSON values."""
    record, found = result.record, comparison(result)
    return {
        "run": record.run,
        "pipeline": record.pipeline,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 1),
        "stages": [
            {
                "name": stage.name,
                "state": stage.state,
                "seconds": round(stage.seconds, 1),
                # The record keeps what a stage said last before it failed.
                "detail": stage.detail if stage.state == "done" else stage.state,
            }
            for stage in record.stages
        ],
        "metrics": metrics(record),
        "baseline": found if isinstance(found, dict) else None,
        "published": str(published(record) or "") or None if result.error is None else None,
        "error": hide(str(result.error)) if result.error else None,
        "log": str(result.log),
    }
