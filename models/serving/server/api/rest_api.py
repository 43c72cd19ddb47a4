"""HTTP/REST: predict, classify, regress, status, metadata and Prometheus's page, with TF Serving's responses."""

import asyncio
import contextlib
import dataclasses
import json
import logging
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

from aiohttp import web
from google.protobuf import json_format
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    regression_pb2,
)

from models.serving.protocol import json_requests, json_responses
from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.server.api import bodies
from models.serving.server.api.calls import Call, Caller, new_identifier

API = re.compile(r"/v1/.*", re.IGNORECASE | re.DOTALL)
PREDICTION = re.compile(
    r"/v1/models/([^/:]+)(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?:(classify|regress|predict)", re.IGNORECASE
)
STATUS = re.compile(
    r"/v1/models(?:/([^/:]+))?(?:(?:/versions/([0-9]+))|(?:/labels/([^/:]+)))?(?:/(metadata))?", re.IGNORECASE
)
# Response of libevent, TF Serving's HTTP library, for unknown paths.
NOT_FOUND = "<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>\n</HEAD><BODY>\n<H1>Not Found</H1>\n</BODY></HTML>\n"
CORS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}
REQUEST_ID = "X-Request-Id"
MAX_DIGITS = 19  # of an int64
STATISTICS = "/monitoring/versions"  # not in TF Serving: `headrace serve` judges a canary by it
MAX_MESSAGE = 300  # characters of an error message of aiohttp, which quotes the request

logger = logging.getLogger(__name__)


class RestApi:
    """The REST API of one server.

    Args:
        caller: Runs the calls.
        timeout_ms: Milliseconds after which a call of a model fails.
        cors: Whether responses have CORS headers.
        metrics_path: Path of Prometheus's page; empty: none.
        max_bytes: Maximum size of a body, decompressed; 0: no limit.
    """

    def __init__(self, caller: Caller, *, timeout_ms: int, cors: bool, metrics_path: str, max_bytes: int):
        self._caller, self._engine = caller, caller.engine
        self._timeout_ms, self._metrics_path, self._max_bytes = timeout_ms, metrics_path, max_bytes
        self._headers = CORS if cors else {}

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Returns the response to any request."""
        path, method = request.rel_url.raw_path, request.method
        if self._metrics_path and path == STATISTICS:
            return web.json_response(self._statistics())
        if self._metrics_path and path.startswith(self._metrics_path):
            return self._metrics(path)
        if not API.fullmatch(path):
            return web.Response(status=404, text=NOT_FOUND, content_type="text/html", charset=None)
        identifier = request.headers.get(REQUEST_ID) or (new_identifier() if self._caller.identifies else "")
        headers = {**self._headers, "Content-Type": "application/json"}
        if identifier:
            headers[REQUEST_ID] = identifier
        try:
            if method == "OPTIONS":
                if not re.match(r"https?://", request.headers.get("Origin", "")):
                    raise ServingStatus(Code.FAILED_PRECONDITION, "")
                body = b""
            else:
                body = await self._answer(request, method, path, identifier)
            response = web.Response(body=body, headers=headers)
        except ServingStatus as status:
            text = json_responses.write_error(status.message) if status.message else b""
            response = web.Response(status=status.http(), body=text, headers=headers)
        if self._caller.is_ending:
            response.force_close()
        return response

    async def _answer(self, request: web.BaseRequest, method: str, path: str, request_id: str) -> bytes:
        if method == "POST" and (match := PREDICTION.fullmatch(path)):
            name, version, label, verb = match.groups()
            spec = _spec(name, version, label)
            body, coding = await self._body(request), bodies.coding(request.headers.get("Content-Encoding", ""))
            # A small compressed body may be a large one.
            call = Call(verb.capitalize(), "REST", spec.name, request_id=request_id, slow=bool(coding))
            work = {"predict": self._predict, "classify": self._classify, "regress": self._regress}[verb.lower()]
            return await self._caller.run(
                call, len(body), lambda: work(call, spec, bodies.inflated(body, coding, self._max_bytes))
            )
        if method == "GET" and (match := STATUS.fullmatch(path)):
            name, version, label, metadata = match.groups()
            if not name:
                raise invalid("Missing model name in request.")
            spec = _spec(name, version, label)
            call = Call("GetModelMetadata" if metadata else "GetModelStatus", "REST", spec.name, request_id=request_id)
            return await self._caller.run(call, 0, lambda: (self._metadata if metadata else self._status)(spec))
        raise invalid(f"Malformed request: {method} {path}")

    async def _body(self, request: web.BaseRequest) -> bytes:
        if request.headers.get("Expect", "").lower() == "100-continue":  # curl waits a second for this response
            await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            request.writer.output_size = 0  # else the connection takes the response for begun
        try:
            return await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise bodies.too_large(self._max_bytes) from None
        except Exception as error:  # a body that is cut off, or is not what its Content-Encoding says
            raise invalid(f"The request's body cannot be read ({type(error).__name__}).") from None

    def _predict(self, call: Call, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        response, call.version = self._engine.predict_json(spec, body, self._timeout_ms)
        return response

    def _classify(self, call: Call, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        response = self._call_with_examples(call, request, body, self._engine.classify)
        return json_responses.write_classifications(response.result)

    def _regress(self, call: Call, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
        request = regression_pb2.RegressionRequest(model_spec=spec)
        response = self._call_with_examples(call, request, body, self._engine.regress)
        return json_responses.write_regressions(response.result)

    def _call_with_examples(self, call: Call, request: Any, body: bytes, method: Callable[[Any, int], Any]) -> Any:
        """Returns the response of `method` to a request whose examples are read from the body."""
        document = json_requests.parse(body)
        request.model_spec.signature_name = json_requests.signature_name(document)
        request.input.CopyFrom(json_requests.read_examples(document))
        response = method(request, self._timeout_ms)
        call.version = response.model_spec.version.value
        return response

    def _status(self, spec: model_pb2.ModelSpec) -> bytes:
        return _text(_values(self._engine.status(get_model_status_pb2.GetModelStatusRequest(model_spec=spec))))

    def _metadata(self, spec: model_pb2.ModelSpec) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=["signature_def"])
        response = self._engine.metadata(request)
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(signatures)
        # TF Serving puts the two messages into one object by hand.
        return _text({"model_spec": _values(response.model_spec), "metadata": {"signature_def": _values(signatures)}})

    def _statistics(self) -> dict:
        """Returns statistics of the last requests, model -> version -> `Figures`; TF Serving has none by version."""
        return {
            model: {number: dataclasses.asdict(figures) for number, figures in versions.items()}
            for model, versions in self._engine.manager.figures().items()
        }

    def _metrics(self, path: str) -> web.Response:
        if path != self._metrics_path:
            text = f"Unexpected path: {path}. Should be {self._metrics_path}"
            return web.Response(status=400, text=text, content_type="text/plain", charset=None)
        return web.Response(body=self._engine.metrics.text().encode(), headers={"Content-Type": "text/plain"})


def _spec(name: str, version: str | None, label: str | None) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(name))
    if version:
        digits = version.lstrip("0") or "0"
        if len(digits) > MAX_DIGITS or int(digits) >= 2**63:
            raise invalid(f"Failed to convert version: {version} to numeric.")
        spec.version.value = int(digits)
    elif label:
        spec.version_label = unquote(label)
    return spec


def _values(message) -> dict:
    return json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )


def _text(value) -> bytes:
    """Returns JSON in the layout of protobuf's C++ printer, with an indent of one space."""
    return (json.dumps(value, indent=1, ensure_ascii=False) + "\n").encode()


