"""What both APIs share: where a call runs, how many may, and the line that the access log gets."""

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
# At the end no call has come for so long, or so long was waited for that.
SETTLED_SECONDS, SETTLING_SECONDS = 0.05, 0.5

Answer = TypeVar("Answer")


def _with_identifier(identifier: str, work: Callable[[], Answer]) -> Answer:
    """Runs a call with the client's identifier of it known to the sampler."""
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
    """A JSON line a request: who was asked, what came of it, how long it took; never what was sent.

    Args:
        target: File that is added to, `-` for standard error, empty for none.
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
        """Writes the line of one call; `size` is the request's in bytes."""
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
    """One request on its way.

    Attributes:
        api: `Predict`, `Classify` and so on.
        entrypoint: `GRPC` or `REST`.
        model: The model's name, once it is known.
        version: The version that answered; None where none did.
        request_id: The client's, or ours; empty where nobody writes it down.
        counted: Whether the metrics count it, as TF Serving counts Predict, Classify, Regress and all of REST.
        slow: Whether it is never run on the loop: it may wait, or be long whatever its size.
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
    """Runs calls; on the loop when they are quick, else in a thread.

    Attributes:
        engine: Answers.
        threads: For calls that are not quick.
        access_log: Gets a line each.
        blocking: Whether every call may block, as with batching.
        max_concurrency: Most calls at a time; 0: no limit.
        running: How many there are.
        begun: How many there were.
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
        """Whether the server takes no more calls soon."""
        return self._released is not None

    @property
    def identifies(self) -> bool:
        """Whether somebody writes a call's identifier down: the access log or the sampler."""
        return self.access_log.on or self.engine.sampler is not None

    async def run(self, call: Call, size: int, work: Callable[[], Answer]) -> Answer:
        """Returns what `work` returns.

        Raises:
            ServingStatus: What it raises; INTERNAL, without its text, for anything else.
        """
        begin, status = time.perf_counter(), "OK"
        self.running += 1
        self.begun += 1
        try:
            if self.max_concurrency and self.running > self.max_concurrency:
                raise ServingStatus(
                    Code.RESOURCE_EXHAUSTED, f"More than {self.max_concurrency} requests at a time (--max_concurrency)."
                )
            if self.engine.sampler is not None:  # labels find their rows by it
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
            logger.exception("in a call of %s", call.api)
            status = Code.INTERNAL.name
            raise ServingStatus(Code.INTERNAL, "A fault of the server; its log says more.") from None
        finally:
            self.running -= 1
            seconds = time.perf_counter() - begin
            if call.counted:
                self.engine.metrics.answered(call.model, call.api, call.entrypoint, status, seconds)
            self.access_log.write(call, status, size, seconds)
            if self._released is not None and status != Code.CANCELLED.name:
                await self._released.wait()

    async def hold_answers(self, seconds: float) -> None:
        """Holds answers back from now on, and returns when no call has come for a moment.

        A port that is closed loses the calls that have reached it and were not taken from it. Clients that wait for an
        answer send no more of them.

        Args:
            seconds: When it returns at the latest.
        """
        self._released = asyncio.Event()
        until, before = time.monotonic() + min(seconds, SETTLING_SECONDS), -1
        while self.begun != before and time.monotonic() < until:
            before = self.begun
            await asyncio.sleep(SETTLED_SECONDS)

    def release_answers(self) -> None:
        """Sends the answers that were held back."""
        if self._released is not None:
            self._released.set()

    def _quick(self, call: Call, size: int) -> bool:
        if self.blocking or call.slow or size > QUICK_BYTES:
            return False
        return self.engine.manager.is_quick(call.model)
