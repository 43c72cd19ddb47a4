"""A headless Chromium for tests that look at pages as people do."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import urlparse

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@dataclass
class Watched:
    """What went wrong while pages were looked at.

    Attributes:
        errors: What the console said, and exceptions of scripts.
        hosts: Hosts that were asked, apart from this machine.
    """

    errors: list[str] = field(default_factory=list)
    hosts: list[str] = field(default_factory=list)


@contextmanager
def chromium() -> Iterator:
    """Yields the browser; skips the test where there is none (`make test` installs it on Debian as root)."""
    path = next((found for name in NAMES if (found := shutil.which(name))), None)
    if path is None:
        pytest.skip("no Chromium on this machine")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--no-proxy-server"])
        yield browser
        browser.close()


def watch(page) -> Watched:
    """Returns the record of what goes wrong on a page from now on."""
    found = Watched()
    page.on("console", lambda message: found.errors.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: found.errors.append(str(error)))
    page.on("request", lambda request: found.hosts.append(request.url) if _elsewhere(request.url) else None)
    return found


def _elsewhere(url: str) -> bool:
    parts = urlparse(url)
    return parts.scheme not in ("data", "blob", "file", "about") and parts.hostname not in ("127.0.0.1", "localhost")