class _Connection(web.RequestHandler):
    """A connection that answers malformed and too large HTTP requests with a JSON error."""

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Returns the response to a request that cannot be parsed, or whose handler failed."""
        if request.writer.output_size > 0:
            raise ConnectionError("the response has begun")
        if status == 500:
            logger.error("error in a REST call", exc_info=exc)
            message = "Internal error of the server; its log says more."
        text = json_responses.write_error((message or f"Malformed request ({exc}).")[:MAX_MESSAGE])
        response = web.Response(status=status, body=text, headers={"Content-Type": "application/json"})
        response.force_close()
        return response


class _HttpServer(web.Server):
    """aiohttp's server with `_Connection` for its connections."""

    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


async def start(api: RestApi, host: str, port: int, max_bytes: int, drain_seconds: float) -> web.ServerRunner:
    """Returns a server that listens; raises OSError when the port is taken."""

    def request_factory(message, payload, protocol, writer, task):
        return web.BaseRequest(
            message, payload, protocol, writer, task, protocol._loop, client_max_size=max_bytes or 2**62
        )

    # `bodies` decompresses up to a limit and off the event loop: aiohttp would decompress a whole bomb on it.
    server = _HttpServer(api.handle, request_factory=request_factory, access_log=None, auto_decompress=False)
    runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=drain_seconds)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


async def stop(runner: web.ServerRunner, seconds: float) -> None:
    """Accepts no more connections, and gives running requests `seconds` to finish; aiohttp alone gives twice that."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(runner.cleanup(), seconds)
