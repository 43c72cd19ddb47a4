"""A run file's text as settings: YAML whose lines messages name, and `--set` overrides."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from data.errors import ConfigError
from models import registry
from pipeline.core.config.messages import sentence, unknown
from pipeline.core.config.settings import RunConfig, schema_class


def parse(text: str, file: str = "run file", overrides: Sequence[str] = ()) -> RunConfig:
    """Returns the settings in a YAML text; `file` names it in messages. Raises ConfigError for what cannot be used."""
    node, values = _read_yaml(text, file)
    positions = _Positions(file, node)
    for override in overrides:
        positions.overridden.append(_apply(values, override))
    task = values.get("task")
    if task is None:
        raise ConfigError(f"{file}: task is missing; tasks: {', '.join(sorted(registry.TASKS))}.")
    if task not in registry.TASKS:
        raise ConfigError(f"{positions.of(('task',))}: {unknown('task', task, sorted(registry.TASKS))}")
    values.setdefault("model", {})
    train = values.get("train")
    if train is None or isinstance(train, dict):
        values["train"] = {**registry.config_class(task).train_defaults, **(train or {})}
    try:
        return schema_class(task).model_validate(values)
    except ValidationError as error:
        raise ConfigError(
            "\n".join(sentence(item, positions.of(item["loc"]), task) for item in error.errors()[:5])
        ) from None


def _read_yaml(text: str, file: str) -> tuple[yaml.MappingNode, dict[str, Any]]:
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{file}:{line}: not valid YAML: {error.problem}.") from error
    except yaml.YAMLError as error:
        raise ConfigError(f"{file}: not valid YAML: {str(error).splitlines()[0]}.") from error
    if not isinstance(node, yaml.MappingNode):
        raise ConfigError(f"{file}:1: expected `key: value` lines, found {type(values).__name__}.")
    _refuse_duplicates(node, file)
    return node, values


def _refuse_duplicates(node: yaml.Node, file: str) -> None:
    """PyYAML keeps the last of two equal keys and says nothing."""
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if key.value in seen:
            raise ConfigError(f"{file}:{key.start_mark.line + 1}: key {key.value!r} stands twice; remove one.")
        seen.add(key.value)
        _refuse_duplicates(value, file)


def _apply(values: dict[str, Any], override: str) -> str:
    """Sets `a.b=3` in nested dictionaries and returns `a.b`."""
    path, separator, text = override.partition("=")
    keys = path.strip().split(".")
    if not separator or not all(keys):
        raise ConfigError(
            f"--set {override}: expected KEY=VALUE with dots between nested keys, such as train.epochs=3."
        )
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"--set {'.'.join(keys)}: the value is not valid YAML; quote it.") from None
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {key} is not a section.")
        values = inner
    values[keys[-1]] = value
    return ".".join(keys)


@dataclass
class _Positions:
    """Where a setting stands: in which line of the file, or in which --set."""

    file: str
    root: yaml.MappingNode

    def __post_init__(self):
        self.overridden: list[str] = []

    def of(self, location: tuple) -> str:
        dotted = ".".join(map(str, location))
        if any(dotted == path or path.startswith(dotted + ".") for path in self.overridden):
            return "--set"
        node, line = self.root, None
        for part in location:
            pairs = node.value if isinstance(node, yaml.MappingNode) else []
            found = [(key, value) for key, value in pairs if key.value == str(part)]
            if not found:
                break
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        return f"{self.file}:{line}" if line else self.file
