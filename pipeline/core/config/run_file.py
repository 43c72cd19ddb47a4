"""Parses the YAML of a run file and `--set` overrides to settings, with line numbers for messages."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from data.errors import ConfigError
from data.texts import is_unicode
from models import registry
from pipeline.core.config.messages import sentence, unknown
from pipeline.core.config.settings import RunConfig, schema_class

MAX_VALUES = 1_000_000
BOOLEAN = "tag:yaml.org,2002:bool"


def parse(text: str, file: str = "run file", overrides: Sequence[str] = ()) -> RunConfig:
    """Returns the settings of a YAML text; `file` is its name in messages. Raises ConfigError if they are invalid."""
    return parse_with_positions(text, file, overrides)[0]


def parse_with_positions(
    text: str, file: str = "run file", overrides: Sequence[str] = ()
) -> "tuple[RunConfig, Positions]":
    """Returns the settings of a YAML text, as `parse` does, and their positions."""
    node, values = _read_yaml(text, file)
    positions = Positions(file, node)
    for override in overrides:
        positions.overridden.append(_apply(values, override))
    task = values.get("task")
    if task is None:
        raise ConfigError(f"{file}: task is missing; tasks: {', '.join(sorted(registry.TASKS))}.")
    if not isinstance(task, str) or task not in registry.TASKS:
        raise ConfigError(f"{positions.of(('task',))}: {unknown('task', task, sorted(registry.TASKS))}")
    values.setdefault("model", {})
    train = values.get("train")
    if train is None or isinstance(train, dict):
        values["train"] = {**registry.config_class(task).train_defaults, **(train or {})}
    try:
        return schema_class(task).model_validate(values), positions
    except ValidationError as error:
        raise ConfigError(
            "\n".join(sentence(item, positions.of(item["loc"]), task) for item in error.errors()[:5])
        ) from None


class _Loader(yaml.SafeLoader):
    """A YAML loader whose errors have a position, also for a value that does not fit its tag, such as 2026-02-30.

    Only true and false are booleans, as in YAML 1.2: `no` may be a class, and `off` a policy.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own attribute
        first_character: [(tag, pattern) for tag, pattern in resolvers if tag != BOOLEAN]
        for first_character, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)
        except (ArithmeticError, AttributeError, LookupError, ValueError):  # raised by PyYAML's constructors
            kind = node.tag.rpartition(":")[2]
            raise yaml.MarkedYAMLError(
                problem=f"{node.value[:40]!r} cannot be read as {kind}", problem_mark=node.start_mark
            ) from None


_Loader.add_implicit_resolver(BOOLEAN, re.compile("^(true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def _read_yaml(text: str, file: str) -> tuple[yaml.MappingNode, dict[str, Any]]:
    try:
        node, values = _load(text, file)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(node, yaml.MappingNode) or not isinstance(values, dict):
        raise ConfigError(f"{file}:1: expected `key: value` lines, found {type(values).__name__}.")
    return node, values


def _load(text: str, where: str) -> tuple[yaml.Node | None, Any]:
    """Returns the nodes and the values of a YAML text; raises yaml.YAMLError, or ConfigError as `_num_values` does."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        _num_values(node, where, {})
        # From the same nodes, since parsing the text takes nine tenths of the time.
        return node, None if node is None else loader.construct_document(node)
    except RecursionError:
        raise ConfigError(f"{where}: sections or lists are nested too deeply.") from None


def _num_values(node: yaml.Node | None, file: str, counts: dict[int, int]) -> int:
    """Returns the number of values, with aliases expanded.

    PyYAML silently keeps the last of two equal keys, and nested aliases grow without bounds.

    Args:
        node: Part of the file.
        file: Name of the file in messages.
        counts: `id` of a node -> its number of values; 0 for the ancestors of `node`.

    Raises:
        ConfigError: A string is not valid Unicode, a key is repeated, an alias refers to its own ancestor, or there
            are too many values.
    """
    if node is None:
        return 1
    where = f"{file}:{node.start_mark.line + 1}"
    if isinstance(node, yaml.ScalarNode):
        if not is_unicode(node.value):
            raise ConfigError(f"{where}: {node.value!r} holds half of a surrogate pair; no text may.")
        return 1
    if id(node) in counts:
        if not counts[id(node)]:
            raise ConfigError(f"{where}: an alias stands inside of what it names; write the values out.")
        return counts[id(node)]
    counts[id(node)] = 0
    children = node.value
    if isinstance(node, yaml.MappingNode):
        _refuse_duplicates(node, file)
        children = [child for pair in node.value for child in pair]
    count = 1 + sum(_num_values(child, file, counts) for child in children)
    if count > MAX_VALUES:
        raise ConfigError(f"{where}: expected at most {MAX_VALUES:,} values, aliases written out, found {count:,}.")
    counts[id(node)] = count
    return count


def _refuse_duplicates(node: yaml.MappingNode, file: str) -> None:
    seen = set()
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        if key.value in seen:
            raise ConfigError(f"{file}:{key.start_mark.line + 1}: key {key.value!r} stands twice; remove one.")
        seen.add(key.value)


def _apply(values: dict[str, Any], override: str) -> str:
    """Applies an override such as `a.b=3` to nested dictionaries; returns its key, `a.b`."""
    path, separator, text = override.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(
            f"--set {override}: expected KEY=VALUE with dots between nested keys, such as train.epochs=3."
        )
    try:
        _, value = _load(text, f"--set {path.strip()}")
    except yaml.YAMLError:
        raise ConfigError(f"--set {'.'.join(keys)}: the value is not valid YAML; quote it.") from None
    for key in keys[:-1]:
        section = values.setdefault(key, {})
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {key} is not a section.")
        values = section
    values[keys[-1]] = value
    return ".".join(keys)


@dataclass
class Positions:
    """Positions of settings: lines of the file, or `--set`.

    Attributes:
        file: Name of the file in messages.
        root: Root node of its YAML; None if the settings were not read from a text.
    """

    file: str
    root: yaml.MappingNode | None = None

    def __post_init__(self):
        self.overridden: list[str] = []  # dotted keys that --set has changed

    def of(self, location: tuple) -> str:
        """Returns the position of a setting, such as `digits.yaml:7`; `location` is its keys, outermost first."""
        dotted = ".".join(map(str, location)) + "."
        if any(dotted.startswith(f"{path}.") or f"{path}.".startswith(dotted) for path in self.overridden):
            return "--set"
        node: yaml.Node | None = self.root
        line = None
        for part in location:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            matches = [(key, value) for key, value in pairs if key.value == str(part)]
            if not matches:
                break
            key, node = matches[-1]  # merged keys (`<<`) come before the mapping's own
            line = key.start_mark.line + 1
        return f"{self.file}:{line}" if line else self.file
