"""Progress of the running stage: listeners receive what it reports."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

SHOWN_SECONDS = 2.0  # of reading before the pace is shown
MINUTES_SECONDS = 120.0  # above which the time left is shown in minutes
Listener = Callable[[dict[str, Any]], None]

_listeners: list[Listener] = []


def report(**values: Any) -> None:
    """Sends the progress of the running stage to every listener, such as `epoch=2, epochs=5, loss=0.31`.

    `rows` is the number of rows read, `of` that of all, `share` the share of the data read. `summary` is the result in
    one line, `short` a shorter one for terminals.
    """
    for listener in list(_listeners):
        listener(values)


def pace(values: Mapping[str, Any], seconds: float) -> str:
    """Returns rows per second and the time left, such as `120,000 rows/s, 4 s left`.

    Args:
        values: The reported values.
        seconds: Time since the first row; the result is empty before SHOWN_SECONDS.
    """
    rows = values.get("rows", 0)
    if not rows or seconds < SHOWN_SECONDS:
        return ""
    share = rows / values["of"] if values.get("of") else values.get("share", 0.0)
    left = seconds * (1 / share - 1) if 0 < share < 1 else 0.0
    time_left = f"{left / 60:,.0f} min left" if left > MINUTES_SECONDS else f"{left:.0f} s left"
    return f"{rows / seconds:,.0f} rows/s" + (f", {time_left}" if left else "")


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Calls `listener` with each report within the block."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
