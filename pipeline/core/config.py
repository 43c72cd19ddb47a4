"""The one schema of a run file, with `--set` overrides. Loads no TensorFlow, TFX or Beam."""

import difflib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.json_schema import models_json_schema
from pydantic_core import ErrorDetails

from data import catalog, loading
from data.config import DataConfig, Settings
from data.errors import ConfigError
from data.secrets import PATTERN as SECRET
from data.spec import Dataset
from models import registry
from models.config import TaskConfig, TrainConfig

CONFIGS = Path(__file__).parents[1] / "configs"
MAX_CHOICES = 20
Event = Literal["success", "failure", "refused", "drift", "paused", "canary"]


class Threshold(Settings):
    """What a metric on the test split must reach; give `min` where higher is better, `max` where lower is."""

    min: float | None = None
    """Least value."""
    max: float | None = None
    """Greatest value."""
    max_regression: NonNegativeFloat = 0.005
    """How much worse than the last published model on the same examples is accepted, in the metric's own unit."""

    @model_validator(mode="after")
    def _one_bound(self):
        if (self.min is None) == (self.max is None):
            raise ValueError("one bound, either min or max")
        return self


class EvaluateConfig(Settings):
    """What the model must reach to be published."""

    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Metric name -> threshold."""
    challenge: Literal["off", "not_worse", "better"] = "off"
    """How the model must do beside the last published one on the same test rows, by a paired bootstrap interval of
    95 %: not_worse: it does not lie below zero; better: it lies above. Schedules ask for not_worse."""


class BaselineConfig(Settings):
    """Classical models that the network is held against, on the same splits."""

    require: Literal["beat", "tie", "report"] = "report"
    """beat: the network must be better than the best of them; tie: not worse; report: only say so. Judged by a
    paired bootstrap interval of 95 % on the test split."""
    metric: str = "auto"
    """What is compared; auto: the first of evaluate.thresholds that can be, else the task's usual one."""


class BeamConfig(Settings):
    """How Beam's stages run: transform and evaluate."""

    workers: PositiveInt = 1
    """Processes; more than one takes more memory and pays on large data only, from some 50,000 test examples on."""


class SampleConfig(Settings):
    """A sample of what the embedded server is asked and answers, below runs/<pipeline>/samples, for its owner only."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of requests that is kept; 0: none."""
    keep_days: PositiveInt = 7
    """Days after which they are removed."""


class ServingConfig(Settings):
    """What a model may take while it serves; measured before it is published."""

    engine: Literal["auto", "embedded", "binary", "docker"] = "auto"
    """Who serves it then; auto: TF Serving where it is installed, else the embedded server."""
    p95_ms: PositiveFloat | None = None
    """Milliseconds in which 95 % of single examples must be answered, by gRPC; null: any."""
    max_slowdown: PositiveFloat | None = None
    """How many times the last published version's latency is accepted; null: any."""
    max_mib: PositiveFloat | None = None
    """Mebibytes of memory the server may take; null: any."""
    sample: SampleConfig = SampleConfig()
    """What is kept of requests, to find drift."""


class PublishConfig(Settings):
    """How versions are published."""

    keep: PositiveInt | None = None
    """How many versions stay, the newest; null keeps all."""


class CardConfig(Settings):
    """What people say of the model, on its report: M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019."""

    intended_use: str | None = None
    """What it is for, and for whom."""
    limitations: str | None = None
    """Where it must not be relied on."""
    ethical_considerations: str | None = None
    """Who may be harmed, and what was done about it."""


class ReportConfig(Settings):
    """The page that every run leaves."""

    card: CardConfig = CardConfig()
    """What people say of the model."""
    mistakes: Annotated[int, Field(ge=0, le=24)] = 12
    """How many of the worst mistakes on the test split are shown, with what the rows hold; 0 shows no row at all."""


class Email(Settings):
    """Where an e-mail goes, by SMTP."""

    host: str
    """The SMTP server."""
    port: PositiveInt = 587
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted."""
    sender: str
    """Address it comes from."""
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    """Addresses it goes to."""
    user: str | None = None
    """Name to log in with; ${ENV:NAME} keeps it out of the file."""
    password: str | None = None
    """Password to log in with, as ${ENV:NAME} only: it is written nowhere."""

    @field_validator("password")
    @classmethod
    def _no_secret_in_the_file(cls, value: str | None):
        if value is not None and not SECRET.fullmatch(value):
            raise ValueError("a password as ${ENV:NAME}: run files are no place for secrets")
        return value


class Notify(Settings):
    """Whom to tell what came of a scheduled run, or of a canary; one of file, email, webhook."""

    file: Path | None = None
    """JSON Lines file, relative to the home folder."""
    email: Email | None = None
    """By SMTP."""
    webhook: str | None = None
    """URL that takes JSON with a `text`, as Slack's incoming webhooks do; ${ENV:NAME} keeps it out of the file."""
    events: Annotated[tuple[Event, ...], Field(min_length=1)] = (
        "failure", "refused", "paused", "drift", "canary",
    )  # fmt: skip
    """What is told: success, failure, refused (by a gate), drift, paused (a schedule, after too many failures), canary
    (taken back or promoted by `headrace serve`)."""

    @model_validator(mode="after")
    def _one_channel(self):
        if sum(one is not None for one in (self.file, self.email, self.webhook)) != 1:
            raise ValueError("one of file, email and webhook")
        return self

    def name(self) -> str:
        """Returns the channel in a few words, without a secret."""
        if self.file is not None:
            return f"file {self.file}"
        if self.email is not None:
            return f"e-mail to {', '.join(self.email.to)} by {self.email.host}:{self.email.port}"
        return f"webhook {str(self.webhook).split('?')[0]}"


