"""Tries a candidate: a server of its own, real examples through every signature, answers compared, latency measured."""

import base64
import itertools
import json
import math
import os
import shutil
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc, regression_pb2

from data.errors import ServingError
from models.serving.client.client import Client
from models.serving.deployment.process import ServerProcess, choose, running
from models.serving.protocol import warmup
from models.serving.protocol.tensors import strings, to_array

TOLERANCE = 1e-5
WARM, SECONDS, MOST = 10, 0.5, 400  # requests before, time of, and most requests in a measurement

Answers = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Measured:
    """What a candidate took.

    Attributes:
        engine: Who served it.
        start_s: Seconds from the start of the process to its first answer.
        p50_ms, p95_ms, p99_ms: Latency of one example by gRPC, one client at a time.
        p50_ms_8, p95_ms_8, p99_ms_8: The same at 8 clients.
        mib: Resident memory of the server afterwards; None where it is a container's.
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
        """Returns it for a manifest, rounded."""
        return {key: round(value, 2) if isinstance(value, float) else value for key, value in asdict(self).items()}


def try_out(
    model: Path,
    name: str,
    ask: Callable[[], tuple[Mapping[str, Answers], Mapping[str, Answers]]],
    folder: Path,
    *,
    engine: str = "auto",
    tolerance: float = TOLERANCE,
) -> Measured:
    """Serves a SavedModel and returns what that took.

    Args:
        model: Folder of the SavedModel.
        name: The model's name.
        ask: Returns questions and answers of the trained model, both signature -> arrays by alias, all of the same
            examples, `(examples, ...)`; called while the server starts.
        folder: Receives the candidate as a server wants it; it is emptied before, and stays only after a failure.
        engine: `auto`, `embedded`, `binary` or `docker`.
        tolerance: Greatest difference of a number.

    Raises:
        ServingError: It does not load, or answers otherwise, with the server's own words and what to type to see it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    base, engine = folder / name, choose(engine)
    _link(model, base / "1")
    flags = [f"--model_name={name}", f"--model_base_path={base}", "--max_num_load_retries=0"]
    server = ServerProcess(flags, folder / "server.log", engine, folders=(base,))
    kept = False
    try:
        begin = time.perf_counter()
        with running(server, meanwhile=ask) as (questions, expected):
            trial = _Trial(server, name, folder, tolerance)
            trial.check_status()
            for log in warmup.read(model):
                request, response = log.predict_log.request, log.predict_log.response
                inputs = {alias: to_array(request.inputs[alias]) for alias in request.inputs}
                outputs = {alias: to_array(response.outputs[alias]) for alias in response.outputs}
                trial.compare_grpc(request.model_spec.signature_name, inputs, outputs)
            start_s = time.perf_counter() - begin
            for signature, inputs in questions.items():
                trial.compare_grpc(signature, inputs, expected[signature])
                trial.compare_rest(signature, inputs, expected[signature])
                trial.compare_examples(signature, inputs, expected[signature])
            return trial.measure(questions["serving_default"], start_s)
    except ServingError:
        kept = True
        raise
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


