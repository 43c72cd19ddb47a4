"""Runs a pipeline on TFX's BeamDagRunner: home, lock, log, progress, and the closing block."""

import json
import logging
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import ConfigError, HeadraceError
from models import progress
from pipeline.config import NamedConfig
from pipeline.lock import hold
from pipeline.screen import Screen, redirected

logger = logging.getLogger(__name__)


@dataclass
class StageResult:
    """One stage of a run.

    Attributes:
        name: The stage.
        state: `done`, `cached` or `failed`.
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
    """

    run: str
    pipeline: str
    seconds: float
    stages: list[StageResult]
    log: Path
    error: Exception | None = None

    @property
    def exit_code(self) -> int:
        """Returns DESIGN's exit code for how the run ended."""
        if self.error is None:
            return 0
        return self.error.exit_code if isinstance(self.error, HeadraceError) else 1

    def output(self, stage: str, name: str) -> Path | None:
        """Returns the folder of a stage's output; None where the run did not come that far."""
        for result in self.stages:
            if result.name == stage and name in result.outputs:
                return Path(result.outputs[name])
        return None


def execute(named: NamedConfig, home: Path, screen: Screen) -> RunResult:
    """Runs a pipeline from start to end and returns what came of it.

    Raises:
        ConfigError: The home folder cannot be written to.
        LockError: The pipeline is running already.
    """
    runs = home.resolve() / "runs" / named.name
    run = f"{time.strftime('%Y%m%d-%H%M%S')}-{time.time_ns() // 1_000_000 % 1000:03d}"
    log = runs / "logs" / f"{run}.log"
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        (home.resolve() / "serving").mkdir(exist_ok=True)
        log.touch(mode=0o640)
    except OSError as error:
        raise ConfigError(
            f"Home {home.resolve()} cannot be written to ({error.strerror}); "
            "choose another with --home or HEADRACE_HOME."
        ) from error
    started, observer = time.monotonic(), _Observer(screen)
    failure: Exception | None = None
    with hold(runs / "lock", named.name), redirected(log), screen.stages():
        stop = progress.listen(screen.update)
        try:
            _run(named, home, run, observer)
        except Exception as error:  # shown by the caller in one line; the traceback goes to the log
            failure = observer.error or error
            logging.getLogger().error("%s", "".join(traceback.format_exception(failure)))
            if observer.stage:
                observer.end("failed")
        finally:
            stop()
    return RunResult(run, named.name, time.monotonic() - started, observer.results, log, failure)


def _run(named: NamedConfig, home: Path, run: str, observer: "_Observer") -> None:
    observer.begin("start")
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True)
    from pipeline import graph
    from pipeline.beam_runner import run_pipeline

    pipeline = graph.build(named, graph.Places.of(home, named.name), run)
    observer.end("done")
    run_pipeline(pipeline, observer)


class _Observer:
    """Keeps what each stage came to, and shows it."""

    def __init__(self, screen: Screen):
        self._screen = screen
        self.results: list[StageResult] = []
        self.stage = ""
        self.error: Exception | None = None

    def begin(self, stage: str) -> None:
        self.stage = stage
        self._screen.begin(stage)

    def end(self, state: str, outputs: dict[str, str] | None = None) -> None:
        seconds, detail = self._screen.end(state)
        self.results.append(StageResult(self.stage, state, seconds, detail, outputs or {}))
        self.stage = ""

    def observe(self, stage: str, launch: Callable[[], tuple[bool, dict[str, str]]]) -> None:
        """Runs a stage; `launch` returns whether it was cached, and its outputs."""
        self.begin(stage)
        try:
            cached, outputs = launch()
        except Exception as error:
            # Beam raises a copy with its own words added to the message.
            self.error = error
            raise
        self.end("cached" if cached else "done", outputs)


# --- the closing block ----------------------------------------------------------------------------------------------


def closing_block(result: RunResult) -> list[str]:
    """Returns the last lines of a run, at most twelve: verdict, metrics, where the model is, what to type next."""
    took = f"{result.seconds:.1f} s"
    if result.error is None:
        folder, new = published(result)
        verdict = "Published" if new else "No change: this model is published already"
        ask = f"headrace predict {result.pipeline} FILE.png"
        return [
            f"{verdict} ({took}): {_relative(folder)}",
            *_metric_lines(result),
            *_answer_lines(result),
            "Next:",
            f"  {ask}   ask the model about an image",
            f"  {'headrace board':<{len(ask)}}   see the curves in TensorBoard",
        ]
    lines = str(result.error).splitlines() or [type(result.error).__name__]
    if not isinstance(result.error, HeadraceError):
        lines = [f"Stage {result.stages[-1].name} failed: {type(result.error).__name__}: {lines[0][:300]}"]
    stopped = f"Stopped after {took}; nothing was published. Log: {_relative(result.log)}"
    return [*lines[:11], stopped]


def published(result: RunResult) -> tuple[Path, bool]:
    """Returns the folder of the version that a finished run published, and whether it is new."""
    folder = result.output("publish", "pushed_model")
    if folder is None:
        raise ValueError(f"Run {result.run} published nothing.")
    receipt = json.loads((folder / "receipt.json").read_text())
    return Path(receipt["folder"]), receipt["new"]


def metrics(result: RunResult) -> dict[str, float]:
    """Returns the model's metrics on the test split; empty where the run did not come that far."""
    folder = result.output("evaluate", "evaluation")
    return json.loads((folder / "metrics.json").read_text())["slices"]["overall"] if folder else {}


def _metric_lines(result: RunResult) -> list[str]:
    folder = result.output("model_gate", "blessing")
    if folder is None:
        return []
    from components.model_gate import Verdict

    verdicts = [Verdict(**values) for values in json.loads((folder / "verdict.json").read_text())]
    return [f"  {verdict.sentence()}" for verdict in verdicts]


def _answer_lines(result: RunResult) -> list[str]:
    folder = result.output("serving_check", "blessing")
    answer = folder / "answer.txt" if folder else None
    return [f"  asked about the first test example: {answer.read_text()}"] if answer and answer.exists() else []


def _relative(path: Path) -> str:
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
        "published": str(published(result)[0]) if result.error is None else None,
        "error": str(result.error) if result.error else None,
        "log": str(result.log),
    }
