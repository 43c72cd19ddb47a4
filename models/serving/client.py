"""Our client: asks a server by gRPC, sends a canary its share, and takes it back when its budget is spent."""

import collections
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from data.errors import ServingError
from models.serving.rollout import Canary
from models.serving.tensors import fill, to_array

STABLE, CANARY = "stable", "canary"
SECONDS = 30.0
WINDOW = 200  # a canary is judged by its last so many requests
ENOUGH = 20
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclass
class Judge:
    """Whether a canary keeps to its budget, by its last requests.

    Attributes:
        canary: The share and the budget.
        errors: Whether each of the last requests failed.
        seconds: What each took.
    """

    canary: Canary
    errors: collections.deque[bool] = field(default_factory=lambda: collections.deque(maxlen=WINDOW))
    seconds: collections.deque[float] = field(default_factory=lambda: collections.deque(maxlen=WINDOW))

    def add(self, *, failed: bool, seconds: float) -> str | None:
        """Returns why the canary has to go after this request; None when it may stay."""
        self.errors.append(failed)
        self.seconds.append(seconds)
        if len(self.errors) < ENOUGH:
            return None
        rate = sum(self.errors) / len(self.errors)
        if rate > self.canary.max_error_rate:
            return f"error rate {rate:.1%} of {len(self.errors)} requests, at most {self.canary.max_error_rate:.1%}"
        p95_ms = float(np.percentile(self.seconds, 95)) * 1000
        if self.canary.p95_ms is not None and p95_ms > self.canary.p95_ms:
            return f"p95 {p95_ms:.1f} ms of {len(self.errors)} requests, at most {self.canary.p95_ms:g} ms"
        return None


class Client:
    """Asks one model of a server.

    Args:
        address: `host:port` of the gRPC API.
        model: The model's name.
        labelled: Whether the model's config gives the label `stable` to a version: requests then name it.
        canary: The share and budget of a canary, or None.
        on_breach: Called once, with the reason, when the canary leaves its budget; no more is sent to it then.
    """

    def __init__(
        self,
        address: str,
        model: str,
        *,
        labelled: bool = False,
        canary: Canary | None = None,
        on_breach: Callable[[str], None] | None = None,
    ):
        self._address, self._model, self._labelled = address, model, labelled
        self._judge = Judge(canary) if canary else None
        self._on_breach = on_breach or (lambda reason: None)
        self._share, self._lock = 0.0, threading.Lock()
        self._channel = grpc.insecure_channel(address, options=OPTIONS)
        self._predict = prediction_service_pb2_grpc.PredictionServiceStub(self._channel).Predict
        self._status = model_service_pb2_grpc.ModelServiceStub(self._channel).GetModelStatus

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_) -> None:
        self._channel.close()

    def predict(
        self,
        inputs: Mapping[str, np.ndarray],
        signature: str = "",
        version: int | None = None,
        seconds: float = SECONDS,
    ) -> tuple[dict[str, np.ndarray], int]:
        """Returns outputs by alias and the version that answered.

        What a canary fails to answer is asked of the stable version: its failure is not the caller's.

        Raises:
            ServingError: The server is not there, or refuses; in its own words.
        """
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        for alias, value in inputs.items():
            fill(request.inputs[alias], value)
        if version is not None:
            request.model_spec.version.value = version
        elif self._labelled or self._judge:
            if self._turn():
                found = self._ask_canary(request, seconds)
                if found is not None:
                    return found
            request.model_spec.version_label = STABLE
        try:
            return _outputs(self._predict(request, timeout=seconds))
        except grpc.RpcError as error:
            raise ServingError(self._words(error)) from None

    def states(self) -> dict[int, str]:
        """Returns each version's state, such as `AVAILABLE`; raises ServingError."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        try:
            found = self._status(request, timeout=SECONDS).model_version_status
        except grpc.RpcError as error:
            raise ServingError(self._words(error)) from None
        names = get_model_status_pb2.ModelVersionStatus.State
        return {one.version: names.Name(one.state) for one in found}

    def _turn(self) -> bool:
        """Whether this request is the canary's: of 100 in a row it gets exactly its percentage."""
        judge = self._judge
        if judge is None:
            return False
        with self._lock:
            self._share += judge.canary.percent / 100
            if self._share < 1 - 1e-9:
                return False
            self._share -= 1
            return True

    def _ask_canary(self, request: predict_pb2.PredictRequest, seconds: float) -> tuple[dict, int] | None:
        request.model_spec.version_label = CANARY
        begin, found = time.perf_counter(), None
        with contextlib.suppress(grpc.RpcError):
            found = _outputs(self._predict(request, timeout=seconds))
        with self._lock:
            judge = self._judge
            if judge is None:
                return found
            reason = judge.add(failed=found is None, seconds=time.perf_counter() - begin)
            if reason:
                self._judge = None
        if reason:
            self._labelled = True
            self._on_breach(reason)
        return found

    def _words(self, error: grpc.RpcError) -> str:
        details, code = error.details(), error.code()
        if code is grpc.StatusCode.UNAVAILABLE:
            return f"No model server answers at {self._address} ({details}); start one: headrace serve {self._model}"
        return f"The server at {self._address} says {code.name}: {details}"


def _outputs(response: predict_pb2.PredictResponse) -> tuple[dict[str, np.ndarray], int]:
    found = {alias: to_array(response.outputs[alias]) for alias in response.outputs}
    return found, response.model_spec.version.value
