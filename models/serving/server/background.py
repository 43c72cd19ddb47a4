"""Writes files in a background thread, so that neither a request nor the event loop waits for the disk."""

import logging
import queue
import threading
from collections.abc import Callable

MAX_WRITES = 10_000  # in the queue
MAX_BYTES = 64 * 2**20  # held by the writes in the queue

logger = logging.getLogger(__name__)

Write = Callable[[], None]


class BackgroundWriter:
    """Runs writes one after another in its own thread; writes that come while the queue is full are dropped.

    Args:
        what: Name of what is written, for the log.
    """

    def __init__(self, what: str):
        self._what = what
        self._queue: queue.Queue[tuple[int, Write]] = queue.Queue(MAX_WRITES)
        self._bytes, self._lock = 0, threading.Lock()
        self._has_warned = False
        threading.Thread(target=self._run, name=what, daemon=True).start()

    def submit(self, size: int, write: Write) -> None:
        """Queues a write and returns at once.

        Args:
            size: Bytes that it holds in memory until it has run.
            write: Writes to disk. Its OSError, ValueError or TypeError is logged, once for this writer.
        """
        with self._lock:
            is_full = self._bytes + size > MAX_BYTES and self._bytes > 0
            self._bytes += 0 if is_full else size
        if is_full:
            return self._warn("the disk is too slow: the queue is full")
        try:
            self._queue.put_nowait((size, write))
        except queue.Full:
            self._done(size)
            self._warn("the disk is too slow: the queue is full")

    def flush(self) -> None:
        """Waits until all submitted writes have run."""
        self._queue.join()

    def _run(self) -> None:
        while True:
            size, write = self._queue.get()
            try:
                write()
            except (OSError, ValueError, TypeError) as error:
                self._warn(str(error))
            except Exception:
                logger.exception("error in the thread that writes %s", self._what)
            finally:
                self._done(size)
                self._queue.task_done()

    def _done(self, size: int) -> None:
        with self._lock:
            self._bytes -= size

    def _warn(self, why: str) -> None:
        if not self._has_warned:  # once: a full disk would fill the log
            self._has_warned = True
            logger.warning("%s are not written (%s)", self._what, why)
