"""Our client: asks a server by gRPC, sends a canary its share, and takes it back when its budget is spent."""

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

Answer = tuple[dict[str, np.ndarray], int]


class Client:
    """Asks one model of a server; may be used from any thread.

    Args:
        address: `host:port` of the gRPC API.
        model: The model's name.
        follow: Folder of the pipeline's versions, `serving/<pipeline>`: requests then go to the version that is live,
            and to a canary its share, as `headrace promote`, `canary` and `rollback` have it, within a second. A canary
            that leaves its budget is taken back. None: the newest version answers.
    """

    def __init__(self, address: str, model: str, *, follow: Path | None = None):
        self._address, self._model, self._follow = address, model, follow
        self._rollout, self._looked = Rollout(), -math.inf
        self._given_up: Canary | None = None
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
    ) -> Answer:
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
        try:
            if version is None:
                return self._ask_live(request, seconds)
            request.model_spec.version.value = version
            return self._ask(request, seconds)
        except grpc.RpcError as error:
            raise ServingError(self._words(error)) from None

    def states(self) -> dict[int, str]:
        """Returns each version's state, such as `AVAILABLE`, with the reason where it failed; raises ServingError."""
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = self._model
        try:
            found = self._status(request, timeout=SECONDS).model_version_status
        except grpc.RpcError as error:
            raise ServingError(self._words(error)) from None
        names = get_model_status_pb2.ModelVersionStatus.State
        return {
            one.version: ": ".join(filter(None, (names.Name(one.state), one.status.error_message))) for one in found
        }

    def _ask(self, request: predict_pb2.PredictRequest, seconds: float) -> Answer:
        response = self._predict(request, timeout=seconds)
        outputs = {alias: to_array(response.outputs[alias]) for alias in response.outputs}
        return outputs, response.model_spec.version.value

    def _ask_live(self, request: predict_pb2.PredictRequest, seconds: float) -> Answer:
        live = self._live()
        failed_after = None
        if live.canary and self._turn(live.canary):
            # By number: for a moment the server's label may still point to the canary before.
            request.model_spec.version.value, begin = live.canary.version, time.perf_counter()
            try:
                answer = self._ask(request, seconds)
            except grpc.RpcError as error:
                if not _not_loaded(error):
                    failed_after = time.perf_counter() - begin
            else:
                self._judge(live.canary, failed=False, seconds=time.perf_counter() - begin)
                return answer
        answer = self._ask_stable(request, live, seconds)
        if live.canary and failed_after is not None:
            self._judge(live.canary, failed=True, seconds=failed_after)
        return answer

    def _ask_stable(self, request: predict_pb2.PredictRequest, live: Rollout, seconds: float) -> Answer:
        if live.stable is not None:
            request.model_spec.version.value = live.stable
            with _suppressed_until_loaded():
                return self._ask(request, seconds)
            # The server has yet to read what is live, or is ahead of us.
            request.model_spec.version_label = STABLE
            with _suppressed_until_loaded():
                return self._ask(request, seconds)
        request.model_spec.ClearField("version")
        request.model_spec.ClearField("version_label")
        return self._ask(request, seconds)

    def _live(self) -> Rollout:
        """Returns what is live, as of a second ago at most."""
        with self._lock:
            if self._follow is not None and time.monotonic() - self._looked > FOLLOW_SECONDS:
                self._looked = time.monotonic()
                with contextlib.suppress(ConfigError):  # told where somebody changes what is live
                    found = rollouts.read(self._follow)
                    if found.canary == self._given_up:
                        found = dataclasses.replace(found, canary=None)
                    if found.canary != self._rollout.canary:
                        self._recent.clear()
                    self._rollout = found
            return self._rollout

    def _turn(self, canary: Canary) -> bool:
        """Whether this request is the canary's: of 100 in a row it gets exactly its percentage."""
        with self._lock:
            self._share += canary.percent / 100
            if self._share < 1 - 1e-9:
                return False
            self._share -= 1
            return True

    def _judge(self, canary: Canary, *, failed: bool, seconds: float) -> None:
        """Counts a request of the canary, and takes it back when it has left its budget."""
        with self._lock:
            if self._rollout.canary != canary or self._follow is None:
                return
            self._recent.add(failed, seconds)
            reason = breach(canary, self._recent.figures(), Figures())
            if reason:
                self._given_up = canary
                self._rollout = dataclasses.replace(self._rollout, canary=None)
        if reason:
            try:
                rollouts.take_back(self._follow, canary.version, reason)
            except OSError as error:  # not ours to write; we send it no more all the same
                logger.warning("canary %d of %s is not taken back (%s): %s", canary.version, self._model, error, reason)

    def _words(self, error: grpc.RpcError) -> str:
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
    """Whether a server says that it does not know a label, or not yet have its version."""
    details = error.details() or ""
    return details.startswith(("Unrecognized servable version label", "Servable not found for request"))
