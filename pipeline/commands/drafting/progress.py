"""Shows on standard error how many rows were read: a line that is rewritten on a terminal, else a line now and then."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ParamSpec, TypeVar

import click

from models.progress import SHOWN_SECONDS, listening, pace
from pipeline.core.screen import EVERY_SECONDS, repeating

P = ParamSpec("P")
R = TypeVar("R")
MANY_ROWS = 10_000  # from this number on, rows are shown as soon as reading takes SHOWN_SECONDS
TERMINAL_SECONDS = 0.5  # between two updates on a terminal


class Progress:
    """Shows the current step of reading, its rows and its duration."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._text, self._started, self._has_printed = "", 0.0, False
        self._values: Mapping[str, Any] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Within this block the current step is shown, with the values that `models.progress.report` gives."""

        def show() -> None:
            with self._lock:
                self._show()

        try:
            every = TERMINAL_SECONDS if self._is_terminal else EVERY_SECONDS
            with listening(self.update), repeating(show, every):
                yield
        finally:
            self.pause()

    def begin(self, text: str, *, at_once: bool = False) -> None:
        """Begins a step.

        Args:
            text: What is being read.
            at_once: Whether to show the step at once; else after a while.
        """
        with self._lock:
            self._text, self._started, self._values, self._has_printed = text, time.monotonic(), {}, False
            if at_once:
                self._show()

    def update(self, values: Mapping[str, Any]) -> None:
        """Stores the progress of the step, such as `rows` and `share`; shows it early if there are many rows."""
        with self._lock:
            self._values = values
            lasts = time.monotonic() - self._started >= SHOWN_SECONDS
            if lasts and not self._has_printed and values.get("rows", 0) >= MANY_ROWS:
                self._show()

    def pause(self) -> None:
        """Shows nothing until the next step begins."""
        with self._lock:
            if self._text and self._is_terminal:
                click.echo("\r\x1b[K", nl=False, err=True)
            self._text = ""

    def pausing(self, ask: Callable[P, R]) -> Callable[P, R]:
        """Returns a function that pauses the display and then calls `ask`, which asks a person a question."""

        def ask_paused(*args: P.args, **kwargs: P.kwargs) -> R:
            self.pause()
            return ask(*args, **kwargs)

        return ask_paused

    def _show(self) -> None:
        if not self._text:
            return
        seconds = time.monotonic() - self._started
        rows = self._values.get("rows")
        line = f"{self._text}: {rows:,} rows" if rows else self._text
        parts = [line, f"{seconds:.0f} s" if seconds >= 1 else "", pace(self._values, seconds)]
        line = ", ".join(filter(None, parts))
        click.echo(f"\r\x1b[K{line}" if self._is_terminal else line, nl=not self._is_terminal, err=True)
        self._has_printed = True
