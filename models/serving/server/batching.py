"""Merges concurrent requests into one call of the session, as TF Serving's --enable_batching does."""

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
        max_batch_size: Maximum number of rows in a batch.
        batch_timeout_micros: Microseconds that a batch which is not full waits for more rows.
        max_enqueued_batches: Maximum number of waiting batches; beyond it a request fails with UNAVAILABLE.
        num_batch_threads: Number of batches that run at the same time.
        allowed_batch_sizes: Sizes that a batch is padded to, ascending; empty: no padding.
        pad_variable_length_inputs: Whether inputs of different inner shapes are padded to the largest.
        enable_large_batch_splitting: Whether a request larger than a batch is split.
        max_execution_batch_size: Maximum number of rows in a call, with splitting.
        thread_pool_name: Name of the threads in the metrics.
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
        """Returns the parameters of a BatchingParameters message; raises ServingStatus if they are invalid."""
        wrapped_fields = ("max_batch_size", "batch_timeout_micros", "max_enqueued_batches", "num_batch_threads",
                   "enable_large_batch_splitting", "max_execution_batch_size", "thread_pool_name")  # fmt: skip
        values = {name: getattr(message, name).value for name in wrapped_fields if message.HasField(name)}
        parameters = cls(
            **values,
            allowed_batch_sizes=tuple(message.allowed_batch_sizes),
            pad_variable_length_inputs=message.pad_variable_length_inputs,
        )
        for name in ("max_batch_size", "max_enqueued_batches", "num_batch_threads"):
            if getattr(parameters, name) < 1:
                raise invalid(f"{name} must be positive; was {getattr(parameters, name)}")
        if parameters.batch_timeout_micros < 0 or parameters.max_execution_batch_size < 0:
            raise invalid("batch_timeout_micros and max_execution_batch_size must not be negative")
        sizes, expected = parameters.allowed_batch_sizes, parameters.largest()
        if sizes and sizes[-1] != expected:
            limit_name = "max_execution_batch_size" if parameters.enable_large_batch_splitting else "max_batch_size"
            raise invalid(
                f"Last entry in allowed_batch_sizes must match {limit_name}; last entry was {sizes[-1]}; expected "
                f"{expected}"
            )
        if list(sizes) != sorted(set(sizes)):
            raise invalid("allowed_batch_sizes entries must be monotonically increasing")
        return parameters

    def largest(self) -> int:
        """Returns the maximum number of rows in one call."""
        splits = self.enable_large_batch_splitting and self.max_execution_batch_size
        return self.max_execution_batch_size if splits else self.max_batch_size


# Errors that the input of a single task may have caused.
INPUT_ERRORS = (Code.INVALID_ARGUMENT, Code.OUT_OF_RANGE, Code.NOT_FOUND)
OnBatch = Callable[[str, int, list[float]], None]  # pool name, rows, seconds that each request waited


@dataclass
class _Task:
    feeds: Mapping[object, np.ndarray]
    rows: int
    deadline: float | None
    outputs: Future = field(default_factory=Future)
    enqueued_at: float = field(default_factory=time.monotonic)


@dataclass
class _Batch:
    servable: Servable
    fetches: Sequence[object]
    created_at: float
    tasks: list[_Task] = field(default_factory=list)
    rows: int = 0


