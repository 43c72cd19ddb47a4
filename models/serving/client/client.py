"""A gRPC client of a model server: splits requests between the stable version and a canary, and ends bad canaries."""

import contextlib
import dataclasses
import logging
import math
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import grpc
import numpy as np
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from data.errors import ConfigError, ServingError
from models.serving.protocol.addresses import channel_options
from models.serving.protocol.tensors import fill, to_array
from models.serving.rollout import rollouts
from models.serving.rollout.canary import Figures, Recent, breach
from models.serving.rollout.rollouts import Canary, Rollout

STABLE = "stable"
SECONDS = 30.0
FOLLOW_SECONDS = 1.0
OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

logger = logging.getLogger(__name__)

Response = tuple[dict[str, np.ndarray], int]


class Client:
    """Sends requests for one model to a server; may be used from any thread.

    Args:
        address: `host:port` of the gRPC API.
        model: The model's name.
        follow: Folder of the pipeline's versions, `serving/<pipeline>`: requests then go to the live version, and a
            share to the canary, as set by `headrace promote`, `canary` and `rollback`; changes take effect within a
            second. A canary that exceeds its budget is ended. None: the newest version answers.
    """

    def __init__(self, address: str, model: str, *, follow: Path | None = None):
        self._address, self._model, self._follow = address, model, follow
        self._rollout, self._read_at = Rollout(), -math.inf
        self._ended_canary: Canary | None = None
        self._recent, self._share, self._lock = Recent(), 0.0, threading.Lock()
        self._channel = grpc.insecure_channel(address, options=[*OPTIONS, *channel_options(address)])
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
    ) -> Response:
        """Returns outputs by alias and the version that answered.

        A request that fails on the canary is sent again to the stable version. If it fails there too, the request is
        at fault, and the failure does not count against the canary.

        Args:
            inputs: Alias -> array.
            signature: Name of the signature; empty: `serving_default`.
            version: Version to use; None: the live one.
            seconds: Timeout.

        Raises:
            ServingError: The server does not respond, or refuses the request; with its message.
        """
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        for alias, value in inputs.items():
            fill(request.inputs[alias], value)
        try:
            if version is None:
                return self._send_live(request, seconds)
            request.model_spec.version.value = version
            return self._send(request, seconds)
        except grpc.RpcError as error:
            raise ServingError(self._message(error)) from None

    def states(self) -> dict[int, str]:
        """Returns each version's state, such as `AVAILABLE`, with the reason where it failed; raises ServingError."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        try:
            statuses = self._status(request, timeout=SECONDS).model_version_status
        except grpc.RpcError as error:
            raise ServingError(self._message(error)) from None
        state_names = get_model_status_pb2.ModelVersionStatus.State
        return {
            status.version: ": ".join(filter(None, (state_names.Name(status.state), status.status.error_message)))
            for status in statuses
        }

    def _send(self, request: predict_pb2.PredictRequest, seconds: float) -> Response:
        response = self._predict(request, timeout=seconds)
        outputs = {alias: to_array(response.outputs[alias]) for alias in response.outputs}
        return outputs, response.model_spec.version.value

    def _send_live(self, request: predict_pb2.PredictRequest, seconds: float) -> Response:
        rollout = self._live()
        failed_seconds = None
        if rollout.canary and self._turn(rollout.canary):
            # By number, since the server's label may still point to the previous canary for a moment.
            request.model_spec.version.value, begin = rollout.canary.version, time.perf_counter()
            try:
                response = self._send(request, seconds)
            except grpc.RpcError as error:
                if not _not_loaded(error):
                    failed_seconds = time.perf_counter() - begin
            else:
                self._judge(rollout.canary, failed=False, seconds=time.perf_counter() - begin)
                return response
        response = self._send_stable(request, rollout, seconds)
        if rollout.canary and failed_seconds is not None:
            self._judge(rollout.canary, failed=True, seconds=failed_seconds)
        return response

    def _send_stable(self, request: predict_pb2.PredictRequest, rollout: Rollout, seconds: float) -> Response:
        if rollout.stable is not None:
            request.model_spec.version.value = rollout.stable
            with _suppressed_until_loaded():
                return self._send(request, seconds)
            # The server has not read the last change yet, or has read a newer one than this client.
            request.model_spec.version_label = STABLE
            with _suppressed_until_loaded():
                return self._send(request, seconds)
        request.model_spec.ClearField("version")
        request.model_spec.ClearField("version_label")
        return self._send(request, seconds)

    def _live(self) -> Rollout:
        """Returns the rollout, read at most a second ago."""
        with self._lock:
            if self._follow is not None and time.monotonic() - self._read_at > FOLLOW_SECONDS:
                self._read_at = time.monotonic()
                with contextlib.suppress(ConfigError):  # reported where the rollout is changed
                    rollout = rollouts.read(self._follow)
                    if rollout.canary == self._ended_canary:
                        rollout = dataclasses.replace(rollout, canary=None)
                    if rollout.canary != self._rollout.canary:
                        self._recent.clear()
                    self._rollout = rollout
            return self._rollout

    def _turn(self, canary: Canary) -> bool:
        """Whether this request goes to the canary, which gets exactly its percentage of every 100 requests."""
        with self._lock:
            self._share += canary.percent / 100
            if self._share < 1 - 1e-9:
                return False
            self._share -= 1
            return True

    def _judge(self, canary: Canary, *, failed: bool, seconds: float) -> None:
        """Counts a request of the canary, and ends the canary if it exceeds its budget."""
        with self._lock:
            if self._rollout.canary != canary or self._follow is None:
                return
            self._recent.add(failed, seconds)
            reason = breach(canary, self._recent.figures(), Figures())
            if reason:
                self._ended_canary = canary
                self._rollout = dataclasses.replace(self._rollout, canary=None)
        if reason:
            try:
                rollouts.take_back(self._follow, canary.version, reason)
            except OSError as error:  # no right to write the file; this client sends it no more anyway
                logger.warning("canary %d of %s is not taken back (%s): %s", canary.version, self._model, error, reason)

    def _message(self, error: grpc.RpcError) -> str:
        details, code = error.details(), error.code()
        if code is grpc.StatusCode.UNAVAILABLE:
            return f"No model server answers at {self._address} ({details}); start one: headrace serve {self._model}"
        return f"The server at {self._address} says {code.name}: {details}"


@contextlib.contextmanager
def _suppressed_until_loaded() -> Iterator[None]:
    try:
        yield
    except grpc.RpcError as error:
        if not _not_loaded(error):
            raise


def _not_loaded(error: grpc.RpcError) -> bool:
    """Whether an error says that a label or version is unknown to the server, or not loaded yet."""
    details = error.details() or ""
    return details.startswith(("Unrecognized servable version label", "Servable not found for request"))
