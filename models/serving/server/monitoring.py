"""Counts and durations under TF Serving's names, in Prometheus's text format.

Not prometheus_client: it ends the name of each counter in `_total`, and dashboards look for TF Serving's names.
"""

import bisect
import collections
import threading
from collections.abc import Iterable

PATH = "/monitoring/prometheus/metrics"
BUCKETS = [10 * 1.8**power for power in range(33)]  # microseconds

_REQUESTS = ":tensorflow:serving:request_count"
_LATENCY = ":tensorflow:serving:request_latency"
_RUNTIME = ":tensorflow:serving:runtime_latency"
_EXAMPLES = ":tensorflow:serving:request_example_counts"
_TOTAL = ":tensorflow:serving:request_example_count_total"
_WARMUP = ":tensorflow:serving:model_warmup_latency"
_BATCH = ":tensorflow:serving:batching_session:processed_batch_size"
_BATCHES = ":tensorflow:serving:batching_session:wrapped_run_count"
_QUEUED = ":tensorflow:serving:batching_session:queuing_latency"
_REFUSED_VALUES = ":headrace:serving:input_guard_refusals"

Labels = tuple[tuple[str, str], ...]


class _Histogram:
    __slots__ = ("counts", "sum")

    def __init__(self) -> None:
        self.counts = [0] * (len(BUCKETS) + 1)
        self.sum = 0.0

    def add(self, value: float) -> None:
        self.counts[bisect.bisect_right(BUCKETS, value)] += 1
        self.sum += value


class Metrics:
    """The counters and histograms of a server; all methods may be called from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._keys: dict[tuple, tuple] = {}
        self._counters: dict[tuple[str, Labels], int] = collections.defaultdict(int)
        self._histograms: dict[tuple[str, Labels], _Histogram] = collections.defaultdict(_Histogram)

    def answered(self, model: str, api: str, entrypoint: str, status: str, seconds: float) -> None:
        """Counts an answered request: its gRPC status, such as `OK`, and its latency in seconds."""
        keys = self._keys.get((model, api, entrypoint, status))
        if keys is None:
            count = (_REQUESTS, (("model_name", model), ("status", status)))
            value = (_LATENCY, (("model_name", model), ("API", api), ("entrypoint", entrypoint)))
            keys = self._keys[model, api, entrypoint, status] = (count, value)
        with self._lock:
            self._counters[keys[0]] += 1
            self._histograms[keys[1]].add(seconds * 1e6)

    def ran(self, model: str, rows: int, seconds: float) -> None:
        """Counts a call of a model: its rows, and its seconds in the session."""
        keys = self._keys.get((model,))
        if keys is None:
            labels = (("model", model),)
            runtime = (("model_name", model), ("API", "Predict"), ("runtime", "TF1"))
            keys = self._keys[model,] = ((_TOTAL, labels), (_EXAMPLES, labels), (_RUNTIME, runtime))
        with self._lock:
            self._counters[keys[0]] += rows
            self._histograms[keys[1]].add(rows)
            self._histograms[keys[2]].add(seconds * 1e6)

    def warmed_up(self, path: str, status: str, seconds: float) -> None:
        """Counts the warm-up of a version: its folder, gRPC status and seconds."""
        self._add([], [(_WARMUP, (("model_path", path), ("status", status)), seconds * 1e6)])

    def batched(self, pool: str, size: int, seconds: Iterable[float]) -> None:
        """Counts a batch of a thread pool: its rows including padding, and the seconds that each request waited."""
        waits = [(_QUEUED, (("thread_pool_name", pool),), wait * 1e6) for wait in seconds]
        self._add([(_BATCHES, (), 1)], [(_BATCH, (), size), *waits])

    def refused(self, model: str, feature: str) -> None:
        """Counts a value that input validation refused."""
        self._add([(_REFUSED_VALUES, (("model_name", model), ("feature", feature)), 1)], [])

    def _add(self, counts: list[tuple[str, Labels, int]], values: list[tuple[str, Labels, float]]) -> None:
        with self._lock:
            for name, labels, count in counts:
                self._counters[name, labels] += count
            for name, labels, value in values:
                self._histograms[name, labels].add(value)

    def count(self, name: str) -> int:
        """Returns a counter over all labels, by TF Serving's name for it: `/tensorflow/serving/request_count`."""
        with self._lock:
            return sum(count for (key, _), count in self._counters.items() if key == name.replace("/", ":"))

    def text(self) -> str:
        """Returns all counters and histograms in Prometheus's text format."""
        with self._lock:
            counters = sorted(self._counters.items())
            histograms = sorted(
                (key, list(histogram.counts), histogram.sum) for key, histogram in self._histograms.items()
            )
        lines, seen = [], set()
        for (name, labels), count in counters:
            lines += _type(name, "counter", seen)
            lines.append(f"{name}{{{label_text(labels)}}} {count}")
        for (name, labels), counts, total in histograms:
            lines += _type(name, "histogram", seen)
            running = 0
            for bound, count in zip([*map("{:g}".format, BUCKETS), "+Inf"], counts, strict=True):
                running += count
                lines.append(f"{name}_bucket{{{label_text((*labels, ('le', bound)))}}} {running}")
            lines.append(f"{name}_sum{{{label_text(labels)}}} {total:g}")
            lines.append(f"{name}_count{{{label_text(labels)}}} {running}")
        return "\n".join(lines) + "\n"


def _type(name: str, kind: str, seen: set[str]) -> list[str]:
    if name in seen:
        return []
    seen.add(name)
    return [f"# TYPE {name} {kind}"]


def label_text(labels: Iterable[tuple[str, str]]) -> str:
    """Returns labels as Prometheus's text format has them between braces."""

    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return ",".join(f'{name}="{escaped(value)}"' for name, value in labels)