class RunConfig(Settings):
    """A run file."""

    task: str
    """The kind of learning; `headrace list` shows them."""
    data: DataConfig
    """Which data."""
    model: TaskConfig
    """The task's own settings."""
    train: TrainConfig = TrainConfig()
    """How the model is trained."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """What the model must reach."""
    baseline: BaselineConfig = BaselineConfig()
    """Classical models beside the network."""
    beam: BeamConfig = BeamConfig()
    """How Beam's stages run."""
    serving: ServingConfig = ServingConfig()
    """What the model may take while it serves."""
    publish: PublishConfig = PublishConfig()
    """What becomes of a model that is good enough."""
    report: ReportConfig = ReportConfig()
    """What the page of a run shows."""
    notify: tuple[Notify, ...] = ()
    """Whom to tell what came of a scheduled run."""
    seed: NonNegativeInt = 0
    """Seed of all randomness: same config and seed, same predictions."""


@dataclass(frozen=True)
class NamedConfig:
    """A resolved run file.

    Attributes:
        name: The pipeline's name: the file's without its ending.
        config: The settings, defaults filled in.
        dataset: The data set that the settings name.
        base: The run file's folder, where relative paths of data start.
    """

    name: str
    config: RunConfig
    dataset: Dataset
    base: Path


def names() -> list[str]:
    """Returns the names of the pipelines that ship with Headrace."""
    return sorted(path.stem for path in CONFIGS.glob("*.yaml"))


def load(name_or_file: str, overrides: Sequence[str] = ()) -> NamedConfig:
    """Returns the settings of a named pipeline or of a YAML file, with `a.b=3` overrides applied.

    Raises:
        ConfigError: There is no such pipeline or file, or a setting cannot be used; says where and what was expected.
        DataError: A file of data does not have the columns that the settings name.
    """
    path = find(name_or_file)
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", path.stem):
        raise ConfigError(
            f"{path.name}: a pipeline is named after its file, which takes letters, digits, - and _ only."
        )
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as UTF-8 text ({error}).") from error
    config = parse(text, path.name, overrides)
    base = path.resolve().parent
    return NamedConfig(path.stem, config, find_data(config, path, base), base)


def find(name_or_file: str) -> Path:
    """Returns the path of a run file given by pipeline name or by path; raises ConfigError when there is none."""
    if name_or_file.endswith((".yaml", ".yml")) or "/" in name_or_file:
        path = Path(name_or_file)
        if not path.is_file():
            raise ConfigError(
                f"There is no run file {path}; `headrace list` shows the pipelines that ship with Headrace."
            )
        return path
    if name_or_file not in names():
        raise ConfigError(unknown("pipeline", name_or_file, names()))
    return CONFIGS / f"{name_or_file}.yaml"


def parse(text: str, file: str = "run file", overrides: Sequence[str] = ()) -> RunConfig:
    """Returns the settings in a YAML text; `file` names it in messages. Raises ConfigError for what cannot be used."""
    node, values = _read_yaml(text, file)
    paths = _Places(file, node)
    for override in overrides:
        paths.overridden.append(_apply(values, override))
    task = values.get("task")
    if task is None:
        raise ConfigError(f"{file}: task is missing; tasks: {', '.join(sorted(registry.TASKS))}.")
    if task not in registry.TASKS:
        raise ConfigError(f"{paths.of(('task',))}: {unknown('task', task, sorted(registry.TASKS))}")
    values.setdefault("model", {})
    train = values.get("train")
    if train is None or isinstance(train, dict):
        values["train"] = {**registry.config_class(task).train_defaults, **(train or {})}
    try:
        return schema_class(task).model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_sentence(item, paths, task) for item in error.errors()[:5])) from None


