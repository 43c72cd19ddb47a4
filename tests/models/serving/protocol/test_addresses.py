"""Servers on this machine are reached directly, others through the proxies of the environment."""

import http.server
import threading
import urllib.error

import pytest

from models.serving.protocol.addresses import channel_options, is_local, open_url


@pytest.fixture
def proxy(monkeypatch):
    """A proxy that answers every request itself; yields the URLs requested of it."""
    urls = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            urls.append(self.path)
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        for name in ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{server.server_port}")
        yield urls
        server.shutdown()


@pytest.mark.parametrize(
    ("host", "expected"),
    [("localhost", True), ("LOCALHOST.", True), ("127.0.0.1", True), ("127.9.9.9", True), ("::1", True),
     ("[::1]", True), ("0.0.0.0", True), ("::ffff:127.0.0.1", True), ("10.0.0.1", False), ("example.org", False),
     ("", False), ("localhost.example.org", False)],
)  # fmt: skip
def test_names_and_addresses_of_this_machine_are_local(host, expected):
    assert is_local(host) == expected


def test_servers_on_this_machine_are_reached_directly_and_others_through_the_proxy(proxy):
    with pytest.raises(urllib.error.URLError, match="refused"):
        open_url("http://127.0.0.1:1/v1/models/m", timeout=5)
    assert proxy == []

    open_url("http://models.invalid:8501/v1/models/m", timeout=5).close()
    assert proxy == ["http://models.invalid:8501/v1/models/m"]


def test_no_proxy_is_obeyed(proxy, monkeypatch):
    monkeypatch.setenv("no_proxy", "models.invalid")

    with pytest.raises(urllib.error.URLError):
        open_url("http://models.invalid:8501/v1/models/m", timeout=5)
    assert proxy == []


def test_grpc_is_kept_from_proxies_on_this_machine_only():
    local = ["127.0.0.1:1", "[::1]:1", "localhost:1", "unix:/s"]

    assert [channel_options(address) for address in local] == [[("grpc.enable_http_proxy", 0)]] * 4
    assert channel_options("models.example.org:8500") == []
