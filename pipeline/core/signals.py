"""Raises SIGTERM and SIGINT as an exception in the main thread; ends the process if C code does not return."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

# The process is ended if the block has not ended this long after the signal.
GRACE_SECONDS = 8.0


class Stopped(BaseException):
    """A signal requested the end of the run; not an Exception, so that no library handles it as its own failure."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stop_on_signals(give_up: Callable[[int], None]) -> Iterator[None]:
    """Makes SIGTERM and SIGINT raise Stopped in the main thread within the block.

    Args:
        give_up: Called with the signal's number from another thread when the block has not ended GRACE_SECONDS after
            the signal; it must end the process.
    """
    ended, is_stopping = threading.Event(), False
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def stop(number, frame):
        nonlocal is_stopping
        if not is_stopping:  # a second signal changes nothing
            is_stopping = True
            raise Stopped(number)

    def watch() -> None:
        """Waits for a signal on the wakeup socket: the handler runs only after the main thread returns from C."""
        number = receiver.recv(1)
        if number and not ended.wait(GRACE_SECONDS):
            give_up(number[0])

    previous = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    previous_fd = signal.set_wakeup_fd(sender.fileno(), warn_on_full_buffer=False)
    watcher = threading.Thread(target=watch, name="signals", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        signal.set_wakeup_fd(previous_fd)
        for number, handler in previous.items():
            signal.signal(number, handler)
        sender.close()  # the watcher reads EOF and returns
        watcher.join()
        receiver.close()
