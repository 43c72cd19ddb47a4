"""Merges requests that come at the same time into one call of the session, as TF Serving's --enable_batching does."""

import collections
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.server.servable import Servable


@dataclass(frozen=True)
class Parameters:
    """BatchingParameters, with TF Serving's defaults.

    Attributes:
        max_batch_size: Most rows in a batch.
        batch_timeout_micros: How long a batch that is not full waits for more.
        max_enqueued_batches: Batches that may wait; one more request is UNAVAILABLE.
        num_batch_threads: Batches that run at a time.
        allowed_batch_sizes: Sizes a batch is padded to, ascending; none: as it is.
        pad_variable_length_inputs: Whether inputs of unlike inner sizes are padded to the largest.
        enable_large_batch_splitting: Whether a request may be larger than a batch.
        max_execution_batch_size: Most rows in a call, with splitting.
        thread_pool_name: What the metrics call the threads.
    """

    max_batch_size: int = 1000
    batch_timeout_micros: int = 0
    max_enqueued_batches: int = 10
    num_batch_threads: int = os.cpu_count() or 1
    allowed_batch_sizes: tuple[int, ...] = ()
    pad_variable_length_inputs: bool = False
    enable_large_batch_splitting: bool = False
    max_execution_batch_size: int = 0
    thread_pool_name: str = "batch_threads"

    @classmethod
    def of(cls, message) -> "Parameters":
        """Returns the parameters of a BatchingParameters message; raises ServingStatus when they contradict."""
        wrapped = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads",
                   "enable_large_batch_splitting", "max_execution_batch_size", "thread_pool_name")  # fmt: skip
        found = {name: getattr(message, name).value for name in wrapped if message.HasField(name)}
        one = cls(
            **found,
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            pad_variable_length_inputs=message.pad_variable_length_inputs,
        )
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(one, name) < 1:
                raise invalid(f"{name} must be positive; was {getattr(one, name)}")
        if one.batch_timeout_micros < 0 or one.max_execution_batch_size < 0:
            raise invalid("batch_timeout_micros and max_execution_batch_size must not be negative")
        sizes, expected = one.allowed_batch_sizes, one.largest()
        if sizes and sizes[-1] != expected:
            which = "max_execution_batch_size" if one.enable_large_batch_splitting else "max_batch_size"
            raise invalid(
                f"Last entry in allowed_batch_sizes must match {which}; last entry was {sizes[-1]}; expected {expected}"
            )
        if list(sizes) != sorted(set(sizes)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")
        return one

    def largest(self) -> int:
        """Returns the most rows in one call."""
        splits = self.enable_large_batch_splitting and self.max_execution_batch_size
        return self.max_execution_batch_size if splits else self.max_batch_size


# Errors that one task's input may have brought about, and another's not.
OF_INPUTS = (Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND)
OnBatch = Callable[[str, int, list[float]], None]  # the pool's name, rows, seconds that each request waited


@dataclass
class _Task:
    feeds: Mapping[object, np.ndarray]
    rows: int
    deadline: float | None
    answer: Future = field(default_factory=Future)
    since: float = field(default_factory=time.monotonic)


@dataclass
class _Batch:
    servable: Servable
    fetches: Sequence[object]
    begun: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0


class Batcher:
    """Runs versions in batches; `run` blocks its caller and has the signature of `Servable.run`."""

    def __init__(self, parameters: Callable[[Servable], Parameters], num_threads: int, on_batch: OnBatch):
        self._parameters, self._on_batch = parameters, on_batch
        self._queues: dict[tuple, collections.deque[_Batch]] = {}
        self._ready = threading.Condition()
        self._stopped = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{i}", daemon=True) for i in range(num_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self, servable: Servable, feeds: Mapping[object, np.ndarray], fetches: Sequence[object], timeout_ms: int | None
    ) -> list[np.ndarray]:
        """Returns the values of `fetches` for these rows; raises ServingStatus."""
        settings = self._parameters(servable)
        if any(not array.ndim for array in feeds.values()):
            raise invalid("Batching Run() input tensors must have at least one dimension")
        sizes = {len(array) for array in feeds.values()}
        if len(sizes) != 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        rows = sizes.pop()
        if rows > settings.max_batch_size and not settings.enable_large_batch_splitting:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {settings.max_batch_size}")
        if not rows:
            return servable.run(feeds, fetches, timeout_ms)
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        step = settings.largest()
        tasks = [
            _Task({key: array[at : at + step] for key, array in feeds.items()}, min(step, rows - at), deadline)
            for at in range(0, rows, step)
        ]
        self._enqueue(servable, fetches, tasks, settings)
        parts = [task.answer.result() for task in tasks]
        return parts[0] if len(parts) == 1 else [np.concatenate(values) for values in zip(*parts, strict=True)]

    def _enqueue(self, servable: Servable, fetches: Sequence, tasks: list[_Task], settings: Parameters) -> None:
        key = (id(servable), frozenset(tasks[0].feeds), tuple(fetches))
        with self._ready:
            queue = self._queues.setdefault(key, collections.deque())
            for task in tasks:
                last = queue[-1] if queue else None
                if last is None or last.rows + task.rows > settings.largest():
                    if len(queue) >= settings.max_enqueued_batches:
                        raise ServingStatus(
                            Code.UNAVAILABLE,
                            "The batch scheduling queue to which this task was submitted is full; currently "
                            f"{len(queue)} batches enqueued and max_enqueued_batches is "
                            f"{settings.max_enqueued_batches}",
                        )
                    last = _Batch(servable, fetches, time.monotonic())
                    queue.append(last)
                last.tasks.append(task)
                last.rows += task.rows
            self._ready.notify()

    def _take(self) -> _Batch | None:
        """Waits for a batch that is full or has waited long enough; None when the server stops."""
        with self._ready:
            while not self._stopped:
                now, soonest = time.monotonic(), None
                for key, queue in list(self._queues.items()):
                    batch = queue[0]
                    settings = self._parameters(batch.servable)
                    due = batch.begun + settings.batch_timeout_micros / 1e6
                    if len(queue) > 1 or batch.rows >= settings.largest() or due <= now:
                        queue.popleft()
                        if not queue:
                            del self._queues[key]
                        return batch
                    soonest = due if soonest is None else min(soonest, due)
                self._ready.wait(None if soonest is None else soonest - now)
        return None

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            try:
                self._run(batch)
            except Exception as error:  # each waits for an answer
                for task in batch.tasks:
                    if not task.answer.done():
                        task.answer.set_exception(error)

    def _run(self, batch: _Batch) -> None:
        now = time.monotonic()
        for task in batch.tasks:
            if task.deadline is not None and task.deadline <= now:
                task.answer.set_exception(ServingStatus(Code.DEADLINE_EXCEEDED, "Batch task timed out in the queue"))
        tasks = [task for task in batch.tasks if not task.answer.done()]
        if not tasks:
            return
        settings = self._parameters(batch.servable)
        for group in _groups(batch.servable, tasks, settings):
            self._answer(batch, group, settings)

    def _answer(self, batch: _Batch, tasks: Sequence[_Task], settings: Parameters) -> None:
        """Runs tasks together; where one's input makes the run fail, halves of them, so that only that one fails."""
        try:
            values = self._call(batch, tasks, settings)
        except ServingStatus as status:
            if len(tasks) > 1 and status.code in OF_INPUTS:
                middle = len(tasks) // 2
                self._answer(batch, tasks[:middle], settings)
                self._answer(batch, tasks[middle:], settings)
                return
            for task in tasks:
                task.answer.set_exception(status)
            return
        begin = 0
        for task in tasks:
            task.answer.set_result([value[begin : begin + task.rows] for value in values])
            begin += task.rows

    def _call(self, batch: _Batch, tasks: Sequence[_Task], settings: Parameters) -> list[np.ndarray]:
        """Returns the values of one call of the session for these tasks, padding included; raises ServingStatus."""
        now = time.monotonic()
        rows = sum(task.rows for task in tasks)
        padded = next((size for size in settings.allowed_batch_sizes if size >= rows), rows)
        feeds = {key: _merge([task.feeds[key] for task in tasks], padded - rows) for key in tasks[0].feeds}
        deadlines = [task.deadline for task in tasks]
        timeout = None if None in deadlines else max(1, int((max(deadlines) - now) * 1000))
        values = batch.servable.run(feeds, batch.fetches, timeout)
        self._on_batch(settings.thread_pool_name, padded, [now - task.since for task in tasks])
        for value in values:
            if not np.ndim(value):
                raise ServingStatus(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if len(value) != padded:
                raise ServingStatus(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                    "dimension sizes of the input tensors",
                )
        return values

    def stop(self) -> None:
        """Ends the threads."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()


def _groups(servable: Servable, tasks: Sequence[_Task], settings: Parameters) -> list[list[_Task]]:
    """Returns the tasks that can be merged, group by group.

    Of tasks of unlike inner sizes, without padding, those without the signature's shape are refused. TF Serving
    refuses all of them; here no client fails the requests of others.
    """
    is_padded = settings.pad_variable_length_inputs
    groups: dict[tuple, list[_Task]] = {}
    for task in tasks:
        arrays = [task.feeds[key] for key in tasks[0].feeds]
        key = tuple(array.ndim if is_padded else array.shape[1:] for array in arrays)
        groups.setdefault(key, []).append(task)
    if len(groups) == 1 or is_padded:
        return list(groups.values())
    fitting = []
    for group in groups.values():
        if servable.fits(group[0].feeds):
            fitting.append(group)
            continue
        for task in group:
            task.answer.set_exception(
                ServingStatus(
                    Code.FAILED_PRECONDITION,
                    "Tensors with the same name from different tasks have different shapes and padding is turned off. "
                    "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
                    "dimensions starting with the first dim.",
                )
            )
    return fitting


def _merge(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """Returns the arrays one below the other, widened to the largest, and `padding` copies of the first row behind."""
    if len({array.shape[1:] for array in arrays}) > 1:
        largest = np.max([array.shape[1:] for array in arrays], axis=0)
        arrays = [_widen(array, largest) for array in arrays]
    if padding:
        arrays = [*arrays, np.repeat(arrays[0][:1], padding, axis=0)]
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _widen(array: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Returns the array padded with its own first value, as TF Serving pads; with zeros where it has none."""
    found = np.empty((len(array), *largest), array.dtype)
    nothing: object = b"" if array.dtype == object else 0
    found[:] = array.flat[0] if array.size else nothing  # np.pad would cut zero bytes off a string
    found[tuple(map(slice, array.shape))] = array
    return found
