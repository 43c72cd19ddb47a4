"""`${ENV:NAME}` in a setting: resolved where it is used, never stored, taken out of what is logged or shown."""

import os
import re

from data.errors import ConfigError

PATTERN = re.compile(r"\$\{ENV:([A-Za-z_][A-Za-z0-9_]*)\}")
MIN_HIDDEN = 4  # characters; hiding shorter values would make holes in every text

_values: dict[str, str] = {}  # value -> the words that stand for it


def resolve(text: str) -> str:
    """Returns a setting with each `${ENV:NAME}` replaced by that environment variable.

    Raises:
        ConfigError: The variable is not set, or empty.
    """

    def value(match: re.Match) -> str:
        found = os.environ.get(match[1], "")
        if not found:
            raise ConfigError(f"Environment variable {match[1]}, which {match[0]} asks for, is not set; export it.")
        _values[found] = match[0]
        return found

    return PATTERN.sub(value, text)


def hide(text: str) -> str:
    """Returns a text with every value that `resolve` gave out replaced by the words that stand for it."""
    for value in sorted(_values, key=len, reverse=True):
        if len(value) >= MIN_HIDDEN:
            text = text.replace(value, _values[value])
    return text
