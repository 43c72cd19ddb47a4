"""Bodies of REST requests, inflated as their Content-Encoding says, and never beyond a limit."""

import gzip
import io
import zlib

from models.serving.protocol.statuses import Code, ServingStatus, invalid


def coding(header: str) -> str:
    """Returns `gzip` or `deflate`, as a Content-Encoding says; empty for a body that comes as it is.

    Raises:
        ServingStatus: The encoding is none that a server takes.
    """
    name = header.strip().lower()
    if name in ("", "identity"):
        return ""
    if name not in ("gzip", "x-gzip", "deflate"):
        raise invalid(f"Content-Encoding {header[:100]!r} is not known; send gzip, or the body as it is.")
    return name.removeprefix("x-")


def too_large(max_bytes: int) -> ServingStatus:
    """Returns the refusal of a body of more than `max_bytes`."""
    return ServingStatus(Code.RESOURCE_EXHAUSTED, f"Request of more than {max_bytes} bytes (--max_request_mib).")


def inflated(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Returns a body as it was before it was compressed.

    Args:
        body: As it was sent.
        coding: `gzip`, `deflate` or empty.
        max_bytes: Most bytes to come out; 0: no limit.

    Raises:
        ServingStatus: It is damaged, or would be larger.
    """
    if not coding:
        return body
    # One byte more than is taken tells a larger body from one that just fits.
    most = max_bytes + 1 if max_bytes else -1
    try:
        if coding == "gzip":
            found = gzip.GzipFile(fileobj=io.BytesIO(body)).read(most)
        else:
            found = zlib.decompressobj().decompress(body, max(most, 0))
    except (OSError, EOFError, zlib.error) as error:
        raise invalid(f"The request's body cannot be inflated ({error}).") from None
    if max_bytes and len(found) > max_bytes:
        raise too_large(max_bytes)
    return found
