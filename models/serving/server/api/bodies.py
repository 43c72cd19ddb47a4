"""Decompression of the bodies of REST requests by their Content-Encoding, up to a size limit."""

import gzip
import io
import zlib

from models.serving.protocol.statuses import Code, ServingStatus, invalid


def coding(header: str) -> str:
    """Returns `gzip` or `deflate` for a Content-Encoding header; empty for an uncompressed body.

    Raises:
        ServingStatus: The encoding is not supported.
    """
    name = header.strip().lower()
    if name in ("", "identity"):
        return ""
    if name not in ("gzip", "x-gzip", "deflate"):
        raise invalid(f"Content-Encoding {header[:100]!r} is not known; send gzip, or the body as it is.")
    return name.removeprefix("x-")


def too_large(max_bytes: int) -> ServingStatus:
    """Returns the error for a body of more than `max_bytes`, to be raised by the caller."""
    return ServingStatus(Code.RESOURCE_EXHAUSTED, f"Request of more than {max_bytes} bytes (--max_request_mib).")


def inflated(body: bytes, coding: str, max_bytes: int) -> bytes:
    """Returns a body decompressed.

    Args:
        body: The bytes as sent.
        coding: `gzip`, `deflate` or empty.
        max_bytes: Maximum size after decompression; 0: no limit.

    Raises:
        ServingStatus: The body is damaged, or larger than `max_bytes`.
    """
    if not coding:
        return body
    # One byte beyond the limit distinguishes a larger body from one of exactly the limit.
    read_bytes = max_bytes + 1 if max_bytes else -1
    try:
        if coding == "gzip":
            data = gzip.GzipFile(fileobj=io.BytesIO(body)).read(read_bytes)
        else:
            data = zlib.decompressobj().decompress(body, max(read_bytes, 0))
    except (OSError, EOFError, zlib.error) as error:
        raise invalid(f"The request's body cannot be inflated ({error}).") from None
    if max_bytes and len(data) > max_bytes:
        raise too_large(max_bytes)
    return data
