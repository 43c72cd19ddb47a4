"""Writes docs/run-file.md from the JSON Schema of run files, and docs/command-line.md from the commands:
`.venv/bin/python docs/write_reference.py`. A test compares both with their sources.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner

from pipeline.commands.cli import cli
from pipeline.commands.shared import SECTIONS
from pipeline.core import config

DOCS = Path(__file__).resolve().parent
RUN_FILE, COMMAND_LINE = "run-file.md", "command-line.md"
BOUNDS = {"minimum": ">=", "exclusiveMinimum": ">", "maximum": "<=", "exclusiveMaximum": "<"}
MAX_CHOICES = 12  # in a cell of a table

RUN_FILE_HEAD = """# Run file

A run file is YAML; `headrace new NAME --data FILE` writes one for your own data. Every key, its type, default and
meaning follow, from the JSON Schema (`headrace schema`, for editors). An unknown key is refused with its line and the
closest known key. `--set train.epochs=3` on the command line sets a key for one run. `${ENV:NAME}` in a
path or an address is replaced by an environment variable, whose value is never stored.

```yaml
task: tabular_classification
data:
  files: customers.csv
  label: churned
train: {epochs: 20}
evaluate: {thresholds: {auc: {min: 0.8}}}
```
"""
COMMAND_LINE_HEAD = """# Command line

What `headrace COMMAND --help` prints, by section. `-v` shows the traceback of an error; commands that print facts take
`--json`.
"""


def run_file_page(schema: dict[str, Any]) -> str:
    """Returns the reference of run files in Markdown, a table for each section."""
    definitions = schema["$defs"]
    by_task = {definitions[name]["properties"]["task"]["const"]: definitions[name] for name in _references(schema)}
    run_file = next(iter(by_task.values()))  # all but `task` and `model` is the same for every task
    run_file["properties"]["task"] = {**run_file["properties"]["task"], "enum": list(by_task)}
    parts = [RUN_FILE_HEAD, "## All sections\n", _table(run_file, definitions, nested=False)]
    for key, value in run_file["properties"].items():
        if key not in ("task", "model") and (name := _reference(value) or _reference(value.get("items", {}))):
            parts += _section(f"## {key}", definitions[name], definitions)
    kinds = definitions["DataConfig"]["properties"]["features"]["additionalProperties"]["discriminator"]["mapping"]
    parts.append("## Kinds of columns (data.features)\n")
    for kind, reference in kinds.items():
        parts += _section(f"### {kind}", definitions[reference.rpartition("/")[2]], definitions)
    for task, run_config in by_task.items():
        model = definitions[_reference(run_config["properties"]["model"])]
        parts += _section(f"## model, of task {task}", model, definitions)
    return "\n".join(parts)


def command_line_page() -> str:
    """Returns the reference of the commands in Markdown."""
    parts = [COMMAND_LINE_HEAD]
    for section, names in SECTIONS.items():
        parts.append(f"## {section}\n")
        for path in _commands(names):
            help_text = CliRunner().invoke(cli, [*path, "--help"], prog_name="headrace", terminal_width=100).stdout
            parts.append(f"### headrace {' '.join(path)}\n\n```text\n{help_text.rstrip()}\n```\n")
    return "\n".join(parts)


def _commands(names: tuple[str, ...]) -> Iterator[list[str]]:
    """Yields each command, and each command of a group, as a list of words."""
    for name in names:
        yield [name]
        command = cli.commands[name]
        if isinstance(command, click.Group):
            yield from ([name, subcommand] for subcommand in command.commands)


def _section(heading: str, definition: dict[str, Any], definitions: dict[str, Any]) -> list[str]:
    return [f"{heading}\n", f"{_cell(definition.get('description', ''))}\n", _table(definition, definitions)]


def _table(definition: dict[str, Any], definitions: dict[str, Any], *, nested: bool = True) -> str:
    rows = ["| key | type | default | meaning |", "| --- | --- | --- | --- |"]
    rows += [f"| {' | '.join(row)} |" for row in _rows(definition, definitions, "", nested=nested)]
    return "\n".join(rows) + "\n"


def _rows(definition: dict, definitions: dict, prefix: str, *, nested: bool) -> Iterator[tuple[str, str, str, str]]:
    """Yields key, type, default and meaning of each property, each followed by those of its own properties."""
    for key, value in definition["properties"].items():
        name = _reference(value)
        nested_definition = definitions[name] if name else {}
        default = "required" if key in definition.get("required", ()) else ""
        if "default" in value and (not nested_definition or value["default"] is None):
            default = f"`{json.dumps(value['default'])}`"
        yield f"`{prefix}{key}`", _type(value, definitions), default, _cell(value.get("description", ""))
        if nested and "properties" in nested_definition:
            yield from _rows(nested_definition, definitions, f"{prefix}{key}.", nested=True)


def _type(value: dict[str, Any], definitions: dict[str, Any]) -> str:
    """Returns the type of a value in words, with its bounds or choices."""
    if choices := value.get("enum"):
        return ", ".join(f"`{choice}`" if choice else '`""`' for choice in choices[:MAX_CHOICES]) + ", ..." * (
            len(choices) > MAX_CHOICES
        )
    if "const" in value:
        return f"`{value['const']}`"
    if "$ref" in value:
        return _type(definitions[value["$ref"].rpartition("/")[2]], definitions)
    if alternatives := value.get("anyOf") or value.get("oneOf"):
        return " or ".join(dict.fromkeys(_type(alternative, definitions) for alternative in alternatives))
    json_type = value.get("type", "any")
    if json_type == "array":
        return f"list of {_type(value.get('items', {}), definitions)}"
    if json_type == "object":
        return "section" if "properties" in value else "mapping"
    bounds = ", ".join(f"{sign} {value[name]:g}" for name, sign in BOUNDS.items() if name in value)
    return f"{json_type} {bounds}".strip()


def _reference(value: dict[str, Any]) -> str:
    """Returns the name of the definition that a value refers to; empty where it refers to none."""
    for schema in (value, *value.get("anyOf", ())):
        if "$ref" in schema:
            return schema["$ref"].rpartition("/")[2]
    return ""


def _references(schema: dict[str, Any]) -> list[str]:
    """Returns the names of the definitions that a schema chooses from."""
    return [choice["$ref"].rpartition("/")[2] for choice in schema["oneOf"]]


def _cell(text: str) -> str:
    """Returns text as the cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


def pages() -> dict[str, str]:
    """Returns the text of each page by its file's name."""
    return {RUN_FILE: run_file_page(config.json_schema()), COMMAND_LINE: command_line_page()}


if __name__ == "__main__":
    for name, text in pages().items():
        (DOCS / name).write_text(text, encoding="utf-8")
