"""REST requests: an input is the request's head, an empty line and its body, lines of the head ended by `\\n` alone."""

import asyncio
import gzip
import json

from benchmarks.fuzzing import serving
from benchmarks.fuzzing.findings import Finding

MODULES = (
    "models.serving.protocol.json_requests",
    "models.serving.protocol.json_responses",
    "models.serving.protocol.example_calls",
    "models.serving.protocol.signatures",
    "models.serving.server.api.bodies",
    "models.serving.server.api.rest_api",
    "models.serving.server.api.calls",
    "models.serving.server.inference",
)
BODIES = [
    ("predict", {"instances": [[1.0, 2.0], [3.0, 4.5]]}),
    ("predict", {"inputs": {"x": [[1, 16777217]]}}),
    ("predict", {"signature_name": "two", "instances": [{"a": 1.0, "b": 2}, {"a": -1e30, "b": -7}]}),
    ("predict", {"signature_name": "two", "inputs": {"a": [1e-40, 2], "b": [2147483647, 0]}}),
    ("predict", {"signature_name": "strings", "inputs": {"text": ["abc", {"b64": "AAEC"}, "\u00e9\n\"\\"]}}),
    ("predict", {"signature_name": "total", "instances": [1, 2, 3]}),
    ("classify", {"signature_name": "classify", "examples": [{"v": 0.5}, {"v": [1.0]}]}),
    ("classify", {"signature_name": "classify", "context": {"v": 1.0, "w": "text"}, "examples": [{"x": [1, 2]}]}),
    ("regress", {"signature_name": "regress", "examples": [{"v": 0.5, "b": {"b64": "AAEC"}}]}),
]  # fmt: skip
WORDS = (
    '"instances":', '"inputs":', '"signature_name":', '"examples":', '"context":', '"b64":', "NaN", "-Infinity",
    "1e999", "99999999999999999999", "\\ud800", "\\u0000", "[[[[[[[[", "]]]]]]]]", "{}", "null", "true", "-0.0",
    "/v1/models/tiny", "/versions/", "/labels/", "/metadata", ":predict", "%ff", "%00", "%F0%9F%98%80",
    "Content-Encoding: gzip", "Content-Encoding: deflate", "Transfer-Encoding: chunked", "X-Request-Id: ",
    "Expect: 100-continue", "Origin: http://a", "HEAD", "OPTIONS",
)  # fmt: skip
DEEP = 100  # greatest depth of lists in the round trip
# Those that a request may have; 500 is a fault.
STATUSES = {200, 400, 404, 405, 408, 411, 413, 414, 417, 429, 431, 501, 505}


def seeds() -> list[bytes]:
    """Returns valid requests of each kind."""
    post = [
        f"POST /v1/models/tiny:{verb} HTTP/1.1\nContent-Type: application/json\n\n{json.dumps(body)}".encode()
        for verb, body in BODIES
    ]
    get = [
        f"{method} {path} HTTP/1.1\n\n".encode()
        for method, path in (
            ("GET", "/v1/models/tiny"), ("GET", "/v1/models/tiny/versions/7/metadata"), ("GET", "/v1/models/a%20b"),
            ("GET", "/v1/models/tiny/labels/stable"), ("GET", "/v1/models"), ("OPTIONS", "/v1/models/tiny:predict"),
            ("POST", "/v1/models/tiny/versions/99999999999999999999:predict"), ("GET", "/else?a=b#c"),
        )
    ]  # fmt: skip
    packed = gzip.compress(json.dumps(BODIES[0][1]).encode(), mtime=0)
    head = b"POST /v1/models/tiny/versions/7:predict HTTP/1.1\nContent-Encoding: gzip\nX-Request-Id: a\n\n"
    deep = [
        b'POST /v1/models/tiny:predict HTTP/1.1\n\n{"instances": ' + b"[" * depth + b"1" + b"]" * depth + b"}"
        for depth in (64, 1500)
    ]
    return [*post, *get, head + packed, *deep]