class Batcher:
    """Runs versions in batches.

    Args:
        parameters: Returns the parameters of a version.
        num_threads: Number of threads that run batches.
        on_batch: Called after each batch.
    """

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
        """Returns the values of `fetches`; blocks until the batch has run. The signature is that of `Servable.run`.

        Args:
            servable: The version.
            feeds: Handle -> array `(rows, ...)`, all of the same number of rows.
            fetches: Handles.
            timeout_ms: Milliseconds after which the request fails; None: no limit.

        Raises:
            ServingStatus: The inputs cannot be batched, the queue is full, or the call failed.
        """
        parameters = self._parameters(servable)
        if any(not array.ndim for array in feeds.values()):
            raise invalid("Batching Run() input tensors must have at least one dimension")
        sizes = {len(array) for array in feeds.values()}
        if len(sizes) != 1:
            raise invalid("Batching Run() input tensors must have equal 0th-dimension size")
        rows = sizes.pop()
        if rows > parameters.max_batch_size and not parameters.enable_large_batch_splitting:
            raise invalid(f"Task size {rows} is larger than maximum input batch size {parameters.max_batch_size}")
        if not rows:
            return servable.run(feeds, fetches, timeout_ms)
        deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        max_rows = parameters.largest()
        tasks = [
            _Task(
                {key: array[start : start + max_rows] for key, array in feeds.items()},
                min(max_rows, rows - start),
                deadline,
            )
            for start in range(0, rows, max_rows)
        ]
        self._enqueue(servable, fetches, tasks, parameters)
        parts = [task.outputs.result() for task in tasks]
        return parts[0] if len(parts) == 1 else [np.concatenate(values) for values in zip(*parts, strict=True)]

    def _enqueue(self, servable: Servable, fetches: Sequence, tasks: list[_Task], parameters: Parameters) -> None:
        key = (id(servable), frozenset(tasks[0].feeds), tuple(fetches))
        with self._ready:
            queue = self._queues.setdefault(key, collections.deque())
            for task in tasks:
                last = queue[-1] if queue else None
                if last is None or last.rows + task.rows > parameters.largest():
                    if len(queue) >= parameters.max_enqueued_batches:
                        raise ServingStatus(
                            Code.UNAVAILABLE,
                            "The batch scheduling queue to which this task was submitted is full; currently "
                            f"{len(queue)} batches enqueued and max_enqueued_batches is "
                            f"{parameters.max_enqueued_batches}",
                        )
                    last = _Batch(servable, fetches, time.monotonic())
                    queue.append(last)
                last.tasks.append(task)
                last.rows += task.rows
            self._ready.notify()

    def _take(self) -> _Batch | None:
        """Waits for a batch that is full or has waited long enough; returns None when the server stops."""
        with self._ready:
            while not self._stopped:
                now, next_due = time.monotonic(), None
                for key, queue in list(self._queues.items()):
                    batch = queue[0]
                    parameters = self._parameters(batch.servable)
                    due = batch.created_at + parameters.batch_timeout_micros / 1e6
                    if len(queue) > 1 or batch.rows >= parameters.largest() or due <= now:
                        queue.popleft()
                        if not queue:
                            del self._queues[key]
                        return batch
                    next_due = due if next_due is None else min(next_due, due)
                self._ready.wait(None if next_due is None else next_due - now)
        return None

    def _work(self) -> None:
        while (batch := self._take()) is not None:
            try:
                self._run(batch)
            except Exception as error:  # every task must be resolved
                for task in batch.tasks:
                    if not task.outputs.done():
                        task.outputs.set_exception(error)

    def _run(self, batch: _Batch) -> None:
        now = time.monotonic()
        for task in batch.tasks:
            if task.deadline is not None and task.deadline <= now:
                task.outputs.set_exception(ServingStatus(Code.DEADLINE_EXCEEDED, "Batch task timed out in the queue"))
        tasks = [task for task in batch.tasks if not task.outputs.done()]
        if not tasks:
            return
        parameters = self._parameters(batch.servable)
        for group in _groups(batch.servable, tasks, parameters):
            self._run_group(batch, group, parameters)

    def _run_group(self, batch: _Batch, tasks: Sequence[_Task], parameters: Parameters) -> None:
        """Runs tasks in one call; after an input error runs each half, so that only the faulty task fails."""
        try:
            values = self._call(batch, tasks, parameters)
        except ServingStatus as status:
            if len(tasks) > 1 and status.code in INPUT_ERRORS:
                middle = len(tasks) // 2
                self._run_group(batch, tasks[:middle], parameters)
                self._run_group(batch, tasks[middle:], parameters)
                return
            for task in tasks:
                task.outputs.set_exception(status)
            return
        begin = 0
        for task in tasks:
            task.outputs.set_result([value[begin : begin + task.rows] for value in values])
            begin += task.rows

    def _call(self, batch: _Batch, tasks: Sequence[_Task], parameters: Parameters) -> list[np.ndarray]:
        """Returns the outputs of one session call for these tasks, including padding rows; raises ServingStatus."""
        now = time.monotonic()
        rows = sum(task.rows for task in tasks)
        padded_rows = next((size for size in parameters.allowed_batch_sizes if size >= rows), rows)
        feeds = {key: _merge([task.feeds[key] for task in tasks], padded_rows - rows) for key in tasks[0].feeds}
        deadlines = [task.deadline for task in tasks]
        timeout = None if None in deadlines else max(1, int((max(deadlines) - now) * 1000))
        values = batch.servable.run(feeds, batch.fetches, timeout)
        self._on_batch(parameters.thread_pool_name, padded_rows, [now - task.enqueued_at for task in tasks])
        for value in values:
            if not np.ndim(value):
                raise ServingStatus(Code.FAILED_PRECONDITION, "Batched output tensor has 0 dimensions")
            if len(value) != padded_rows:
                raise ServingStatus(
                    Code.FAILED_PRECONDITION,
                    "Batched output tensor's 0th dimension does not equal the sum of the 0th "
                    "dimension sizes of the input tensors",
                )
        return values

    def stop(self) -> None:
        """Stops the threads and waits for them."""
        with self._ready:
            self._stopped = True
            self._ready.notify_all()
        for thread in self._threads:
            thread.join()


