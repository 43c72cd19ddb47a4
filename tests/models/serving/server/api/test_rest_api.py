import asyncio
import base64
import gzip
import json
import socket
from pathlib import Path

import numpy as np
import pytest

from tests.models.serving.models import request
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow

ROWS = {"instances": [[1.0, 2.0], [3, 4]]}


def b64(content: bytes) -> dict:
    return {"b64": base64.b64encode(content).decode()}


def test_instances_give_predictions_by_row(server):
    assert server.predict(ROWS) == {"predictions": [[1.5, 2.5], [3.5, 4.5]]}


def test_json_has_the_layout_of_rapidjson(server):
    _, text, headers = server.http("/v1/models/tiny:predict", ROWS)

    assert text == '{\n    "predictions": [[1.5, 2.5], [3.5, 4.5]\n    ]\n}'
    assert headers["Content-Type"] == "application/json"


def test_inputs_give_outputs_by_column(server):
    _, text, _ = server.http("/v1/models/tiny:predict", {"inputs": [[1.0, 2.0]]})

    assert text == ('{\n    "outputs": [\n        [\n            1.5,\n            2.5\n        ]\n    ]\n}')


def test_several_inputs_and_several_outputs_are_objects(server):
    rows = server.predict({"signature_name": "two", "instances": [{"a": 1, "b": 2}, {"a": 0.5, "b": 1}]})
    columns = server.predict({"signature_name": "two", "inputs": {"a": [1, 0.5], "b": [2, 1], "unused": 3}})

    assert rows == {"predictions": [{"sum": 3.0, "whole": 2}, {"sum": 1.5, "whole": 1}]}
    assert columns == {"outputs": {"sum": [3.0, 1.5], "whole": [2, 1]}}


def test_strings_are_plain_or_base64_and_outputs_named_bytes_are_base64(server):
    response = server.predict({"signature_name": "strings", "instances": ["ab", b64(b"\xffx")]})

    assert response["predictions"][0] == {"upper": "AB", "raw_bytes": b64(b"ab")}
    assert response["predictions"][1]["raw_bytes"] == b64(b"\xffx")


@pytest.mark.parametrize("value", [16_777_216, 16_777_217, 1_785_000_000, -(2**63), 2**64 - 1, 2**64, 10**30])
def test_integers_of_any_size_are_read_as_floats(server, value):
    (rows,) = server.predict({"inputs": [[value, 0.5]]})["outputs"]
    (mixed,) = server.predict({"instances": [[value, 2]]})["predictions"]

    assert np.float32(rows[0]) == np.float32(mixed[0]) == np.float32(np.float32(value) + np.float32(0.5))


@pytest.mark.parametrize("text", ["YWJj\nZGU=\n", "YWJj\r\nZGU=\r\n", " YW Jj\tZGU", "YWJjZGU."])
def test_base64_may_have_white_space_and_no_padding(server, text):
    response = server.predict({"signature_name": "strings", "instances": [{"b64": text}]})

    assert response["predictions"][0]["upper"] == "ABCDE"


def test_nan_and_infinity_are_unquoted_in_requests_and_responses(server):
    _, text, _ = server.http("/v1/models/tiny:predict", b'{"instances": [[NaN, -Infinity]]}')

    assert "[[NaN, -Infinity]" in text


def test_text_after_the_object_is_ignored(server):
    status, _, _ = server.http("/v1/models/tiny:predict", json.dumps(ROWS).encode() + b" and more")

    assert status == 200


