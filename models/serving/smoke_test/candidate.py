"""Asks a candidate's server by each API, and compares its answers with those of the trained model."""

import json
import math
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import grpc
import numpy as np
from tensorflow_serving.apis import classification_pb2, prediction_service_pb2_grpc, regression_pb2

from data.errors import ServingError
from models.serving.client.client import Client
from models.serving.deployment.process import ServerProcess
from models.serving.protocol.addresses import channel_options, open_url
from models.serving.smoke_test import json_values

Arrays = Mapping[str, np.ndarray]


@dataclass
class Candidate:
    """A model that a server of its own serves.

    Attributes:
        server: Runs.
        name: The model's name.
        folder: Receives the request that shows a failure again.
        tolerance: Greatest difference of a number, relative beyond 1.
    """

    server: ServerProcess
    name: str
    folder: Path
    tolerance: float

    def __post_init__(self) -> None:
        self.address = f"127.0.0.1:{self.server.port}"
        self.url = f"http://127.0.0.1:{self.server.rest_port}/v1/models/{self.name}"

    def check_status(self) -> None:
        """Raises ServingError unless the server reports the model as available."""
        with Client(self.address, self.name) as client:
            states = client.states()
        if set(states.values()) != {"AVAILABLE"}:
            raise ServingError(f"The server reports {states} instead of AVAILABLE: {self.server.last_words()}")

    def compare_grpc(self, signature: str, inputs: Arrays, expected: Arrays) -> None:
        """Asks by gRPC Predict; raises ServingError for a refusal, or outputs other than `expected`, by alias."""
        try:
            with Client(self.address, self.name) as client:
                found, _ = client.predict(inputs, signature)
        except ServingError as error:
            raise self.failure(signature, "gRPC", inputs, str(error)) from None
        self._compare(signature, "gRPC", inputs, found, expected)

    def compare_rest(self, signature: str, inputs: Arrays, expected: Arrays) -> None:
        """Asks by REST; raises ServingError for a refusal, or outputs other than `expected`, by alias."""
        body = _body(signature, inputs)
        request = urllib.request.Request(f"{self.url}:predict", body, {"Content-Type": "application/json"})
        try:
            with open_url(request, timeout=60) as reply:
                answer = json.loads(reply.read())["outputs"]
        except urllib.error.HTTPError as error:
            raise self.failure(signature, "REST", inputs, error.read().decode(errors="replace")) from None
        except (OSError, ValueError, KeyError) as error:
            raise self.failure(signature, "REST", inputs, f"{type(error).__name__}: {error}") from None
        named = {next(iter(expected)): answer} if len(expected) == 1 else answer
        found = {alias: json_values.to_array(value) for alias, value in named.items()}
        self._compare(signature, "REST", inputs, found, expected)

    def compare_examples(self, signature: str, inputs: Arrays, expected: Arrays) -> None:
        """Asks by Classify or Regress too, where a signature takes examples and answers what those calls do.

        Raises:
            ServingError: It is refused, or outputs are others than `expected`, by alias.
        """
        api = _example_api(inputs, expected)
        if api is None:
            return
        message = classification_pb2.ClassificationRequest if api == "Classify" else regression_pb2.RegressionRequest
        request = message()
        request.model_spec.name, request.model_spec.signature_name = self.name, signature
        for one in inputs["inputs"].tolist():
            request.input.example_list.examples.add().MergeFromString(one)
        try:
            with grpc.insecure_channel(self.address, channel_options(self.address)) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                result = getattr(stub, api)(request, timeout=60).result
        except grpc.RpcError as error:
            raise self.failure(signature, api, inputs, error.details()) from None
        if api == "Classify":
            found = _classes_and_scores(result)
        else:
            values = np.array([one.value for one in result.regressions], np.float32)
            found = {"outputs": values.reshape(expected["outputs"].shape)}
        self._compare(signature, api, inputs, found, expected)

    def _compare(self, signature: str, api: str, inputs: Arrays, found: Arrays, expected: Arrays) -> None:
        problem = difference(found, expected, self.tolerance)
        if problem:
            raise self.failure(signature, api, inputs, problem)

    def failure(self, signature: str, api: str, inputs: Arrays, why: str) -> ServingError:
        """Returns the error, with what shows it again: the server, and the request as a curl command."""
        request = self.folder / "request.json"
        request.write_bytes(_body(signature, inputs))
        command = " ".join(["python -m models.serving.server --rest_api_port=8501", *self.server.flags[:2]])
        return ServingError(
            f"Serving check: signature {signature} by {api}: {why}; nothing was published.\n"
            f"The server's last words: {self.server.last_words(1)}\n"
            f"To see it again:\n  {command}\n"
            f"  curl -d @{request} http://127.0.0.1:8501/v1/models/{self.name}:predict"
        )


def difference(found: Arrays, expected: Arrays, tolerance: float) -> str | None:
    """Returns in what a candidate's outputs differ from the trained model's; None where they agree.

    Args:
        found: Alias -> the candidate's output.
        expected: Alias -> the trained model's.
        tolerance: Greatest difference of a number, relative beyond 1.
    """
    if sorted(found) != sorted(expected):
        return f"answers {sorted(found)}, expected {sorted(expected)}"
    for alias, want in expected.items():
        have = found[alias]
        if have.shape != want.shape:
            return f"answers {alias} of shape {have.shape}, the trained model {want.shape}"
        # NaN and infinity are nothing to compare: no model answers so that is worth publishing.
        if want.dtype.kind not in "OSU" and not np.isfinite(have.astype(np.float64)).all():
            return f"answers {alias} that is not finite"
        greatest = greatest_difference(have, want)
        if greatest > tolerance:
            return f"answers {alias} otherwise than the trained model, by {greatest:.2g} (at most {tolerance:g})"
    return None


def greatest_difference(have: np.ndarray, want: np.ndarray) -> float:
    """Returns the greatest difference of two outputs of one shape, relative beyond 1; of texts infinity, or 0."""
    if want.dtype.kind in "OSU":
        same = [json_values.to_bytes(one) for one in have.ravel()] == [
            json_values.to_bytes(one) for one in want.ravel()
        ]
        return 0.0 if same else math.inf
    # Relative beyond 1: a price in dollars has no more digits than a probability.
    scale = np.maximum(1.0, np.abs(want.astype(np.float64)))
    return float((np.abs(have.astype(np.float64) - want) / scale).max(initial=0.0))


def _example_api(inputs: Arrays, expected: Arrays) -> str | None:
    """Returns which of Classify and Regress answers what a signature does; None where neither."""
    if list(inputs) != ["inputs"]:
        return None
    shapes = {alias: value.shape[1:] for alias, value in expected.items()}
    if set(shapes) == {"classes", "scores"}:
        return "Classify"
    return "Regress" if list(shapes) == ["outputs"] and shapes["outputs"] in ((), (1,)) else None


def _classes_and_scores(result: classification_pb2.ClassificationResult) -> dict[str, np.ndarray]:
    rows = [one.classes for one in result.classifications]
    return {
        "classes": np.array([[one.label.encode() for one in row] for row in rows], object),
        "scores": np.array([[one.score for one in row] for row in rows], np.float32),
    }


def _body(signature: str, inputs: Arrays) -> bytes:
    """Returns a REST predict request."""
    values = {alias: json_values.to_json(value) for alias, value in inputs.items()}
    return json.dumps({"signature_name": signature, "inputs": values}).encode()
