"""Progress display of a run: live on a terminal, a line for each stage in a pipe; other output goes to the log."""

import contextlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from data.secrets import hide
from data.texts import significant
from models.progress import pace
from pipeline.core.colors import BUSY, STATE_COLORS, has_color, is_live

NAME_WIDTH = 14
EVERY_SECONDS = 30.0  # between two progress lines of a stage, without a terminal


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Stops printing: rich would end the process, and with it the run, when a reader such as `head` exits."""
        self.quiet = True


class Screen:
    """Shows the stages of a run.

    Attributes:
        console: Console on the standard output with which the command was started, also while output is redirected.
        stage: Name of the running stage; empty between stages.
    """

    def __init__(self, quiet: bool = False):
        sys.stdout.flush()
        # TensorFlow writes to the file descriptors, so this is a copy that redirection does not affect.
        file = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
        self.console = _Console(
            file=file,
            highlight=False,
            soft_wrap=True,
            quiet=quiet,
            force_terminal=is_live(file),
            color_system="standard" if has_color(file) else None,
        )
        self.stage, self._started, self._detail = "", 0.0, ""
        self._values: dict[str, Any] = {}

    @contextlib.contextmanager
    def stages(self) -> Iterator[None]:
        """Shows the running stage within the block: live on a terminal, otherwise by a line every EVERY_SECONDS."""
        if not self.console.is_terminal or self.console.quiet:
            with self._progress_lines():
                yield
            return
        live = Live(
            get_renderable=self._running,
            console=self.console,
            refresh_per_second=8,
            transient=True,
            # Live would show all other output, which belongs in the log.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            yield

    @contextlib.contextmanager
    def _progress_lines(self) -> Iterator[None]:
        """Prints progress lines of long stages within the block."""

        def print_progress() -> None:
            if self.stage and time.monotonic() - self._started >= EVERY_SECONDS:
                self.say(self._running())

        with repeating(print_progress, EVERY_SECONDS):
            yield

    def begin(self, stage: str) -> None:
        """Shows the start of a stage."""
        self.stage, self._started, self._detail, self._values = stage, time.monotonic(), "", {}

    def update(self, values: dict[str, Any]) -> None:
        """Shows the progress of the running stage; see `models.progress.report`."""
        self._values, self._detail = values, hide(values.get("short") or describe(values))

    def end(self, state: str) -> tuple[float, str]:
        """Prints the line of the ended stage; returns its seconds and its last progress.

        Args:
            state: `done`, `cached`, `failed` or `stopped`.
        """
        seconds = time.monotonic() - self._started
        detail = self._detail if state == "done" else state
        mark = "✗" if state in ("failed", "stopped") else "✓"
        line = Text.assemble((mark, STATE_COLORS[state]), f" {self.stage:<{NAME_WIDTH}}{seconds:7.1f} s  {detail}")
        self.stage = ""
        self.say(line)
        return seconds, detail

    def say(self, line: str | Text, color: str = "") -> None:
        """Prints a line; a text in a color of `pipeline.core.colors`."""
        # Without markup: a file `d:label:` must not become an emoji, nor `[red]` a color.
        self.console.print(Text(hide(line), color) if isinstance(line, str) else line, markup=False, emoji=False)

    def _running(self) -> Text:
        if not self.stage:
            return Text("")
        seconds = time.monotonic() - self._started
        spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(seconds * 8) % 10] if self.console.is_terminal else "…"
        detail = ", ".join(filter(None, (self._detail, pace(self._values, seconds))))
        return Text.assemble((spinner, BUSY), f" {self.stage:<{NAME_WIDTH}}{seconds:7.1f} s  {detail}")


@contextlib.contextmanager
def repeating(action: Callable[[], None], seconds: float) -> Iterator[None]:
    """Calls `action` every `seconds` in a thread within the block."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(seconds):
            action()

    thread = threading.Thread(target=run, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def redirected(log: Path) -> Iterator[None]:
    """Redirects the file descriptors of standard output and error to the file `log` within the block."""
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as file:
        try:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            for target, descriptor in zip((1, 2), saved, strict=True):
                os.dup2(descriptor, target)
                os.close(descriptor)


def describe(values: dict[str, Any]) -> str:
    """Returns the progress values of a step in a few words, such as `epoch 2/5, loss 0.3100`."""
    if "summary" in values:
        return values["summary"]
    words = []
    for total, part in (("epochs", "epoch"), ("steps", "step"), ("of", "rows")):
        if part in values and total in values:
            words.append(f"{part} {values[part]:,}/{values[total]:,}")
    skipped = {"epoch", "epochs", "step", "steps", "of", "share", "done"} | ({"rows"} if "of" in values else set())
    for name, value in values.items():
        if name not in skipped:
            words.append(f"{name} {_number(value)}")
    return ", ".join(words)


def _number(value: Any) -> str:
    """Returns a number as text: integers above 1 without decimals, others with significant digits."""
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value > 1 and value.is_integer() else significant(value)
