"""gRPC: PredictionService and ModelService."""

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import grpc
import grpc.aio
from google.protobuf.message import DecodeError, Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from models.serving.protocol.addresses import is_local
from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.server.api.calls import QUICK_BYTES, Call, Caller, new_identifier
from models.serving.server.inference import Engine

PREDICTION_SERVICE = "tensorflow.serving.PredictionService"
MODEL_SERVICE = "tensorflow.serving.ModelService"
REQUEST_ID = "x-request-id"


@dataclass(frozen=True)
class Method:
    """A method of a service.

    Attributes:
        name: Name in the service.
        request: Message type of its request.
        work: Returns the response to a request; if `timed`, its second argument is the milliseconds left, or None.
        counted: Whether the metrics count it.
        timed: Whether it obeys the client's deadline.
        slow: Whether it never runs on the event loop.
        local: Whether only clients on this machine may call it.
    """

    name: str
    request: type[Message]
    work: Callable[..., Any]
    counted: bool = False
    timed: bool = False
    slow: bool = False
    local: bool = False


def handlers(caller: Caller, *, remote_reload: bool = False) -> list[grpc.GenericRpcHandler]:
    """Returns the handlers of both services."""
    services = {
        PREDICTION_SERVICE: _prediction_methods(caller.engine),
        MODEL_SERVICE: _model_methods(caller, remote_reload),
    }
    return [
        grpc.method_handlers_generic_handler(name, {method.name: _handler(caller, method) for method in methods})
        for name, methods in services.items()
    ]


def _prediction_methods(engine: Engine) -> list[Method]:
    return [
        Method("Predict", predict_pb2.PredictRequest, engine.predict, counted=True, timed=True),
        Method("Classify", classification_pb2.ClassificationRequest, engine.classify, counted=True, timed=True),
        Method("Regress", regression_pb2.RegressionRequest, engine.regress, counted=True, timed=True),
        Method("MultiInference", inference_pb2.MultiInferenceRequest, engine.multi_inference, timed=True),
        Method("GetModelMetadata", get_model_metadata_pb2.GetModelMetadataRequest, engine.metadata),
    ]


def _model_methods(caller: Caller, remote_reload: bool) -> list[Method]:
    reload = model_management_pb2.ReloadConfigRequest
    return [
        Method("GetModelStatus", get_model_status_pb2.GetModelStatusRequest, caller.engine.status),
        Method("HandleReloadConfigRequest", reload, _reload(caller), timed=True, slow=True, local=not remote_reload),
    ]


def _handler(caller: Caller, method: Method) -> grpc.RpcMethodHandler:
    """Returns the handler of a method: it parses a request, runs it, and serializes the response or the error."""
    # Looked up once: this runs for every request.
    work, counted, timed, slow = method.work, method.counted, method.timed, method.slow

    async def handle(serialized: bytes, context: grpc.aio.ServicerContext) -> bytes:
        remaining = context.time_remaining()
        timeout_ms = None if remaining is None else max(0, int(remaining * 1000))
        call = Call(method.name, "GRPC", counted=counted, slow=slow)
        if caller.identifies:
            call.request_id = str(dict(context.invocation_metadata() or ()).get(REQUEST_ID, "")) or new_identifier()
            context.set_trailing_metadata(((REQUEST_ID, call.request_id),))
        try:
            if method.local and not is_local_peer(context.peer()):
                raise ServingStatus(
                    Code.PERMISSION_DENIED,
                    f"{method.name} is taken from this machine only; --allow_remote_reload takes it from others too.",
                )
            # A small call runs where its model allows; a large message is not even parsed on the event loop.
            request = None
            if len(serialized) <= QUICK_BYTES:
                request = _parsed(method.request, serialized)
                call.model = _model(request)

            def respond() -> bytes:
                message = request
                if message is None:
                    message = _parsed(method.request, serialized)
                    call.model = _model(message)
                response = work(message, timeout_ms) if timed else work(message)
                if counted:
                    call.version = response.model_spec.version.value
                return response.SerializeToString()

            return await caller.run(call, len(serialized), respond)
        except ServingStatus as status:
            await context.abort(status.code, status.message)
            raise  # abort raises; this is for the type checker

    return grpc.unary_unary_rpc_method_handler(handle)


