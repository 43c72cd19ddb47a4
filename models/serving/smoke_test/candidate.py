"""Sends requests to a candidate's server by each API, and compares its predictions with the trained model's."""

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
    """A model to be published, served by its own server.

    Attributes:
        server: The running server.
        name: The model's name.
        folder: Folder for the request that reproduces a failure.
        tolerance: Maximum difference of a number, relative for numbers beyond 1.
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
        """Predicts by gRPC; raises ServingError if it fails or the outputs differ from `expected`, by alias."""
        try:
            with Client(self.address, self.name) as client:
                outputs, _ = client.predict(inputs, signature)
        except ServingError as error:
            raise self.failure(signature, "gRPC", inputs, str(error)) from None
        self._compare(signature, "gRPC", inputs, outputs, expected)

    def compare_rest(self, signature: str, inputs: Arrays, expected: Arrays) -> None:
        """Predicts by REST; raises ServingError if it fails or the outputs differ from `expected`, by alias."""
        body = _body(signature, inputs)
        request = urllib.request.Request(f"{self.url}:predict", body, {"Content-Type": "application/json"})
        try:
            with open_url(request, timeout=60) as reply:
                value = json.loads(reply.read())["outputs"]
        except urllib.error.HTTPError as error:
            raise self.failure(signature, "REST", inputs, error.read().decode(errors="replace")) from None
        except (OSError, ValueError, KeyError) as error:
            raise self.failure(signature, "REST", inputs, f"{type(error).__name__}: {error}") from None
        values = {next(iter(expected)): value} if len(expected) == 1 else value
        outputs = {alias: json_values.to_array(value) for alias, value in values.items()}
        self._compare(signature, "REST", inputs, outputs, expected)

    def compare_examples(self, signature: str, inputs: Arrays, expected: Arrays) -> None:
        """Predicts by Classify or Regress, if the signature has the inputs and outputs of one of them.

        Raises:
            ServingError: The request fails, or the outputs differ from `expected`, by alias.
        """
        api = _example_api(inputs, expected)
        if api is None:
            return
        message = classification_pb2.ClassificationRequest if api == "Classify" else regression_pb2.RegressionRequest
        request = message()
        request.model_spec.name, request.model_spec.signature_name = self.name, signature
        for serialized in inputs["inputs"].tolist():
            request.input.example_list.examples.add().MergeFromString(serialized)
        try:
            with grpc.insecure_channel(self.address, channel_options(self.address)) as channel:
                stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
                result = getattr(stub, api)(request, timeout=60).result
        except grpc.RpcError as error:
            raise self.failure(signature, api, inputs, error.details()) from None
        if api == "Classify":
            outputs = _classes_and_scores(result)
        else:
            values = np.array([regression.value for regression in result.regressions], np.float32)
            outputs = {"outputs": values.reshape(expected["outputs"].shape)}
        self._compare(signature, api, inputs, outputs, expected)

    def _compare(self, signature: str, api: str, inputs: Arrays, outputs: Arrays, expected: Arrays) -> None:
        problem = difference(outputs, expected, self.tolerance)
        if problem:
            raise self.failure(signature, api, inputs, problem)

    def failure(self, signature: str, api: str, inputs: Arrays, why: str) -> ServingError:
        """Returns the error, with the commands that reproduce it: start of the server, and the request with curl."""
        request = self.folder / "request.json"
        request.write_bytes(_body(signature, inputs))
        command = " ".join(["python -m models.serving.server --rest_api_port=8501", *self.server.flags[:2]])
        return ServingError(
            f"Serving check: signature {signature} by {api}: {why}; nothing was published.\n"
            f"The server's last words: {self.server.last_words(1)}\n"
            f"To see it again:\n  {command}\n"
            f"  curl -d @{request} http://127.0.0.1:8501/v1/models/{self.name}:predict"
        )


def difference(outputs: Arrays, expected: Arrays, tolerance: float) -> str | None:
    """Returns how a candidate's outputs differ from the trained model's; None if they agree.

    Args:
        outputs: Alias -> output of the candidate.
        expected: Alias -> output of the trained model.
        tolerance: Maximum difference of a number, relative for numbers beyond 1.
    """
    if sorted(outputs) != sorted(expected):
        return f"answers {sorted(outputs)}, expected {sorted(expected)}"
    for alias, expected_output in expected.items():
        output = outputs[alias]
        if output.shape != expected_output.shape:
            return f"answers {alias} of shape {output.shape}, the trained model {expected_output.shape}"
        # NaN and infinity cannot be compared, and no model that predicts them is worth publishing.
        if expected_output.dtype.kind not in "OSU" and not np.isfinite(output.astype(np.float64)).all():
            return f"answers {alias} that is not finite"
        greatest = greatest_difference(output, expected_output)
        if greatest > tolerance:
            return f"answers {alias} otherwise than the trained model, by {greatest:.2g} (at most {tolerance:g})"
    return None


def greatest_difference(output: np.ndarray, expected: np.ndarray) -> float:
    """Returns the maximum difference of two arrays of the same shape, relative beyond 1; texts: 0 or infinity."""
    if expected.dtype.kind in "OSU":
        texts, expected_texts = (list(map(json_values.to_bytes, array.ravel())) for array in (output, expected))
        return 0.0 if texts == expected_texts else math.inf
    # Relative beyond 1: a price in dollars has no more digits than a probability.
    scale = np.maximum(1.0, np.abs(expected.astype(np.float64)))
    return float((np.abs(output.astype(np.float64) - expected) / scale).max(initial=0.0))


def _example_api(inputs: Arrays, expected: Arrays) -> str | None:
    """Returns `Classify` or `Regress` if a signature has the inputs and outputs of that call, else None."""
    if list(inputs) != ["inputs"]:
        return None
    shapes = {alias: value.shape[1:] for alias, value in expected.items()}
    if set(shapes) == {"classes", "scores"}:
        return "Classify"
    return "Regress" if list(shapes) == ["outputs"] and shapes["outputs"] in ((), (1,)) else None


def _classes_and_scores(result: classification_pb2.ClassificationResult) -> dict[str, np.ndarray]:
    rows = [classification.classes for classification in result.classifications]
    return {
        "classes": np.array([[label.label.encode() for label in row] for row in rows], object),
        "scores": np.array([[label.score for label in row] for row in rows], np.float32),
    }


def _body(signature: str, inputs: Arrays) -> bytes:
    """Returns a REST predict request."""
    values = {alias: json_values.to_json(value) for alias, value in inputs.items()}
    return json.dumps({"signature_name": signature, "inputs": values}).encode()
