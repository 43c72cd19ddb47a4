"""Latency and memory of a candidate's server, and the check of its budget."""

import itertools
import math
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import grpc
import numpy as np
import psutil

from data.errors import ServingError
from models.serving.client.client import Client
from models.serving.deployment.process import ServerProcess

NUM_WARMUP, MAX_SECONDS, MAX_REQUESTS = 10, 0.5, 400  # of one client in a measurement

Arrays = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Measurement:
    """Measured latency and memory of a candidate.

    Attributes:
        engine: The engine that served it: `embedded`, `binary` or `docker`.
        start_s: Seconds from the start of the process to its first response.
        p50_ms, p95_ms, p99_ms: Latency of one example by gRPC, one client at a time.
        p50_ms_8, p95_ms_8, p99_ms_8: The same at 8 clients.
        mib: Resident memory of the server in MiB after the requests; None for a container.
    """

    engine: str
    start_s: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    p50_ms_8: float
    p95_ms_8: float
    p99_ms_8: float
    mib: float | None

    def facts(self) -> dict[str, Any]:
        """Returns the fields by name, rounded to two digits, for a manifest."""
        return {key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(self).items()}


def measure(server: ServerProcess, name: str, inputs: Arrays, start_s: float) -> Measurement:
    """Returns latency and memory, measured with requests of one example.

    Args:
        server: The running server of the model.
        name: The model's name.
        inputs: Examples for `serving_default` by alias, `(examples, ...)`.
        start_s: Seconds from the start of the server to its first response.

    Raises:
        ServingError: A request fails.
    """
    count = len(next(iter(inputs.values())))
    rows = [{alias: value[row : row + 1] for alias, value in inputs.items()} for row in range(count)]
    address = f"127.0.0.1:{server.port}"
    single, concurrent = _latencies(address, name, rows, 1), _latencies(address, name, rows, 8)
    percentiles = [
        float(np.percentile(latencies, percent)) for latencies in (single, concurrent) for percent in (50, 95, 99)
    ]
    mib = None
    if server.engine != "docker" and server.process:
        mib = psutil.Process(server.process.pid).memory_info().rss / 2**20
    return Measurement(server.engine, start_s, *percentiles, mib)


def _latencies(address: str, name: str, rows: Sequence[Arrays], clients: int) -> list[float]:
    """Returns the milliseconds of each request of concurrent clients; raises ServingError for the first failure."""
    milliseconds: list[float] = []
    failures: list[Exception] = []

    def run_client() -> None:
        try:
            with Client(address, name) as client:
                milliseconds.extend(_time_requests(client, rows))
        except (ServingError, grpc.RpcError) as error:
            failures.append(error)

    threads = [threading.Thread(target=run_client) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise ServingError(str(failures[0]))
    return milliseconds


def _time_requests(client: Client, rows: Sequence[Arrays]) -> list[float]:
    """Returns the milliseconds of each request of one client, without the warm-up requests."""
    milliseconds: list[float] = []
    deadline = math.inf
    for number, row in enumerate(itertools.cycle(rows)):
        if number == NUM_WARMUP:
            deadline = time.perf_counter() + MAX_SECONDS
        begin = time.perf_counter()
        if begin > deadline or number > NUM_WARMUP + MAX_REQUESTS:
            break
        client.predict(row)
        if number >= NUM_WARMUP:
            milliseconds.append((time.perf_counter() - begin) * 1000)
    return milliseconds


def over_budget(measured: Measurement, budget: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for each limit of the budget that a candidate exceeds.

    Args:
        measured: Measurement of the candidate.
        budget: `p95_ms`, `max_mib` and `max_slowdown`, each a number or None.
        last: `Measurement.facts()` of the last version; empty if there is none.
    """
    p95_ms, max_mib, slowdown = (budget[key] for key in ("p95_ms", "max_mib", "max_slowdown"))
    exceeded = []
    if slowdown is not None and last.get("p95_ms") and measured.p95_ms > slowdown * last["p95_ms"]:
        exceeded.append(
            f"p95 latency is {measured.p95_ms:.1f} ms, the last version's was {last['p95_ms']:.1f} ms, at most "
            f"{slowdown:g} times that (serving.max_slowdown)"
        )
    if p95_ms is not None and measured.p95_ms > p95_ms:
        exceeded.append(f"p95 latency is {measured.p95_ms:.1f} ms, at most {p95_ms:g} ms (serving.p95_ms)")
    if max_mib is not None and measured.mib is not None and measured.mib > max_mib:
        exceeded.append(f"the server takes {measured.mib:.0f} MiB, at most {max_mib:g} MiB (serving.max_mib)")
    return exceeded