def _groups(servable: Servable, tasks: Sequence[_Task], parameters: Parameters) -> list[list[_Task]]:
    """Returns the tasks in groups that can be merged.

    If inner shapes differ and padding is off, tasks whose shape does not match the signature are refused. TF Serving
    refuses all tasks then; here a client cannot make the requests of others fail.
    """
    is_padded = parameters.pad_variable_length_inputs
    groups: dict[tuple, list[_Task]] = {}
    for task in tasks:
        arrays = [task.feeds[key] for key in tasks[0].feeds]
        key = tuple(array.ndim if is_padded else array.shape[1:] for array in arrays)
        groups.setdefault(key, []).append(task)
    if len(groups) == 1 or is_padded:
        return list(groups.values())
    valid_groups = []
    for group in groups.values():
        if servable.fits(group[0].feeds):
            valid_groups.append(group)
            continue
        for task in group:
            task.outputs.set_exception(
                ServingStatus(
                    Code.FAILED_PRECONDITION,
                    "Tensors with the same name from different tasks have different shapes and padding is turned off. "
                    "Set pad_variable_length_inputs to true, or ensure that all tensors with the same name have equal "
                    "dimensions starting with the first dim.",
                )
            )
    return valid_groups


def _merge(arrays: list[np.ndarray], padding: int) -> np.ndarray:
    """Returns the arrays `(rows, ...)` concatenated, padded to the largest inner shape, and `padding` more rows."""
    if len({array.shape[1:] for array in arrays}) > 1:
        largest = np.max([array.shape[1:] for array in arrays], axis=0)
        arrays = [_pad_inner(array, largest) for array in arrays]
    if padding:
        arrays = [*arrays, np.repeat(arrays[0][:1], padding, axis=0)]
    return np.concatenate(arrays) if len(arrays) > 1 else arrays[0]


def _pad_inner(array: np.ndarray, largest: np.ndarray) -> np.ndarray:
    """Returns the array padded to the inner shape `largest` with its first value, as in TF Serving, or with zeros."""
    padded = np.empty((len(array), *largest), array.dtype)
    empty_value: object = b"" if array.dtype == object else 0
    padded[:] = array.flat[0] if array.size else empty_value  # np.pad would drop trailing zero bytes of a string
    padded[tuple(map(slice, array.shape))] = array
    return padded
