"""`${ENV:NAME}` in a setting: resolved where it is used, never stored, hidden in logs and messages.

A webhook's URL is hidden, too, except for its host: the rest often contains a token.
"""

import os
import re
from urllib.parse import urlsplit

from data.errors import ConfigError

PATTERN = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}")
HIDDEN_URL = re.compile(r".*/\.\.\.[0-9a-f]{8}")  # the replacement that `hide_url` makes
MIN_TARGET = 12  # characters of a URL behind its host; hooks with a token have 40 and more
MIN_HIDDEN = 4  # characters; shorter values occur in every text by chance

_values: dict[str, str] = {}  # hidden value -> its replacement


def resolve(text: str) -> str:
    """Returns a setting with each `${ENV:NAME}` replaced by that environment variable.

    Raises:
        ConfigError: The variable is not set, or empty.
    """

    def variable(match: re.Match) -> str:
        value = os.environ.get(match[1], "")
        if not value:
            raise ConfigError(f"Environment variable {match[1]}, which {match[0]} asks for, is not set; export it.")
        _values[value] = match[0]
        return value

    return PATTERN.sub(variable, text)


def hide_url(url: str) -> None:
    """Hides a URL from now on: it is replaced by its host and a digest."""
    import hashlib  # `headrace --help` needs none

    parts = urlsplit(url)
    host = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts.netloc else ""
    if url.rstrip("/") != host and not HIDDEN_URL.fullmatch(url):
        digest = hashlib.sha256(url.encode()).hexdigest()[:8]
        _values.setdefault(url, f"{host}/...{digest}")
        target = url.partition(parts.netloc)[2] if parts.netloc else ""
        if len(target) >= MIN_TARGET:  # as servers and HTTP libraries name it
            _values.setdefault(target, f"/...{digest}")


def hide(text: str) -> str:
    """Returns a text in which every value that `resolve` returned, and every hidden URL, is replaced."""
    for value in sorted(_values, key=len, reverse=True):
        if len(value) >= MIN_HIDDEN:
            text = text.replace(value, _values[value])
    return text