@dataclass
class _Trial:
    server: ServerProcess
    name: str
    folder: Path
    tolerance: float

    def __post_init__(self) -> None:
        self.address = f"127.0.0.1:{self.server.port}"
        self.url = f"http://127.0.0.1:{self.server.rest_port}/v1/models/{self.name}"

    def check_status(self) -> None:
        with Client(self.address, self.name) as client:
            states = client.states()
        if set(states.values()) != {"AVAILABLE"}:
            raise ServingError(f"The server reports {states} instead of AVAILABLE: {self.server.last_words()}")

    def compare_grpc(self, signature: str, inputs: Answers, expected: Answers) -> None:
        try:
            with Client(self.address, self.name) as client:
                found, _ = client.predict(inputs, signature)
        except ServingError as error:
            raise self._failure(signature, "gRPC", inputs, str(error)) from None
        self._compare(signature, "gRPC", inputs, found, expected)

    def compare_rest(self, signature: str, inputs: Answers, expected: Answers) -> None:
        body = self._body(signature, inputs)
        request = urllib.request.Request(f"{self.url}:predict", body, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=60) as reply:
                answer = json.loads(reply.read())["outputs"]
        except urllib.error.HTTPError as error:
            raise self._failure(signature, "REST", inputs, error.read().decode(errors="replace")) from None
        except (OSError, ValueError, KeyError) as error:
            raise self._failure(signature, "REST", inputs, f"{type(error).__name__}: {error}") from None
        named = {next(iter(expected)): answer} if len(expected) == 1 else answer
        self._compare(signature, "REST", inputs, {key: _plain(value) for key, value in named.items()}, expected)

    def compare_examples(self, signature: str, inputs: Answers, expected: Answers) -> None:
        """Asks by Classify or Regress too, where a signature takes examples and answers what those calls do."""
        shapes = {alias: value.shape[1:] for alias, value in expected.items()}
        if list(inputs) != ["inputs"]:
            return
        if set(shapes) == {"classes", "scores"}:
            api, request = "Classify", classification_pb2.ClassificationRequest()
        elif list(shapes) == ["outputs"] and shapes["outputs"] in ((), (1,)):
            api, request = "Regress", regression_pb2.RegressionRequest()
        else:
            return
        request.model_spec.name, request.model_spec.signature_name = self.name, signature
        for one in inputs["inputs"].tolist():
            request.input.example_list.examples.add().MergeFromString(one)
        try:
            with grpc.insecure_channel(self.address) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                result = getattr(stub, api)(request, timeout=60).result
        except grpc.RpcError as error:
            raise self._failure(signature, api, inputs, error.details()) from None
        if api == "Classify":
            rows = [one.classes for one in result.classifications]
            found = {
                "classes": np.array([[one.label.encode() for one in row] for row in rows], object),
                "scores": np.array([[one.score for one in row] for row in rows], np.float32),
            }
        else:
            values = np.array([one.value for one in result.regressions], np.float32)
            found = {"outputs": values.reshape(expected["outputs"].shape)}
        self._compare(signature, api, inputs, found, expected)

    def _compare(self, signature: str, api: str, inputs: Answers, found: Answers, expected: Answers) -> None:
        if sorted(found) != sorted(expected):
            raise self._failure(signature, api, inputs, f"answers {sorted(found)}, expected {sorted(expected)}")
        for key, want in expected.items():
            have = found[key]
            if have.shape != want.shape:
                text = f"answers {key} of shape {have.shape}, the trained model {want.shape}"
                raise self._failure(signature, api, inputs, text)
            if want.dtype.kind in "OSU":
                same = [_bytes(one) for one in have.ravel()] == [_bytes(one) for one in want.ravel()]
                difference = 0.0 if same else math.inf
            else:
                # NaN and infinity are nothing to compare: no model answers so that is worth publishing.
                if not np.isfinite(have.astype(np.float64)).all():
                    raise self._failure(signature, api, inputs, f"answers {key} that is not finite")
                # Relative beyond 1: a price in dollars has no more digits than a probability.
                scale = np.maximum(1.0, np.abs(want.astype(np.float64)))
                difference = float((np.abs(have.astype(np.float64) - want) / scale).max(initial=0.0))
            if difference > self.tolerance:
                text = (
                    f"answers {key} otherwise than the trained model, by {difference:.2g} (at most {self.tolerance:g})"
                )
                raise self._failure(signature, api, inputs, text)

    def _failure(self, signature: str, api: str, inputs: Answers, why: str) -> ServingError:
        """Returns the error, with what shows it again: the server, and the request as a curl command."""
        request = self.folder / "request.json"
        request.write_bytes(self._body(signature, inputs))
        command = " ".join(["python -m models.serving.server --rest_api_port=8501", *self.server.flags[:2]])
        return ServingError(
            f"Serving check: signature {signature} by {api}: {why}; nothing was published.\n"
            f"The server's last words: {self.server.last_words(1)}\n"
            f"To see it again:\n  {command}\n"
            f"  curl -d @{request} http://127.0.0.1:8501/v1/models/{self.name}:predict"
        )

    def _body(self, signature: str, inputs: Answers) -> bytes:
        return json.dumps({"signature_name": signature, "inputs": {k: _json(v) for k, v in inputs.items()}}).encode()

    def measure(self, inputs: Answers, start_s: float) -> Measured:
        """Returns latency and memory, one example at a time."""
        count = len(next(iter(inputs.values())))
        rows = [{alias: value[row : row + 1] for alias, value in inputs.items()} for row in range(count)]
        alone, together = self._latencies(rows, 1), self._latencies(rows, 8)
        shares = [float(np.percentile(found, share)) for found in (alone, together) for share in (50, 95, 99)]
        mib = None
        if self.server.engine != "docker" and self.server.process:
            mib = psutil.Process(self.server.process.pid).memory_info().rss / 2**20
        return Measured(self.server.engine, start_s, *shares, mib)

    def _latencies(self, rows: Sequence[Answers], clients: int) -> list[float]:
        """Returns milliseconds of each request of so many clients at a time."""
        found: list[float] = []
        wrong: list[Exception] = []

        def ask() -> None:
            try:
                with Client(self.address, self.name) as client:
                    until = math.inf
                    for number, row in enumerate(itertools.cycle(rows)):
                        if number == WARM:
                            until = time.perf_counter() + SECONDS
                        begin = time.perf_counter()
                        if begin > until or number > WARM + MOST:
                            return
                        client.predict(row)
                        if number >= WARM:
                            found.append((time.perf_counter() - begin) * 1000)
            except (ServingError, grpc.RpcError) as error:
                wrong.append(error)

        threads = [threading.Thread(target=ask) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if wrong:
            raise self._failure("serving_default", "gRPC", rows[0], str(wrong[0]))
        return found


def over_budget(measured: Measured, budget: Mapping[str, Any], last: Mapping[str, Any]) -> list[str]:
    """Returns a sentence for each part of the budget that a candidate exceeds.

    Args:
        measured: What the candidate took.
        budget: `p95_ms`, `max_mib` and `max_slowdown`, each a number or None.
        last: The last version's `Measured.facts()`; empty where there is none.
    """
    p95_ms, max_mib, slowdown = (budget[key] for key in ("p95_ms", "max_mib", "max_slowdown"))
    found = []
    if slowdown is not None and last.get("p95_ms") and measured.p95_ms > slowdown * last["p95_ms"]:
        found.append(
            f"p95 latency is {measured.p95_ms:.1f} ms, the last version's was {last['p95_ms']:.1f}, at most "
            f"{slowdown:g} times that (serving.max_slowdown)"
        )
    if p95_ms is not None and measured.p95_ms > p95_ms:
        found.append(f"p95 latency is {measured.p95_ms:.1f} ms, at most {p95_ms:g} (serving.p95_ms)")
    if max_mib is not None and measured.mib is not None and measured.mib > max_mib:
        found.append(f"the server takes {measured.mib:.0f} MiB, at most {max_mib:g} (serving.max_mib)")
    return found


def _link(model: Path, target: Path) -> None:
    """Puts a SavedModel where a server finds it, without a copy where the file system can."""

    def link(source: str, destination: str) -> None:
        try:
            os.link(source, destination)
        except OSError:
            shutil.copy2(source, destination)

    shutil.copytree(model, target, copy_function=link)


def _json(value: np.ndarray) -> Any:
    if value.dtype.kind not in "OSU":
        return value.tolist()
    flat = [{"b64": base64.b64encode(_bytes(one)).decode()} for one in value.ravel()]
    return flat if value.ndim == 1 else np.array(flat, object).reshape(value.shape).tolist()


def _plain(value: Any) -> np.ndarray:
    """Returns a JSON answer as an array; base64 objects as bytes."""
    found = np.array(value, object) if _holds_text(value) else np.array(value)
    if found.dtype != object:
        return found
    flat = [base64.b64decode(one["b64"]) if isinstance(one, dict) else one for one in found.ravel()]
    return strings(flat).reshape(found.shape)


def _holds_text(value: Any) -> bool:
    while isinstance(value, list) and value:
        value = value[0]
    return isinstance(value, (str, dict))


def _bytes(value: Any) -> bytes:
    return value.encode() if isinstance(value, str) else bytes(value)
