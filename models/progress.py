"""What a step tells about itself while it runs; whoever shows it to a person listens."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

SHOWN_SECONDS = 2.0  # from which on it is said how fast rows are read
MINUTES_SECONDS = 120.0  # above which minutes are said
Listener = Callable[[dict[str, Any]], None]

_listeners: list[Listener] = []


def report(**values: Any) -> None:
    """Tells every listener how far the running step is, such as `epoch=2, epochs=5, loss=0.31`.

    `rows` are those that were read, of `of` in all, or `share` of all data. `summary` says what it came to, in a line;
    `short` the same in fewer words, where a terminal is shown less.
    """
    for listener in list(_listeners):
        listener(values)


def pace(values: Mapping[str, Any], seconds: float) -> str:
    """Returns how fast rows are read and for how long still, such as `120,000 rows/s, 4 s left`.

    Args:
        values: What was reported.
        seconds: Since the first row; before the first two it is empty.
    """
    rows = values.get("rows", 0)
    if not rows or seconds < SHOWN_SECONDS:
        return ""
    share = rows / values["of"] if values.get("of") else values.get("share", 0.0)
    left = seconds * (1 / share - 1) if 0 < share < 1 else 0.0
    words = f"{left / 60:,.0f} min left" if left > MINUTES_SECONDS else f"{left:.0f} s left"
    return f"{rows / seconds:,.0f} rows/s" + (f", {words}" if left else "")


@contextlib.contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Within this block `listener` is told what is reported."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)
