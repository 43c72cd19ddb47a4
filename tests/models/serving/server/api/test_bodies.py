import gzip
import tracemalloc
import zlib

import pytest

from models.serving.protocol.statuses import ServingStatus
from models.serving.server.api.bodies import coding, inflated

pytestmark = pytest.mark.slow  # loads TensorFlow

MIB = 2**20


def test_a_bomb_is_decompressed_only_up_to_the_limit():
    bomb = gzip.compress(bytes(200 * MIB), 9)

    tracemalloc.start()
    with pytest.raises(ServingStatus, match=r"^RESOURCE_EXHAUSTED: Request of more than 1048576 bytes"):
        inflated(bomb, "gzip", MIB)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 8 * MIB
    assert len(inflated(gzip.compress(bytes(MIB)), "gzip", MIB)) == MIB


def test_concatenated_gzip_deflate_and_uncompressed_bodies_are_read():
    assert inflated(gzip.compress(b"ab") + gzip.compress(b"cd"), "gzip", 4) == b"abcd"
    assert inflated(zlib.compress(b"abcd"), "deflate", 4) == b"abcd"
    assert inflated(b"abcd", "", 1) == b"abcd"  # the reader has kept to the limit
    assert inflated(gzip.compress(b"abcd"), "gzip", 0) == b"abcd"


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(b"abcd", mtime=0)[:-3]])
def test_a_damaged_body_is_the_clients_error(body):
    with pytest.raises(ServingStatus, match=r"^INVALID_ARGUMENT: The request's body cannot be inflated \("):
        inflated(body, "gzip", 100)


def test_encodings_are_case_insensitive_and_unknown_ones_are_refused():
    assert [coding(one) for one in ("", "identity", "GZIP", "x-gzip", "deflate")] == ["", "", "gzip", "gzip", "deflate"]
    with pytest.raises(ServingStatus, match="Content-Encoding 'br' is not known; send gzip"):
        coding("br")