def schema_class(task: str) -> type[RunConfig]:
    """Returns the RunConfig whose `model` section is that of a task."""
    settings = registry.config_class(task)
    inherited = RunConfig.model_fields
    fields: dict[str, Any] = {
        "task": (Literal.__getitem__(task), Field(description=inherited["task"].description)),
        "model": (settings, Field(default=settings(), description=inherited["model"].description)),
    }
    return create_model("RunConfig", __base__=RunConfig, **fields)


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of run files, for editors."""
    classes = [schema_class(task) for task in sorted(registry.TASKS)]
    references, definitions = models_json_schema([(one, "validation") for one in classes])
    header = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Headrace run file"}
    return {**header, "oneOf": list(references.values()), **definitions}


def find_data(config: RunConfig, path: Path, base: Path) -> Dataset:
    """Returns the data set that a config names; reads no rows.

    Args:
        config: The settings.
        path: The run file, for its name in messages and the pipeline's.
        base: Where relative paths of data start.

    Raises:
        ConfigError: No such data set, source or file, data that the task cannot learn from, a batch larger than the
            training split, or a threshold on a metric that the task does not compute or outside its range.
        DataError: A file of data does not have the columns that the settings name.
    """
    name, source, file = config.data.name, config.data.source, path.name
    if name is not None and name not in catalog.names():
        raise ConfigError(f"{file}: data.name: {unknown('data set', name, catalog.names())}")
    try:
        dataset = loading.load(config.data, path.stem, base)
    except ConfigError as error:
        raise ConfigError(f"{file}: {error}") from None
    if source not in ("auto", *dataset.sources):
        raise ConfigError(f"{file}: data.source: {unknown('source', source, ['auto', *dataset.sources])}")
    try:
        config.model.check_features(dataset.spec)
    except ValueError as error:
        raise ConfigError(f"{file}: task {config.task}: {error}") from None
    # Of files it is known when they are read.
    rows, batch_size = dataset.spec.num_rows.get("train"), config.train.batch_size
    if rows and batch_size > rows:
        raise ConfigError(
            f"{file}: train.batch_size: expected at most {rows:,}, the rows of {name}'s training split, "
            f"found {batch_size:,}."
        )
    _check_thresholds(config, dataset, file)
    return dataset


def _check_thresholds(config: RunConfig, dataset: Dataset, file: str) -> None:
    ranges = config.model.metric_ranges(dataset.spec)
    for name, threshold in config.evaluate.thresholds.items():
        if name not in ranges:
            raise ConfigError(f"{file}: evaluate.thresholds: {unknown('metric', name, ranges)}")
        least, greatest = ranges[name]
        for side in ("min", "max"):
            bound = getattr(threshold, side)
            if bound is not None and not least <= bound <= greatest:
                where = f"{file}: evaluate.thresholds.{name}.{side}"
                raise ConfigError(f"{where}: expected from {least:g} to {greatest:g}, found {bound:g}.")


def unknown(kind: str, value: Any, choices: Iterable[str]) -> str:
    """Returns one line for a name that is not among `choices`, offering the closest."""
    choices = list(choices)
    close = difflib.get_close_matches(str(value), choices, n=1, cutoff=0.6)
    hint = f" Did you mean {close[0]!r}?" if close else ""
    shown = (
        choices if len(choices) <= MAX_CHOICES else [*choices[:MAX_CHOICES], f"and {len(choices) - MAX_CHOICES} more"]
    )
    return f"Unknown {kind} {value!r}.{hint} {kind.capitalize()}s: {', '.join(shown)}."


# --- YAML, paths in it, and pydantic's errors in our words ---------------------------------------------------------


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
        raise ConfigError(f"--set {override}: the value is not valid YAML; quote it.") from None
    for key in keys[:-1]:
        inner = values.setdefault(key, {})
        if not isinstance(inner, dict):
            raise ConfigError(f"--set {override}: {key} is not a section.")
        values = inner
    values[keys[-1]] = value
    return ".".join(keys)


@dataclass
class _Places:
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


def _sentence(error: ErrorDetails, paths: _Places, task: str) -> str:
    """Returns pydantic's error as one line: where, what was expected, what came."""
    location = tuple(part for part in error["loc"])
    where, dotted = paths.of(location), ".".join(map(str, location))
    if error["type"] == "extra_forbidden":
        parent = ".".join(map(str, location[:-1]))
        keys = _keys_at(location[:-1], task)
        section = f"key in {parent}" if parent else "key"
        return f"{where}: {unknown(section, location[-1], keys).replace(section.capitalize() + 's', 'Keys')}"
    if error["type"] == "missing":
        return f"{where}: {dotted} is missing."
    expected = error["msg"].removeprefix("Input should be ").removeprefix("Value error, ")
    found = "another text" if location[-1:] == ("password",) else json.dumps(error["input"], default=str)
    if error["type"] == "literal_error":
        choices = re.findall(r"'([^']*)'", error["msg"])
        close = difflib.get_close_matches(str(error["input"]), choices, n=1)
        hint = f" Did you mean {close[0]!r}?" if close else ""
        return f"{where}: {dotted}: expected one of {', '.join(choices)}; found {found}.{hint}"
    return f"{where}: {dotted}: expected {expected}, found {found[:80]}."


def _keys_at(location: tuple, task: str) -> list[str]:
    """Returns the keys that a section of the run file takes."""
    schema = schema_class(task).model_json_schema()
    node = schema
    for part in location:
        node = _resolve(node, schema)
        node = node.get("properties", {}).get(part) or node.get("additionalProperties", {})
    return list(_resolve(node, schema).get("properties", {}))


def _resolve(node: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """Follows $ref and picks the object out of `anyOf: [object, null]`."""
    for option in [node, *node.get("anyOf", []), *node.get("allOf", [])]:
        if "$ref" in option:
            return schema["$defs"][option["$ref"].rsplit("/", 1)[1]]
        if "properties" in option:
            return option
    return node
