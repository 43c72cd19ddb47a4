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
from pipeline.screen import Screen

logger = logging.getLogger(__name__)


@dataclass
class StageResult:
    """One stage of a run.

    Attributes:
        name: The stage.
        state: `done`, `cached` or `failed`.
        seconds: Wall time.
        outputs: Output name -> folder of its artifact.
    """

    name: str
    state: str
    seconds: float
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
            f"Home {home.resolve()} cannot be written to ({error.strerror}); choose another with --home or HEADRACE_HOME."
        ) from error
    started, observer = time.monotonic(), _Observer(screen)
    failure: Exception | None = None
    with hold(runs / "lock", named.name), screen.redirected(log), screen.stages():
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
        seconds = self._screen.end(state)
        self.results.append(StageResult(self.stage, state, seconds, outputs or {}))
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
        return [
            f"Published in {took}: {_relative(published_folder(result))}",
            *_metric_lines(result),
            *_query_lines(result),
            "Next:",
            f"  headrace predict {result.pipeline} FILE.png   ask the model about an image",
            "  headrace board                       the curves in TensorBoard",
        ]
    lines = str(result.error).splitlines() or [type(result.error).__name__]
    if not isinstance(result.error, HeadraceError):
        lines = [f"Stage {result.stages[-1].name} failed: {type(result.error).__name__}: {lines[0][:300]}"]
    stopped = f"Stopped after {took}, nothing was published."
    return [*lines[:9], *_metric_lines(result), stopped, f"Log: {_relative(result.log)}"][:12]


def published_folder(result: RunResult) -> Path | None:
    """Returns the folder of the version that a run published; None when it published none."""
    from components.publisher import read_manifest, versions

    model = result.output("train", "model")
    destination = result.log.parents[3] / "serving" / result.pipeline
    found = versions(destination)
    return destination / str(found[-1]) if model and found and read_manifest(destination / str(found[-1])) else None


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


def _query_lines(result: RunResult) -> list[str]:
    folder = result.output("serving_check", "blessing")
    answer = folder / "answer.txt" if folder else None
    return [f"  asked about the first test example: {answer.read_text()}"] if answer and answer.exists() else []


def _relative(path: Path | None) -> str:
    if path is None:
        return "unknown"
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def as_json(result: RunResult) -> dict[str, Any]:
    """Returns a run's result as JSON values."""
    published = published_folder(result) if result.error is None else None
    return {
        "run": result.run,
        "pipeline": result.pipeline,
        "exit_code": result.exit_code,
        "seconds": round(result.seconds, 1),
        "stages": [{"name": s.name, "state": s.state, "seconds": round(s.seconds, 1)} for s in result.stages],
        "metrics": metrics(result),
        "published": str(published) if published else None,
        "error": str(result.error) if result.error else None,
        "log": str(result.log),
    }