REFUSED = [
    (b"", "JSON Parse error: The document is empty"),
    (b"[1]", "Is not object"),
    (b'{"instances": [[1, 2', "JSON Parse error: Missing a comma or "),
    ({}, "Missing 'inputs' or 'instances' key"),
    ({"instances": [[1, 2]], "inputs": [[1, 2]]}, "expecting only one of 'inputs' or 'instances' keys to exist "),
    ({"instances": 1}, "Expecting 'instances' to be an list/array"),
    ({"instances": []}, "No values in 'instances' array"),
    ({"signature_name": 1, "instances": [1]}, "'signature_name' key must be a string value."),
    ({"signature_name": "nope", **ROWS}, 'Serving signature name: "nope" not found in signature def'),
    (
        {"signature_name": "__saved_model_init_op", **ROWS},
        "Failed to get input map for signature: __saved_model_init_op",
    ),
    (
        {"signature_name": "two", "instances": [1, 2]},
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    ({"signature_name": "two", "instances": [{"a": 1}]}, "keys must be equal to: a,b"),
    (
        {"signature_name": "two", "instances": [{"a": 1, "b": 1, "z": 0}]},
        "Failed to process element: 0 key: z of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have "
        "named input: z",
    ),
    ({"instances": [[1, 2], [1]]}, "Error: INVALID_ARGUMENT: Expecting tensor size: 2 but got: 1"),
    ({"instances": [[[1, 2], [3, 4]], [1, 2, 3, 4]]}, "INVALID_ARGUMENT: Expecting shape [2,2] but got: [4]"),
    ({"instances": [[1, [2]]]}, "Encountered list at unexpected level: 1 expected < 1"),
    *(
        (b'{"%s": %s}' % (key, b"[" * 65 + b"1" + b"]" * 65), "Encountered list at unexpected level: 64 expected < 64")
        for key in (b"inputs", b"instances")
    ),
    (b'{"instances": [%s, 1]}' % (b"[" * 64 + b'"a"' + b"]" * 64), "String is not of expected type: float"),
    ({"inputs": [[1, 2], [3, 4, 5]]}, "Encountered list at unexpected size: 3 at level: 1 expected size: 2"),
    ({"inputs": [[1, 2], 3]}, "JSON Value: 3 found at incorrect level: 2 in the JSON DOM. Expected at level: 2"),
    (
        {"signature_name": "two", "inputs": 3},
        "inputs is a plain value/list, but expecting an object as multiple input tensors required as per "
        "tensorinfo_map",
    ),
    ({"signature_name": "two", "inputs": {"a": [1]}}, "Missing named input: b in 'inputs' object."),
    (
        {"signature_name": "two", "inputs": {"a": [1], "b": [1.5]}},
        "JSON Value: 1.5 Type: Number is not of expected type: int32",
    ),
    (
        {"signature_name": "two", "inputs": {"a": [True], "b": [1]}},
        "JSON Value: true Type: True is not of expected type: float",
    ),
    ({"instances": [["a", "b"]]}, 'JSON Value: "a" Type: String is not of expected type: float'),
    ({"instances": [[1e39, 1]]}, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
    ({"instances": [[10**39, 1]]}, "Cannot convert JSON value: 1e+39 to float without loss of precision."),
    ({"instances": [[10**400, 1]]}, "JSON Parse error: Number too big to be stored in double."),
    (b'{"instances": [[%s, 1]]}' % (b"9" * 5000), "Number too big to be stored in double. at offset: 16"),
    (
        {"signature_name": "two", "inputs": {"a": [1], "b": [10**30]}},
        "JSON Value: 1e+30 Type: Number is not of expected type: int32",
    ),
    (
        {"signature_name": "two", "inputs": {"a": [1], "b": [10**400]}},
        "JSON Parse error: Number too big to be stored in double.",
    ),
    ({"signature_name": "strings", "instances": [{"b64": "%"}]}, "Unable to base64 decode"),
    ({"signature_name": "strings", "instances": [{"b64": "YWI=="}]}, "Unable to base64 decode"),
    ({"signature_name": "total", "instances": [1.0, 2.0]}, "Tensor name: total has no shape information "),
]


@pytest.mark.parametrize(("body", "words"), REFUSED)
def test_predict_refuses_with_tf_servings_message(server, body, words):
    status, error = server.error(body)

    assert status == 400
    assert words in error


def test_a_hundred_thousand_brackets_are_refused_and_the_server_survives(server):
    for begin in (b'{"instances": ', b'{"a": Inf, "instances": '):
        status, words = server.error(begin + b"[" * 100_000)
        assert status == 400
        assert words.startswith("JSON Parse error: ")
    assert server.predict(ROWS)


def test_classify_and_regress_respond_under_the_key_results(server):
    body = {"signature_name": "classify", "examples": [{"v": 0.25}, {"v": [1.0]}]}
    _, classified, _ = server.http("/v1/models/tiny:classify", body)
    _, regressed, _ = server.http(
        "/v1/models/tiny/versions/7:regress", {"signature_name": "regress", "context": {"v": 0.5}, "examples": [{}]}
    )

    assert json.loads(classified) == {"results": [[["no", 0.75], ["yes", 0.25]], [["no", 0.0], ["yes", 1.0]]]}
    assert json.loads(regressed) == {"results": [1.0]}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "When method is classify, key 'examples' is expected and was not found"),
        ({"examples": 1}, "Expecting 'examples' value to be an list/array"),
        ({"examples": []}, "'examples' value is an empty array"),
        ({"examples": [1]}, "Example must be JSON object but got JSON Number"),
        ({"examples": [{"v": None}]}, "Feature: v has element with unexpected JSON type: Null"),
        ({"examples": [{"v": [1.5, "a"]}]}, "Unexpected element type in feature: v expecting type: float"),
        ({"examples": [{"v": 2**63}]}, "Feature: v has uint64 element. Only int64 is supported."),
    ],
)
def test_examples_are_refused_with_tf_servings_message(server, body, words):
    status, error = server.error(body, "regress")

    assert status == 400
    assert error.endswith(words)


