"""Says on standard error how far the reading is: a line that passes on a terminal, else a line now and then."""

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
MANY_ROWS = 10_000  # from which on it is said without a terminal how many were read
TERMINAL_SECONDS = 0.5  # between two looks of the line that passes


class Progress:
    """What is being read, and for how long."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._text, self._started, self._has_said = "", 0.0, False
        self._values: Mapping[str, Any] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Within this block what is being read is shown, with what `models.progress.report` says of it."""

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
        """Takes up what is being read from here on; shown as soon as it lasts, or at once."""
        with self._lock:
            self._text, self._started, self._values, self._has_said = text, time.monotonic(), {}, False
            if at_once:
                self._show()

    def update(self, values: Mapping[str, Any]) -> None:
        """Takes up how far it is; of many rows it is shown as soon as it lasts."""
        with self._lock:
            self._values = values
            lasts = time.monotonic() - self._started >= SHOWN_SECONDS
            if lasts and not self._has_said and values.get("rows", 0) >= MANY_ROWS:
                self._show()

    def pause(self) -> None:
        """Shows nothing until something else begins, as while a person is asked."""
        with self._lock:
            if self._text and self._is_terminal:
                click.echo("\r\x1b[K", nl=False, err=True)
            self._text = ""

    def pausing(self, ask: Callable[P, R]) -> Callable[P, R]:
        """Returns a function that asks a person, as one before which nothing is shown any more."""

        def asks(*args: P.args, **kwargs: P.kwargs) -> R:
            self.pause()
            return ask(*args, **kwargs)

        return asks

    def _show(self) -> None:
        if not self._text:
            return
        seconds = time.monotonic() - self._started
        rows = self._values.get("rows")
        line = f"{self._text}: {rows:,} rows" if rows else self._text
        words = [line, f"{seconds:.0f} s" if seconds >= 1 else "", pace(self._values, seconds)]
        line = ", ".join(filter(None, words))
        click.echo(f"\r\x1b[K{line}" if self._is_terminal else line, nl=not self._is_terminal, err=True)
        self._has_said = True
