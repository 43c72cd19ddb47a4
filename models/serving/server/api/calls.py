"""Shared by both APIs: runs calls on the event loop or in a thread, limits their number, writes the access log."""

import asyncio
import functools
import json
import logging
import sys
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import IO, TypeVar

from models.serving.protocol.statuses import Code, ServingStatus
from models.serving.server.background import BackgroundWriter
from models.serving.server.inference import Engine

logger = logging.getLogger(__name__)

# A quick call is run on the loop: handing it to a thread and back takes longer.
QUICK_BYTES = 1 << 16
# On shutdown the server waits until no call has arrived for SETTLED_SECONDS, at most SETTLING_SECONDS.
SETTLED_SECONDS, SETTLING_SECONDS = 0.05, 0.5

Response = TypeVar("Response")


def _with_identifier(identifier: str, work: Callable[[], Response]) -> Response:
    """Runs a call while the sampler can read its identifier."""
    from models.serving.server.sampling import request_id

    token = request_id.set(identifier)
    try:
        return work()
    finally:
        request_id.reset(token)


def new_identifier() -> str:
    """Returns an identifier for a call whose client gave none."""
    return uuid.uuid4().hex[:16]


class AccessLog:
    """Writes one JSON line a request: model, version, status and duration, never the contents.

    Args:
        target: File to append to; `-`: standard error; empty: no log.
    """

    def __init__(self, target: str):
        self._file: IO[str] | None = None
        self.on = bool(target)
        if target:
            self._file = sys.stderr if target == "-" else open(target, "a", buffering=1, encoding="utf-8")  # noqa: SIM115
            self._writer = BackgroundWriter("lines of the access log")

    def flush(self) -> None:
        """Waits until all lines so far are written."""
        if self._file is not None:
            self._writer.flush()

    def write(self, call: "Call", status: str, size: int, seconds: float) -> None:
        """Writes the line of one call; `size` is the bytes of the request."""
        file = self._file
        if file is None:
            return
        line = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "id": call.request_id,
            "entrypoint": call.entrypoint,
            "api": call.api,
            "model": call.model,
            "version": call.version,
            "status": status,
            "bytes": size,
            "ms": round(seconds * 1000, 3),
        }
        text = json.dumps(line) + "\n"
        self._writer.submit(len(text), lambda: file.write(text))


@dataclass
class Call:
    """One request that is being answered.

    Attributes:
        api: `Predict`, `Classify` and so on.
        entrypoint: `GRPC` or `REST`.
        model: The model's name, once it is known.
        version: The version that answered; None before, or if none did.
        request_id: The client's identifier, or a new one; empty if nothing records it.
        counted: Whether the metrics count it, as TF Serving counts Predict, Classify, Regress and all of REST.
        slow: Whether it never runs on the event loop, since it may block or take long whatever its size.
    """

    api: str
    entrypoint: str
    model: str = ""
    version: int | None = None
    request_id: str = ""
    counted: bool = True
    slow: bool = False


@dataclass
class Caller:
    """Runs calls: on the event loop if they are quick, else in a thread.

    Attributes:
        engine: Answers the calls.
        threads: For calls that are not quick.
        access_log: Gets one line a call.
        blocking: Whether every call may block, as with batching.
        max_concurrency: Maximum number of concurrent calls; 0: no limit.
        running: Number of calls that are running.
        begun: Number of calls so far.
    """

    engine: Engine
    threads: ThreadPoolExecutor
    access_log: AccessLog
    blocking: bool = False
    max_concurrency: int = 0
    running: int = field(default=0)
    begun: int = field(default=0)
    _released: asyncio.Event | None = field(default=None)

    @property
    def is_ending(self) -> bool:
        """Whether the server is about to stop."""
        return self._released is not None

    @property
    def identifies(self) -> bool:
        """Whether the identifier of a call is recorded, by the access log or the sampler."""
        return self.access_log.on or self.engine.sampler is not None

    async def run(self, call: Call, size: int, work: Callable[[], Response]) -> Response:
        """Returns what `work` returns.

        Raises:
            ServingStatus: As `work` raised it; INTERNAL, without the text of the exception, for any other exception.
        """
        begin, status = time.perf_counter(), "OK"
        self.running += 1
        self.begun += 1
        try:
            if self.max_concurrency and self.running > self.max_concurrency:
                raise ServingStatus(
                    Code.RESOURCE_EXHAUSTED, f"More than {self.max_concurrency} requests at a time (--max_concurrency)."
                )
            if self.engine.sampler is not None:  # labels are joined with their rows by it
                work = functools.partial(_with_identifier, call.request_id, work)
            if self._quick(call, size):
                return work()
            return await asyncio.get_running_loop().run_in_executor(self.threads, work)
        except ServingStatus as error:
            status = error.code.name
            raise
        except asyncio.CancelledError:  # the client went away, or its deadline passed
            status = Code.CANCELLED.name
            raise
        except Exception:
            logger.exception("error in a call of %s", call.api)
            status = Code.INTERNAL.name
            raise ServingStatus(Code.INTERNAL, "Internal error of the server; its log says more.") from None
        finally:
            self.running -= 1
            seconds = time.perf_counter() - begin
            if call.counted:
                self.engine.metrics.answered(call.model, call.api, call.entrypoint, status, seconds)
            self.access_log.write(call, status, size, seconds)
            if self._released is not None and status != Code.CANCELLED.name:
                await self._released.wait()

    async def hold_responses(self, seconds: float) -> None:
        """Holds responses back from now on, and returns once no call has arrived for a moment.

        Closing a port loses the calls that have arrived but were not accepted yet. Clients that wait for a response
        send no further ones.

        Args:
            seconds: Maximum wait.
        """
        self._released = asyncio.Event()
        deadline, last_begun = time.monotonic() + min(seconds, SETTLING_SECONDS), -1
        while self.begun != last_begun and time.monotonic() < deadline:
            last_begun = self.begun
            await asyncio.sleep(SETTLED_SECONDS)

    def release_responses(self) -> None:
        """Sends the responses that were held back."""
        if self._released is not None:
            self._released.set()

    def _quick(self, call: Call, size: int) -> bool:
        if self.blocking or call.slow or size > QUICK_BYTES:
            return False
        return self.engine.manager.is_quick(call.model)
