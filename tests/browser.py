"""A headless Chromium for tests of pages."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlparse

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class PageLog:
    """Errors of a page and its requests to other hosts.

    Attributes:
        errors: Errors of the console, and exceptions of scripts.
        hosts: URLs of requests to other hosts than this machine.
    """

    errors: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator:
    """Yields the browser; skips the test where there is none (`make test` installs it on Debian as root)."""
    path = next((command for name in NAMES if (command := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--no-proxy-server"])
        yield browser
        browser.close()


def watch(page) -> PageLog:
    """Returns a log to which errors and external requests of a page are added from now on."""
    log = PageLog()
    page.on("console", lambda message: log.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: log.errors.append(str(error)))
    page.on("request", lambda request: log.hosts.append(request.url) if _is_external(request.url) else None)
    return log


def _is_external(url: str) -> bool:
    parts = urlparse(url)
    return parts.scheme not in ("data", "blob", "file", "about") and parts.hostname not in ("127.0.0.1", "localhost")