def test_status_has_the_layout_of_protobufs_printer(server):
    _, text, _ = server.http("/v1/models/tiny/versions/7")

    assert text == (
        '{\n "model_version_status": [\n  {\n   "version": "7",\n   "state": "AVAILABLE",\n   "status": {\n'
        '    "error_code": "OK",\n    "error_message": ""\n   }\n  }\n ]\n}\n'
    )


def test_metadata_shows_signatures_by_name(server):
    _, text, _ = server.http("/v1/models/tiny/metadata")

    metadata = json.loads(text)
    assert metadata["model_spec"] == {"name": "tiny", "signature_name": "", "version": "7"}
    signature = metadata["metadata"]["signature_def"]["signature_def"]["serving_default"]
    assert signature["inputs"]["x"]["dtype"] == "DT_FLOAT"
    assert signature["inputs"]["x"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}, {"size": "2", "name": ""}]
    assert signature["defaults"] == {}


@pytest.mark.parametrize(
    ("path", "status", "words"),
    [
        ("/v1/foo", 400, "Malformed request: GET /v1/foo"),
        ("/v1/models", 400, "Missing model name in request."),
        ("/v1/models/other", 404, "Could not find any versions of model other"),
        ("/v1/models/tiny/versions/8", 404, "Could not find version 8 of model tiny"),
        ("/v1/models/tiny/labels/canary/metadata", 400, "Unrecognized servable version label: canary"),
        ("/v1/models/tiny/versions/" + "9" * 5000, 400, f"Failed to convert version: {'9' * 5000} to numeric."),
        (f"/v1/models/tiny/versions/{2**63}", 400, f"Failed to convert version: {2**63} to numeric."),
    ],
)
def test_get_refuses_with_tf_servings_message(server, path, status, words):
    returned_status, text, _ = server.http(path)

    assert (returned_status, json.loads(text)) == (status, {"error": words})


def test_leading_zeros_of_a_version_are_ignored(server):
    assert server.http("/v1/models/tiny/versions/" + "0" * 5000 + "7")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        f"GET /v1/models/{'m' * 20_000} HTTP/1.1\r\n",
        f"GET /v1/models/tiny HTTP/1.1\r\nX-Long: {'x' * 20_000}\r\n",
        "GET /v1/models/tiny HTTP/1.1\r\n" + "".join(f"X-{number}: 1\r\n" for number in range(500)),
        "POST /v1/models/tiny:predict HTTP/1.1\r\nTransfer-Encoding: nonsense\r\n",
        "POST /v1/models/tiny:predict HTTP/1.1\r\nContent-Encoding: br\r\nContent-Length: 0\r\n",
        "POST /v1/models/tiny:predict HTTP/1.1\r\nContent-Length: 1e3\r\n",
        "\x16\x03\x01 this is TLS\r\n",
    ],
)
def test_malformed_and_too_large_requests_get_a_json_error(server, head):
    with socket.create_connection(("127.0.0.1", server.process.rest_port), 30) as client:
        client.sendall(head.encode() + b"Host: a\r\nConnection: close\r\n\r\n")
        reply = b""
        while got := client.recv(65536):
            reply += got

    head, _, body = reply.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 ") or head.startswith(b"HTTP/1.0 400 "), head
    assert b"Content-Type: application/json\r\n" in head + b"\r\n"
    assert set(json.loads(body)) == {"error"}
    assert server.predict(ROWS)


def test_an_unknown_model_is_404(server):
    assert server.error(ROWS, model="other") == (404, "Servable not found for request: Latest(other)")


def test_unknown_paths_get_libevents_page(server):
    status, text, _ = server.http("/favicon.ico")

    assert status == 404
    assert text.startswith("<HTML><HEAD>\n<TITLE>404 Not Found</TITLE>")


def test_paths_are_case_insensitive_and_names_are_percent_decoded(server):
    assert server.http("/V1/MODELS/t%69ny:PREDICT", ROWS)[0] == 200


