"""Addresses of servers: this machine is reached directly, never through a proxy. Loads no TensorFlow."""

import ipaddress
import urllib.request
from typing import Any
from urllib.parse import urlsplit


def is_local(host: str) -> bool:
    """Whether a host is this machine, by its name or its address: `localhost`, 127.0.0.0/8, ::1, 0.0.0.0."""
    bare = host.strip("[]").partition("%")[0]
    if bare.rstrip(".").lower() == "localhost":
        return True
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


def open_url(request: str | urllib.request.Request, *, timeout: float) -> Any:
    """Returns the open response of a URL, as `urllib.request.urlopen` does, and raises what it raises.

    The environment's proxies are used for other machines only, and not for hosts in `no_proxy`.

    Args:
        request: URL or request.
        timeout: Seconds.
    """
    url = request if isinstance(request, str) else request.full_url
    handlers = [urllib.request.ProxyHandler({})] if is_local(urlsplit(url).hostname or "") else []
    return urllib.request.build_opener(*handlers).open(request, timeout=timeout)


def channel_options(address: str) -> list[tuple[str, int]]:
    """Returns the options that keep gRPC from a proxy for a `host:port` on this machine.

    For other machines gRPC obeys `no_proxy` itself.
    """
    host = address.rpartition(":")[0]
    return [("grpc.enable_http_proxy", 0)] if is_local(host) or address.startswith("unix:") else []