def is_local_peer(peer: str) -> bool:
    """Whether a gRPC peer name, such as `ipv4:127.0.0.1:5000`, is a client on this machine."""
    family, _, address = peer.partition(":")
    return family == "unix" or is_local(unquote(address).rpartition(":")[0])


def _reload(caller: Caller) -> Callable[[model_management_pb2.ReloadConfigRequest, int | None], Message]:
    """Returns the function that answers HandleReloadConfigRequest, once all new models are available or have failed.

    For a model without a version it waits until the client's deadline; TF Serving waits for ever.
    """

    def reload(
        request: model_management_pb2.ReloadConfigRequest, timeout_ms: int | None
    ) -> model_management_pb2.ReloadConfigResponse:
        if request.config.WhichOneof("config") != "model_config_list":
            raise invalid(
                "ServerModelConfig type not supported by HandleReloadConfigRequest. Only ModelConfigList is currently "
                "supported"
            )
        manager, count = caller.engine.manager, caller.engine.metrics.count
        before = {name: count(name) for name in request.metric_names}
        seconds = None if timeout_ms is None else timeout_ms / 1000
        failed = manager.wait_for(manager.configure(request.config), seconds)
        if failed:
            raise ServingStatus(
                Code.UNKNOWN, f"{len(failed)} model(s) did not become available: {{{', '.join(failed)}}}"
            )
        response = model_management_pb2.ReloadConfigResponse()
        response.status.SetInParent()  # OK, as the call itself
        for name, value in before.items():
            response.metric.add(name=name, int64_value_increase=count(name) - value)
        return response

    return reload


def _parsed(kind: type[Message], serialized: bytes) -> Any:
    try:
        return kind.FromString(serialized)
    except DecodeError:
        raise invalid(f"The request is no {kind.DESCRIPTOR.name}.") from None


def _model(request: Any) -> str:
    spec = getattr(request, "model_spec", None)
    if spec is None:
        tasks = getattr(request, "tasks", ())
        spec = tasks[0].model_spec if tasks else None
    return spec.name if spec is not None else ""


async def start(
    caller: Caller, addresses: list[str], *, max_bytes: int, arguments: str, check_health: bool, remote_reload: bool
) -> grpc.aio.Server:
    """Returns a server that listens on `addresses`.

    Args:
        caller: Runs the calls.
        addresses: `host:port` and `unix:path`.
        max_bytes: Maximum size of a message; -1: no limit.
        arguments: gRPC's channel arguments, `k=v,k=v`.
        check_health: Whether to serve grpc.health.v1.Health.
        remote_reload: Whether clients on other machines may replace the model config.

    Raises:
        OSError: An address is taken.
    """
    # The caller limits concurrent calls, for both APIs together.
    server = grpc.aio.server(options=_channel_options(arguments, max_bytes))
    server.add_generic_rpc_handlers(handlers(caller, remote_reload=remote_reload))
    if check_health:
        servicer = health.aio.HealthServicer()
        for service in ("ModelService", "PredictionService"):  # and the server itself, whose name is empty
            await servicer.set(service, health_pb2.HealthCheckResponse.SERVING)
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    for address in addresses:
        try:
            bound = server.add_insecure_port(address)
        except RuntimeError:
            bound = 0
        if not bound and not address.startswith("unix:"):
            raise OSError(f"{address} is taken")
    await server.start()
    return server


def _channel_options(arguments: str, max_bytes: int) -> list[tuple[str, int | str]]:
    options: list[tuple[str, int | str]] = [
        ("grpc.max_receive_message_length", max_bytes),
        ("grpc.max_send_message_length", -1),
        ("grpc.so_reuseport", 0),  # else two servers could share a port, and take turns without a warning
    ]
    for pair in filter(None, arguments.split(",")):
        key, _, value = pair.partition("=")
        options.append((key.strip(), _channel_value(value.strip())))
    return options


def _channel_value(text: str) -> int | str:
    """Returns the value of a channel argument: an int if it fits a C int, as in TF Serving, else the text."""
    is_number = re.fullmatch(r"[+-]?[0-9]{1,10}", text) and -(2**31) <= int(text) < 2**31
    return int(text) if is_number else text


async def stop(server: grpc.aio.Server, seconds: float) -> None:
    """Accepts no more calls, and gives running ones `seconds` to finish."""
    await asyncio.shield(server.stop(seconds))
