"""Reports progress and result of each stage on the screen, in the log and in the run's record."""

import logging
from collections.abc import Callable
from typing import Any

from data.secrets import hide
from pipeline.core.files import refused_write
from pipeline.core.paths import PipelinePaths
from pipeline.core.screen import Screen, describe
from pipeline.core.signals import Stopped
from pipeline.history import execution_records
from pipeline.history.journal import Journal
from pipeline.history.states import RUNNING
from pipeline.running.result import relative

logger = logging.getLogger(__name__)


class Observer:
    """Observes the stages of a run.

    Attributes:
        screen: Shows the stages on the terminal.
        journal: Writes the run's record.
        error: The exception that a stage raised; None while there is none.
        gate_outputs: Output name -> folder with a copy of the output of a gate that stopped the run.
    """

    def __init__(self, screen: Screen, paths: PipelinePaths, journal: Journal):
        self.screen, self.journal = screen, journal
        self.error: BaseException | None = None
        self.gate_outputs: dict[str, str] = {}
        self._detail = ""
        self._paths = paths

    @property
    def stage(self) -> str:
        """Name of the running stage; empty if none is running."""
        stages = self.journal.record.stages
        return stages[-1].name if stages and stages[-1].state == RUNNING else ""

    def begin(self, stage: str) -> None:
        """Reports that a stage has begun."""
        logger.info("stage %s begins", stage)  # `headrace logs RUN STAGE` cuts the log at these lines
        self._detail = ""
        self.screen.begin(stage)
        self.journal.begin(stage)

    def update(self, values: dict[str, Any]) -> None:
        """Reports the progress of the running stage; see `models.progress.report`."""
        self.screen.update(values)
        if self.stage:
            self._detail = hide(describe(values))
            self.journal.update(self._detail)

    def end(self, state: str, outputs: dict[str, str] | None = None) -> None:
        """Reports that the running stage has ended.

        Args:
            state: `done`, `cached`, `failed` or `stopped`.
            outputs: Output name -> folder of its artifact.
        """
        seconds, detail = self.screen.end(state)
        detail = self._detail if state == "done" else detail  # the screen's may be shorter
        logger.info("stage %s says: %s", self.stage, self._detail or "nothing")
        logger.info("stage %s ends: %s", self.stage, state)
        self.journal.end(state, seconds, detail, outputs or self.gate_outputs)

    def observe(self, stage: str, launch: Callable[[], tuple[bool, dict[str, str]]]) -> None:
        """Runs a stage and reports it; `launch` returns whether it was cached, and output name -> folder.

        Raises what `launch` raises, and keeps it as `error`.
        """
        self.begin(stage)
        try:
            cached, outputs = launch()
        except (Exception, Stopped) as error:
            # Kept here, since Beam raises a copy with text added to the message.
            self.error = refused_write(error, stage) or error
            raise
        execution_records.write(self._paths)
        self.end("cached" if cached else "done", outputs)

    def report(self) -> None:
        """Writes the run's page and its TensorBoard events; an error is logged and does not change the run's result."""
        from pipeline import reporting

        self.screen.begin("report")
        try:
            page = reporting.write(self._paths, self.journal)
            self.screen.update({"summary": relative(page)})
            self.screen.end("done")
        except Exception:
            logger.exception("the report was not written")
            self.screen.end("failed")
