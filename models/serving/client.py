"""Our client: asks a server by gRPC, sends a canary its share, and takes it back when its budget is spent."""

import contextlib
import threading
import time
from collections.abc import Callable, Mapping

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from data.errors import ServingError
from models.serving.canary import Figures, Recent, breach
from models.serving.rollout import Canary
from models.serving.tensors import fill, to_array

STABLE, CANARY = "stable", "canary"
SECONDS = 30.0
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


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
        self._canary, self._recent = canary, Recent()
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

        What a canary fails to answer is asked of the stable version: its failure is not the caller's. What both fail
        to answer is the caller's, and nothing that the canary is taken back for.

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
        elif self._turn():
            return self._ask_canary(request, seconds)
        elif self._labelled or self._canary:
            request.model_spec.version_label = STABLE
        return self._ask(request, seconds)

    def _ask(self, request: predict_pb2.PredictRequest, seconds: float) -> tuple[dict[str, np.ndarray], int]:
        try:
            response = self._predict(request, timeout=seconds)
        except grpc.RpcError as error:
            raise ServingError(self._words(error)) from None
        outputs = {alias: to_array(response.outputs[alias]) for alias in response.outputs}
        return outputs, response.model_spec.version.value

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
        with self._lock:
            if self._canary is None:
                return False
            self._share += self._canary.percent / 100
            if self._share < 1 - 1e-9:
                return False
            self._share -= 1
            return True

    def _ask_canary(self, request: predict_pb2.PredictRequest, seconds: float) -> tuple[dict[str, np.ndarray], int]:
        request.model_spec.version_label = CANARY
        begin, found = time.perf_counter(), None
        with contextlib.suppress(ServingError):
            found = self._ask(request, seconds)
        taken = time.perf_counter() - begin
        failed = found is None
        if found is None:
            request.model_spec.version_label = STABLE
            found = self._ask(request, seconds)
        self._judge(failed=failed, seconds=taken)
        return found

    def _judge(self, *, failed: bool, seconds: float) -> None:
        """Counts a request of the canary, and sends it no more when it has left its budget."""
        with self._lock:
            if self._canary is None:
                return
            self._recent.add(failed=failed, seconds=seconds)
            reason = breach(self._canary, self._recent.figures(), Figures())
            if reason:
                self._canary, self._labelled = None, True
        if reason:
            self._on_breach(reason)

    def _words(self, error: grpc.RpcError) -> str:
        details, code = error.details(), error.code()
        if code is grpc.StatusCode.UNAVAILABLE:
            return f"No model server answers at {self._address} ({details}); start one: headrace serve {self._model}"
        return f"The server at {self._address} says {code.name}: {details}"