class _Transport(asyncio.Transport):
    """Stores the bytes written."""

    def __init__(self):
        super().__init__()
        self.written, self.closed = bytearray(), False

    def write(self, data) -> None:
        self.written += data

    def writelines(self, pieces) -> None:
        for piece in pieces:
            self.written += piece

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None: ...

    def resume_reading(self) -> None: ...


class Target:
    """Sends requests through aiohttp's parser to the API, without a socket, and checks the responses."""

    def __init__(self):
        from tensorflow_serving.apis import model_pb2

        from models.serving.server.api import rest_api

        self._caller = serving.caller()
        self._loop = asyncio.new_event_loop()
        api = rest_api.RestApi(self._caller, timeout_ms=30_000, cors=False, metrics_path="", max_bytes=2**26)
        self._runner = self._loop.run_until_complete(rest_api.start(api, "127.0.0.1", 0, 2**26, 1.0))
        self._errors = serving.errors()
        servable = self._caller.engine.manager.acquire(model_pb2.ModelSpec(name="tiny"))
        self._inputs = {name: definition.inputs for name, definition in servable.definitions.items()}

    def __call__(self, content: bytes) -> None:
        """Sends one request, and makes a round trip of its body."""
        head, _, body = content.partition(b"\n\n")
        lines = [*head.split(b"\n"), b"Host: a", b"Connection: close"]
        if b"transfer-encoding" not in head.lower():
            lines.append(b"Content-Length: %d" % len(body))
        self._errors.error = None
        response = self._loop.run_until_complete(self._send(b"\r\n".join(lines) + b"\r\n\r\n" + body))
        if self._errors.error is not None:
            raise self._errors.error
        if response:
            _check(response)
        self._round_trip(body)

    def close(self) -> None:
        """Closes the port, and removes the log handler."""
        self._loop.run_until_complete(self._runner.cleanup())
        self._loop.close()
        self._errors.close()

    async def _send(self, request: bytes) -> bytes:
        """Returns the response; empty where the server waits for more of the request."""
        transport = _Transport()
        protocol = self._runner.server()
        protocol.connection_made(transport)
        protocol.data_received(request)
        idle = 0
        while not transport.closed and idle < 20:
            idle = 0 if self._caller.running else idle + 1
            await asyncio.sleep(0.0002 if self._caller.running else 0)
        protocol.connection_lost(None)
        await asyncio.sleep(0)
        return bytes(transport.written)

    def _round_trip(self, body: bytes) -> None:
        """Reads inputs, writes them as outputs and reads those: the numbers must be equal."""
        import numpy as np

        from models.serving.protocol import json_requests, json_responses
        from models.serving.protocol.statuses import ServingStatus

        try:
            document = json_requests.parse(body)
            inputs = self._inputs.get(json_requests.signature_name(document) or "serving_default", {})
            arrays, _ = json_requests.read_inputs(document, inputs) if inputs else ({}, False)
        except ServingStatus:
            return
        if not arrays or any(array.dtype == object or array.ndim > DEEP for array in arrays.values()):
            return
        text = json_responses.write_columns(arrays).replace(b'"outputs"', b'"inputs"', 1)
        copies, _ = json_requests.read_inputs(json_requests.parse(text), inputs)
        for alias, array in arrays.items():
            np.testing.assert_array_equal(copies[alias], array)


def _check(response: bytes) -> None:
    """Raises Finding for a response that no client can use."""
    if response.startswith(b"HTTP/1.1 100 Continue\r\n\r\n"):
        response = response.partition(b"\r\n\r\n")[2]
    head, _, body = response.partition(b"\r\n\r\n")
    status = int(head.split(b" ", 2)[1])
    if status not in STATUSES:
        raise Finding(f"status {status}")
    if b"application/json" in head and body:
        if status == 200:
            json.loads(body.decode(errors="replace"))
        elif set(json.loads(body.decode())) != {"error"}:
            raise Finding(f"an error of status {status} without its text")
    elif status != 200 and body and b"404 Not Found" not in body:
        raise Finding(f"status {status} is not in JSON")
