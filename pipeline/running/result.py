"""The result of a run, for the person who started it: the closing block of lines, and JSON values."""

import glob
import json
import os
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from components.artifact_files import ANSWER, COMPARISON, METRICS, OVERALL, RECEIPT, TRAINING, VERDICT
from data import pictures
from data.errors import ConfigError, HeadraceError
from data.files import spans
from data.scripts import printable
from data.secrets import hide
from models.serving.rollout.versions import read_manifest
from pipeline.core import environment
from pipeline.core.paths import PipelinePaths
from pipeline.core.signals import Stopped
from pipeline.core.stages import STAGES
from pipeline.history.record import START, RunRecord

# Kind of a model's input -> arguments of `headrace predict`, and a noun for it.
PREDICT_ARGUMENTS = {
    "image": ("FILE.png", "an image"),
    "text": ('--text "..."', "a text"),
    "table": ("ROWS.csv", "the rows of a table"),
    "name": ("--text USER", "what a user may like"),
}
FILE_KINDS = ("image", "table")  # whose argument is a file


@dataclass
class RunResult:
    """The result of a run that has ended.

    Attributes:
        record: Record of the run; if nothing has changed, that of the last run, with all stages cached.
        log: The log file.
        seconds: Wall time, including waiting for the lock and writing the report.
        error: The exception that stopped it; None if it was completed.
        unchanged: Whether nothing has changed since the last run, so that no stage ran.
    """

    record: RunRecord
    log: Path
    seconds: float
    error: BaseException | None = None
    unchanged: bool = False

    @property
    def exit_code(self) -> int:
        """The exit code of the run; see `docs/exit-codes.md`."""
        return exit_code(self.error)


def exit_code(error: BaseException | None) -> int:
    """Returns the exit code for the exception that stopped a run, or for None; see `docs/exit-codes.md`."""
    if error is None:
        return 0
    if isinstance(error, Stopped):
        return 128 + error.number
    return error.exit_code if isinstance(error, HeadraceError) else 1


def closing_block(result: RunResult) -> list[str]:
    """Returns the last lines of a run, at most twelve: verdict, metrics, folder of the model, next commands."""
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
        *next_lines(_steps(result.record, folder)),
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
    """Returns the next commands after a stage that refused data or model: command -> its purpose."""
    record, stage = result.record, result.record.stages[-1].name
    home_flag = home_option(PipelinePaths.of_record(result.log).home)
    steps = {
        f"report {record.pipeline}{home_flag} --open": "see its page: what was measured, and by what it was judged"
    }
    arguments = record.command[1:] if record.command[1:2] == ["run"] else []
    run_command = shlex.join(arguments) if arguments else f"run {record.pipeline}{home_flag}"
    target = shlex.quote(arguments[1]) if arguments else record.pipeline
    if stage == "ingest":
        return {f"check {target}{home_flag} --rows": "look at all rows again, once they are mended"}
    if stage == "data_gate":
        return steps
    gate = next((one for one in STAGES if one.id == stage and one.is_gate), None)
    if gate is None:
        return {}
    if stage not in ("model_gate", "baseline", "serving_check"):
        return steps | {run_command: f"after a change of {' or '.join(gate.settings)} in the run file"}
    if stage == "baseline" and _too_few_rows(record):
        steps[f"check {target}{home_flag} --rows"] = (
            "see how many rows of each class the test split has; more are needed"
        )
    elif stage != "serving_check" and (epochs := _epochs(record)):
        longer_run = shlex.join(_without_epochs(arguments)) if arguments else run_command
        steps[f"{longer_run} --set train.epochs={3 * epochs}"] = "train longer"
    if stage == "baseline":
        steps[f"{run_command} --set baseline.require=report"] = "publish it all the same, where that is good enough"
    if stage == "model_gate":
        names = ", ".join(record.settings["evaluate"]["thresholds"]) or "challenge"
        steps[run_command] = f"after a change of evaluate.thresholds ({names}) in the run file"
    if stage == "serving_check":
        steps[run_command] = "after a change of serving, or of the model, in the run file"
    return steps


def _too_few_rows(record: RunRecord) -> bool:
    """Returns whether the test split had too few rows, or too few of a class, for the baseline gate's interval."""
    path = record.file(COMPARISON)
    if path is None:
        return False
    comparison_result = json.loads(path.read_text())
    is_trivial = record.settings["baseline"]["require"] == "beat_trivial"
    return None in (comparison_result["trivial"] if is_trivial else comparison_result).get("interval", ())


def _without_epochs(arguments: list[str]) -> list[str]:
    """Returns the arguments of a command without its settings of `train.epochs`."""
    positions = [
        position
        for position, argument in enumerate(arguments)
        if position and argument.startswith("train.epochs=") and arguments[position - 1] == "--set"
    ]
    return [
        argument
        for position, argument in enumerate(arguments)
        if position not in positions and position + 1 not in positions
    ]


def _epochs(record: RunRecord) -> int | None:
    """Returns the number of epochs of the training; None if it was stopped early, or if its output is missing."""
    path, epochs = record.file(TRAINING), record.settings["train"]["epochs"]
    try:
        curves = json.loads(path.read_text())["history"] if path else {}
    except (OSError, ValueError, KeyError):
        return None
    return epochs if any(len(values) >= epochs for values in curves.values()) else None


def _steps(run: RunRecord, version: Path) -> dict[str, str]:
    """Returns the next commands after a version was published: command -> its purpose."""
    pipeline = run.pipeline
    arguments, noun = predict_arguments(version, run)
    home_flag = home_option(version.parents[2])
    return {
        f"predict {pipeline} {arguments}{home_flag}": f"predict {noun}",
        f"serve {pipeline}{home_flag}": "serve it by gRPC and REST",
        f"board{home_flag}": "see the curves in TensorBoard",
    }


