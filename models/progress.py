"""What a step tells about itself while it runs; whoever shows it to a person listens."""

from collections.abc import Callable
from typing import Any

Listener = Callable[[dict[str, Any]], None]

_listeners: list[Listener] = []


def report(**values: Any) -> None:
    """Tells every listener how far the running step is, such as `epoch=2, epochs=5, loss=0.31`."""
    for listener in list(_listeners):
        listener(values)


def listen(listener: Listener) -> Callable[[], None]:
    """Adds a listener; returns the function that removes it."""
    _listeners.append(listener)
    return lambda: _listeners.remove(listener)
