"""Writes to disk beside the requests: no request, and no event loop, waits for a disk."""

import logging
import queue
import threading
from collections.abc import Callable

MOST = 10_000  # writes that may wait
MOST_BYTES = 64 * 2**20  # and what they hold

logger = logging.getLogger(__name__)

Write = Callable[[], None]


class BackgroundWriter:
    """Runs writes one after another in a thread of its own; what comes while too much waits is dropped.

    Args:
        what: What is written, for the log.
    """

    def __init__(self, what: str):
        self._what = what
        self._waiting: queue.Queue[tuple[int, Write]] = queue.Queue(MOST)
        self._bytes, self._lock = 0, threading.Lock()
        self._has_warned = False
        threading.Thread(target=self._run, name=what, daemon=True).start()

    def submit(self, size: int, write: Write) -> None:
        """Has `write` run soon, and returns at once.

        Args:
            size: Bytes that it holds in memory meanwhile.
            write: May raise OSError, ValueError or TypeError, which is logged once.
        """
        with self._lock:
            is_full = self._bytes + size > MOST_BYTES and self._bytes > 0
            self._bytes += 0 if is_full else size
        if is_full:
            return self._warn("too much waits for the disk")
        try:
            self._waiting.put_nowait((size, write))
        except queue.Full:
            self._done(size)
            self._warn("too much waits for the disk")

    def flush(self) -> None:
        """Waits until all that was submitted has been written."""
        self._waiting.join()

    def _run(self) -> None:
        while True:
            size, write = self._waiting.get()
            try:
                write()
            except (OSError, ValueError, TypeError) as error:
                self._warn(str(error))
            except Exception:
                logger.exception("in the thread that writes %s", self._what)
            finally:
                self._done(size)
                self._waiting.task_done()

    def _done(self, size: int) -> None:
        with self._lock:
            self._bytes -= size

    def _warn(self, why: str) -> None:
        if not self._has_warned:  # once: a full disk would fill the log
            self._has_warned = True
            logger.warning("%s are not written (%s)", self._what, why)
