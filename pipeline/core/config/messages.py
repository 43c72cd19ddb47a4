"""One-line messages on invalid settings: position, expected value, value found."""

import difflib
import json
import re
from collections.abc import Iterable
from typing import Any

from pydantic_core import ErrorDetails

from pipeline.core.config.settings import schema_class

MAX_CHOICES = 20


def unknown(kind: str, value: Any, choices: Iterable[str]) -> str:
    """Returns a line on a name that is not among `choices`, with the closest one."""
    choices = list(choices)
    close = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.6)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    shown = (
        choices if len(choices) <= MAX_CHOICES else [*choices[:MAX_CHOICES], f"and {len(choices) - MAX_CHOICES} more"]
    )
    return f"Unknown {kind} {value!r}.{hint} {kind.capitalize()}s: {', '.join(shown)}."


def sentence(error: ErrorDetails, where: str, task: str) -> str:
    """Returns pydantic's error in a run file of `task` as one line: position, expected value, value found."""
    location = error["loc"]
    dotted = ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        parent = ".".join(map(str, location[:-1]))
        keys = _keys_at(location[:-1], task)
        section = f"key in {parent}" if parent else "key"
        return f"{where}: {unknown(section, location[-1], keys).replace(section.capitalize() + 's', 'Keys')}"
    if error["type"] == "missing":
        return f"{where}: {dotted} is missing."
    if error["type"].startswith("union_tag_"):
        return f"{where}: {dotted}.{_tag(error, task)}"
    expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    received = _received(error)
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", error["msg"])
        return f"{where}: {dotted}: {_one_of(choices, error['input'], received)}"
    return f"{where}: {dotted}: expected {expected}, found {received[:80]}."


def _one_of(choices: list[str], value: Any, received: str) -> str:
    """Returns the text on expected and found values, with the closest choice."""
    close = difflib.get_close_matches(str(value), choices, n=1)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    return f"expected one of {', '.join(choices)}; found {received}.{hint}"


def _tag(error: ErrorDetails, task: str) -> str:
    """Returns the key that selects the kind of a section, and its error."""
    key = error["ctx"]["discriminator"].strip("'")
    choices = list(_node_at(error["loc"], task)["discriminator"]["mapping"])
    if error["type"] == "union_tag_not_found":
        return f"{key} is missing; expected one of {', '.join(choices)}."
    value = error["ctx"]["tag"]
    return f"{key}: {_one_of(choices, value, json.dumps(value, ensure_ascii=False))}"


def _received(error: ErrorDetails) -> str:
    """Returns the value found as text; a value that may be a secret is described instead."""
    location, value = error["loc"], error["input"]
    is_secret = location[-1:] == ("password",) or (location[:1] == ("notify",) and error["type"] != "literal_error")
    if is_secret and value and isinstance(value, str | list | dict):
        return (
            f"keys {', '.join(map(str, value))}"
            if isinstance(value, dict)
            else "another text"
            if isinstance(value, str)
            else "another list"
        )
    try:
        return json.dumps(value, default=str)
    except TypeError:  # YAML's keys may be dates
        return str(value)


def _keys_at(location: tuple, task: str) -> list[str]:
    """Returns the valid keys of a section of the run file."""
    return list(_node_at(location, task).get("properties", {}))


def _node_at(location: tuple, task: str) -> dict[str, Any]:
    """Returns the JSON Schema at a location of keys, list indices and kinds of sections."""
    schema = schema_class(task).model_json_schema()
    node = _resolve(schema, schema)
    for part in location:
        kinds = node.get("discriminator", {}).get("mapping", {})
        if isinstance(part, int):
            node = node.get("items", {})
        elif part in kinds:
            node = {"$ref": kinds[part]}
        else:
            node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
        node = _resolve(node, schema)
    return node


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Returns the object schema behind $ref and `anyOf: [object, null]`."""
    for option in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
        if "properties" in option:
            return option
    return node
