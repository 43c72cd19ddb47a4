"""What a step tells about itself while it runs; whoever shows it to a person listens."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

Listener = Callable[[dict[str, Any]], None]

_listeners: list[Listener] = []


def report(**values: Any) -> None:
    """Tells every listener how far the running step is, such as `epoch=2, epochs=5, loss=0.31`.

    `summary` says what it came to, in a line; `short` the same in fewer words, where a terminal is shown less.
    """
    for listener in list(_listeners):
        listener(values)


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within this block `listener` is told what is reported."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
