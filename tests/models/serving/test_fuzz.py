"""Malformed input never takes the server down, never hangs it, and never shows its inside."""

import json
import random

import grpc
import numpy as np
import pytest

from tests.models.serving.models import request
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

MUTATIONS = 500
# INTERNAL and UNKNOWN would be the server's own faults.
FINE = ("OK", "INVALID_ARGUMENT", "NOT_FOUND", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED")
SEEDS = [
    ("Predict", request("tiny", x=np.float32([[1, 2]]))),
    ("Predict", request("tiny", "two", a=np.float32([1]), b=np.int32([2]))),
    ("Predict", request("tiny", "strings", text=[b"abc", b"def"])),
    ("Predict", request("tiny", "classify", inputs=[b"\n\x0b\n\t\n\x01v\x12\x04\x12\x02\n\x00"])),
]
BODIES = [
    {"instances": [[1.0, 2.0], [3.0, 4.5]]},
    {"signature_name": "two", "instances": [{"a": 1.0, "b": 2}]},
    {"signature_name": "strings", "inputs": {"text": ["abc", {"b64": "AAEC"}]}},
    {"signature_name": "classify", "examples": [{"v": 0.5}, {"v": [1.0]}]},
]
PIECES = [
    b"null",
    b"[[",
    b"]}",
    b'"',
    b"\\u12",
    b"1e999",
    b"-",
    b"NaN",
    b"{}",
    b"\x00",
    b"\xff\xfe",
    b"99999999999999999999",
    b",",
    b"true",
]


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Returns bytes with some flipped, cut out, doubled, or put in."""
    mutated = bytearray(content)
    for _ in range(chance.randint(1, 4)):
        place = chance.randrange(len(mutated) + 1)
        kind = chance.randrange(5)
        if kind == 0 and mutated:
            mutated[place % len(mutated)] = chance.randrange(256)
        elif kind == 1:
            del mutated[place : place + chance.randint(1, 6)]
        elif kind == 2:
            mutated[place:place] = chance.choice(PIECES)
        elif kind == 3:
            mutated[place:place] = mutated[place : place + chance.randint(1, 12)]
        elif mutated:
            mutated[place % len(mutated)] ^= 1 << chance.randrange(8)
    return bytes(mutated)


def test_five_hundred_mutated_messages_by_grpc(server):
    chance, codes = random.Random(0), {}
    for number in range(MUTATIONS):
        method, seed = SEEDS[number % len(SEEDS)]
        call = server.channel.unary_unary(f"/tensorflow.serving.PredictionService/{method}")
        content = mutated(seed.SerializeToString(), chance)
        try:
            call(content, timeout=PATIENCE_S)
            code, words = "OK", ""
        except grpc.RpcError as error:
            code, words = error.code().name, error.details()
        codes[code] = codes.get(code, 0) + 1
        assert code in FINE, (content, code, words)
        assert "Traceback" not in words
    assert codes["INVALID_ARGUMENT"] > MUTATIONS / 10
    assert server.predict(BODIES[0])


def test_five_hundred_mutated_bodies_by_rest(server):
    chance, statuses = random.Random(1), {}
    for number in range(MUTATIONS):
        body = mutated(json.dumps(BODIES[number % len(BODIES)]).encode(), chance)
        verb = "classify" if number % len(BODIES) == 3 else "predict"
        status, text, _ = server.http(f"/v1/models/tiny:{verb}", body)
        statuses[status] = statuses.get(status, 0) + 1
        assert status in (200, 400, 404, 429), (body, status, text)
        assert "Traceback" not in text
        if status != 200:
            assert set(json.loads(text)) == {"error"}
    assert statuses[400] > MUTATIONS / 10
    assert server.predict(BODIES[0])