def next_lines(steps: dict[str, str]) -> list[str]:
    """Returns lines with the next commands, from command -> its purpose; the commands lack the program's name."""
    commands = [f"{environment.program()} {command}" for command in steps]
    width = max(map(len, commands), default=0)
    lines = [f"{command:<{width}}   {purpose}" for command, purpose in zip(commands, steps.values(), strict=True)]
    return [f"Next: {lines[0]}"] if len(lines) == 1 else ["Next:", *(f"  {line}" for line in lines)] * bool(lines)


def home_option(home: Path) -> str:
    """Returns ` --home FOLDER` for a command, or an empty text if the home is the default one."""
    default = Path(os.environ.get("HEADRACE_HOME", "."))
    return "" if default.resolve() == home.resolve() else f" --home {shlex.quote(str(relative(home)))}"


def predict_arguments(version: Path, last_run: RunRecord | None) -> tuple[str, str]:
    """Returns example arguments of `headrace predict NAME` for a published version, and a noun for its input.

    Args:
        version: Folder of the version.
        last_run: The pipeline's last run: an example file is one of its data, where one exists.
    """
    kind = (read_manifest(version).get("file_query") or {}).get("kind", "image")
    placeholder, noun = PREDICT_ARGUMENTS[kind]
    if last_run is None or kind not in FILE_KINDS:
        return placeholder, noun
    home = version.resolve().parents[2]  # serving/NAME/VERSION
    example = next(_example_files(last_run, home, is_image=kind == "image"), None)
    return (shlex.quote(str(relative(example))) if example else placeholder), noun


def _example_files(run: RunRecord, home: Path, *, is_image: bool) -> Iterator[Path]:
    """Yields the files of a run's data that `headrace predict` can read: tables, or the images in its folders."""
    files = run.settings["data"].get("files") or []
    if isinstance(files, dict):
        files = files.get("test") or files["train"]
    for pattern in [files] if isinstance(files, str) else files:
        located = os.path.normpath(home / run.base / Path(pattern).expanduser())
        if spans.has_placeholders(located):
            *_, paths = [[], *spans.find(located).values()]  # those of the newest span
        else:
            paths = [located] if Path(located).exists() else sorted(glob.glob(located, recursive=True))
        for path in map(Path, paths):
            if not is_image:
                yield path
            elif path.is_dir():
                yield from (file for file in _files_below(path) if file.suffix.lower() in pictures.ENDINGS)


def _files_below(folder: Path) -> Iterator[Path]:
    """Yields the files below a folder in a fixed order, and reads no more of a large folder than is asked for."""
    for parent, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(parent, name) for name in sorted(names) if not name.startswith("."))


def stopped_line(error: Stopped, stage: str, log: Path) -> str:
    """Returns the closing line of a run that a signal has stopped."""
    return f"Stopped by {error} at {stage}; the next run goes on from there. Log: {relative(log)}"


def published(record: RunRecord) -> Path | None:
    """Returns the folder of the version that a completed run published; None if it published none.

    Raises:
        ValueError: The run was not completed.
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
    """Returns the model's metrics on the test split; empty if the run did not evaluate the model."""
    path = record.file(METRICS)
    return json.loads(path.read_text())["slices"][OVERALL] if path else {}


def comparison(result: RunResult) -> dict[str, Any] | str:
    """Returns the comparison with the reference models; if the run has none, the first line of its error."""
    path = result.record.file(COMPARISON)
    return json.loads(path.read_text()) if path else str(result.error).splitlines()[0]


def _times(result: RunResult) -> str:
    """Returns a line with the seconds of each stage that took a second or more, and the number of the others."""
    stages = result.record.stages
    if result.unchanged:
        return f"nothing changed since run {result.record.run}"
    slow_stages = [f"{stage.name} {stage.seconds:.1f}" for stage in stages if stage.seconds >= 1]
    cached = sum(stage.state == "cached" for stage in stages)
    num_fast = len(stages) - len(slow_stages) - cached
    counts = [f"{num_fast} under a second"] * bool(num_fast) + [f"{cached} cached"] * bool(cached)
    return f"seconds: {', '.join(slow_stages + counts)}"


def _metric_lines(record: RunRecord) -> list[str]:
    path = record.file(VERDICT)
    return [f"  {verdict['sentence']}" for verdict in json.loads(path.read_text())] if path else []


def _baseline_lines(result: RunResult) -> list[str]:
    comparison_result = comparison(result)
    if not isinstance(comparison_result, dict):
        return []
    return [f"  {comparison_result.get('conclusion', comparison_result['sentence'])}"]  # older releases had none


def _answer_lines(record: RunRecord) -> list[str]:
    answer = record.file(ANSWER)
    return [f"  prediction for the first test example: {answer.read_text()}"] if answer and answer.exists() else []


def relative(path: Path) -> str:
    """Returns a path relative to the current folder if it lies inside, else absolute."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def as_json(result: RunResult) -> dict[str, Any]:
    """Returns a run's result as JSON values."""
    record, comparison_result = result.record, comparison(result)
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
                # The record has the last progress of a stage that failed.
                "detail": stage.detail if stage.state == "done" else stage.state,
            }
            for stage in record.stages
        ],
        "metrics": metrics(record),
        "baseline": comparison_result if isinstance(comparison_result, dict) else None,
        "published": str(published(record) or "") or None if result.error is None else None,
        "error": hide(str(result.error)) if result.error else None,
        "log": str(result.log),
    }
