"""What a person sees of a run: live on a terminal, one line a stage in a pipe; everything else goes to the log."""

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

NAME_WIDTH = 14
EVERY_SECONDS = 30.0  # between two lines of a stage that goes on, where there is no terminal


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Goes on unseen: rich would end the process, and with it the run, when a reader such as `head` goes away."""
        self.quiet = True


class Screen:
    """Shows the stages of a run.

    Attributes:
        console: Writes to the terminal or pipe that the command was started with, also while output is redirected.
        stage: The stage that is running; empty between two.
    """

    def __init__(self, quiet: bool = False):
        sys.stdout.flush()
        # TensorFlow writes to the file descriptors themselves, so ours is a copy that redirecting leaves alone.
        file = os.fdopen(os.dup(1), "w", encoding=sys.stdout.encoding, errors=sys.stdout.errors)
        self.console = _Console(file=file, highlight=False, soft_wrap=True, quiet=quiet)
        self.stage, self._started, self._detail = "", 0.0, ""
        self._values: dict[str, Any] = {}

    @contextlib.contextmanager
    def stages(self) -> Iterator[None]:
        """Within this block the running stage is shown: live where there is a terminal, else by a line now and then."""
        if not self.console.is_terminal or self.console.quiet:
            with self._telling():
                yield
            return
        live = Live(
            get_renderable=self._running,
            console=self.console,
            refresh_per_second=8,
            transient=True,
            # Live would otherwise catch what anything prints and show it: that belongs in the log.
            redirect_stdout=False,
            redirect_stderr=False,
        )
        with live:
            yield

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Within this block a line says every so often how far a long stage is."""

        def tell() -> None:
            if self.stage and time.monotonic() - self._started >= EVERY_SECONDS:
                self.say(self._running())

        with repeating(tell, EVERY_SECONDS):
            yield

    def begin(self, stage: str) -> None:
        """Shows that a stage has begun."""
        self.stage, self._started, self._detail, self._values = stage, time.monotonic(), "", {}

    def update(self, values: dict[str, Any]) -> None:
        """Shows how far the running stage is; see `models.progress.report`."""
        self._values, self._detail = values, hide(values.get("short") or describe(values))

    def end(self, state: str) -> tuple[float, str]:
        """Prints the finished stage's line; returns its seconds and what was said of it.

        Args:
            state: `done`, `cached`, `failed` or `stopped`.
        """
        seconds = time.monotonic() - self._started
        detail = self._detail if state == "done" else state
        style = {"done": "green", "cached": "dim", "failed": "red", "stopped": "yellow"}[state]
        mark = "✗" if state in ("failed", "stopped") else "✓"
        line = Text.assemble((mark, style), f" {self.stage:<{NAME_WIDTH}}{seconds:7.1f} s  {detail}")
        self.stage = ""
        self.say(line)
        return seconds, detail

    def say(self, line: str | Text) -> None:
        """Prints a line."""
        # As it is: a file called `d:label:` is no picture, and `[red]` no colour.
        self.console.print(hide(line) if isinstance(line, str) else line, markup=False, emoji=False)

    def _running(self) -> Text:
        if not self.stage:
            return Text("")
        seconds = time.monotonic() - self._started
        spinner = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"[int(seconds * 8) % 10] if self.console.is_terminal else "…"
        detail = ", ".join(filter(None, (self._detail, pace(self._values, seconds))))
        return Text.assemble((spinner, "cyan"), f" {self.stage:<{NAME_WIDTH}}{seconds:7.1f} s  {detail}")


@contextlib.contextmanager
def repeating(act: Callable[[], None], seconds: float) -> Iterator[None]:
    """Within this block a thread of its own acts every so many seconds."""
    ended = threading.Event()

    def go_on() -> None:
        while not ended.wait(seconds):
            act()

    thread = threading.Thread(target=go_on, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@contextlib.contextmanager
def redirected(log: Path) -> Iterator[None]:
    """Sends what anything writes to standard output and error to the file `log`."""
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
    """Returns what a step reported as a few words, such as `epoch 2/5, loss 0.3100`."""
    if "summary" in values:
        return values["summary"]
    words = []
    for whole, part in (("epochs", "epoch"), ("steps", "step"), ("of", "rows")):
        if part in values and whole in values:
            words.append(f"{part} {values[part]:,}/{values[whole]:,}")
    skipped = {"epoch", "epochs", "step", "steps", "of", "share", "done"} | ({"rows"} if "of" in values else set())
    for name, value in values.items():
        if name not in skipped:
            words.append(f"{name} {_number(value)}")
    return ", ".join(words)


def _number(value: Any) -> str:
    """Returns a number as a person reads it: whole ones above 1 without decimals, others with four."""
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if value > 1 and value.is_integer() else significant(value)