def test_gzip_requests_are_accepted_and_responses_are_never_compressed(server):
    packed = gzip.compress(json.dumps(ROWS).encode())
    status, text, headers = server.http(
        "/v1/models/tiny:predict", packed, Content_Encoding="gzip", Accept_Encoding="gzip"
    )

    assert (status, json.loads(text)) == (200, {"predictions": [[1.5, 2.5], [3.5, 4.5]]})
    assert "Content-Encoding" not in headers


def test_a_body_that_inflates_beyond_the_limit_is_refused(server):
    bomb = gzip.compress(b" " * 50_000_000)

    assert server.http("/v1/models/tiny:predict", bomb, Content_Encoding="gzip")[0] == 429
    assert server.http("/v1/models/tiny:predict", b"no gzip", Content_Encoding="gzip")[0] == 400


def test_there_are_no_cors_headers_without_the_flag(server):
    assert server.http("/v1/models/tiny:predict", None, "OPTIONS", Origin="https://a.example")[0] == 200
    status, _, headers = server.http("/v1/models/tiny:predict", None, "OPTIONS")
    assert status == 400
    assert "Access-Control-Allow-Origin" not in headers


def test_an_aborted_request_does_not_harm_the_server(server):
    with socket.create_connection(("127.0.0.1", server.process.rest_port)) as half:
        half.sendall(b"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{")

    assert server.predict(ROWS)


def test_prometheus_metrics_have_tf_servings_names(server):
    server.predict(ROWS)
    server.error({}, "predict")

    status, text, headers = server.http("/monitoring/prometheus/metrics")

    assert (status, headers["Content-Type"]) == (200, "text/plain")
    assert "# TYPE :tensorflow:serving:request_count counter\n" in text
    assert ':tensorflow:serving:request_count{model_name="tiny",status="OK"} ' in text
    assert ':tensorflow:serving:request_count{model_name="tiny",status="INVALID_ARGUMENT"} ' in text
    name = ':tensorflow:serving:request_latency_bucket{model_name="tiny",API="Predict",entrypoint="REST",le="+Inf"} '
    assert name in text
    assert ":tensorflow:serving:model_warmup_latency_count{" in text
    assert server.http("/monitoring/prometheus/metrics/x")[0] == 400


def access_log(server, text: str) -> str:
    """Returns the log once it holds a text: it is written beside the requests."""
    file = Path(server.process.log).parent / "access.jsonl"
    until(lambda: text in file.read_text())
    return file.read_text()


def test_the_access_log_has_the_request_without_its_content(server):
    server.http("/v1/models/tiny:predict", {"instances": [[7654321.25, 2]]}, X_Request_Id="abc-1")

    lines = access_log(server, '"abc-1"').splitlines()
    (line,) = [json.loads(line) for line in lines if '"abc-1"' in line]
    assert line["model"] == "tiny"
    assert line["version"] == 7
    assert line["status"] == "OK"
    assert line["entrypoint"] == "REST"
    assert line["ms"] > 0
    # Long enough that no time or port holds it by chance.
    assert not any("7654321.25" in line for line in lines)


def test_a_client_gets_the_identifier_of_its_request_in_the_log(server):
    _, _, headers = server.http("/v1/models/tiny:predict", ROWS)
    _, call = server.prediction.Predict.with_call(request("tiny", x=np.float32([[1, 2]])), timeout=PATIENCE_S)

    assert access_log(server, f'"id": "{headers["X-Request-Id"]}"')
    assert access_log(server, f'"id": "{dict(call.trailing_metadata())["x-request-id"]}"')


def test_a_client_that_expects_100_continue_gets_it(server):
    body = json.dumps(ROWS).encode()
    head = f"POST /v1/models/tiny:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n"
    with socket.create_connection(("127.0.0.1", server.process.rest_port), 30) as client:
        client.sendall(head.encode() + b"Expect: 100-continue\r\n\r\n")
        assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(body)
        assert client.recv(100).startswith(b"HTTP/1.1 200 OK\r\n")


def test_unknown_flags_are_reported_and_ignored(server):
    assert "unknown argument: --no_such_flag=3" in Path(server.process.log).read_text()


def test_draining_ends_in_time_even_if_a_request_does_not():
    from models.serving.server.api import rest_api

    class Runner:
        async def cleanup(self):
            await asyncio.Event().wait()

    asyncio.run(asyncio.wait_for(rest_api.stop(Runner(), 0.01), 30))
