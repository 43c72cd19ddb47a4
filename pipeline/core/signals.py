"""SIGTERM and SIGINT as an exception in the main thread, and an end for work that does not come back from C."""

import contextlib
import signal
import socket
import threading
from collections.abc import Callable, Iterator

# A stage that does not come back to Python in this time is given up.
GRACE_SECONDS = 8.0


class Stopped(BaseException):
    """A signal asked the run to stop; not an Exception, so that no library takes it for a failure of its own."""

    def __init__(self, number: int):
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextlib.contextmanager
def stop_on_signals(give_up: Callable[[int], None]) -> Iterator[None]:
    """Within this block SIGTERM and SIGINT raise Stopped in the main thread.

    Args:
        give_up: Called with the signal's number from another thread when the block has not ended GRACE_SECONDS after
            the signal; it must end the process.
    """
    ended, asked = threading.Event(), False
    receiver, sender = socket.socketpair()
    sender.setblocking(False)

    def stop(number, frame):
        nonlocal asked
        if not asked:  # asked for a second time, it is stopping already
            asked = True
            raise Stopped(number)

    def watch() -> None:
        """Python handles a signal when its main thread comes back from C; the wakeup socket tells at once."""
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
        sender.close()  # the watcher reads the end and returns
        watcher.join()
        receiver.close()
