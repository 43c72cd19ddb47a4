"""Says on standard error how far the reading is: a line that passes on a terminal, else a line now and then."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import ParamSpec, TypeVar

import click

from pipeline.core.screen import EVERY_SECONDS, repeating

P = ParamSpec("P")
R = TypeVar("R")
TERMINAL_SECONDS = 0.5  # between two looks of the line that passes


class Progress:
    """What is being read, and for how long."""

    def __init__(self) -> None:
        self._is_terminal = sys.stderr.isatty()
        self._text, self._started, self._has_said = "", 0.0, False
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def shown(self) -> Iterator[None]:
        """Within this block what is being read is shown."""

        def show() -> None:
            with self._lock:
                self._show()

        try:
            with repeating(show, TERMINAL_SECONDS if self._is_terminal else EVERY_SECONDS):
                yield
        finally:
            self.pause()

    def begin(self, text: str, *, at_once: bool = False) -> None:
        """Takes up what is being read from here on; shown as soon as it lasts, or at once."""
        with self._lock:
            self._text, self._started = text, time.monotonic()
            if at_once:
                self._show()

    def update(self, text: str) -> None:
        """Takes up how far it is; the first time it is shown at once."""
        with self._lock:
            self._text = text
            if not self._has_said:
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
        line = f"{self._text}, {seconds:.0f} s" if seconds >= 1 else self._text
        click.echo(f"\r\x1b[K{line}" if self._is_terminal else line, nl=not self._is_terminal, err=True)
        self._has_said = True
