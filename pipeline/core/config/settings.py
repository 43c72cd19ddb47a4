"""The settings of a run file, section by section, with their defaults."""

import functools
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    create_model,
    field_validator,
    model_validator,
)
from pydantic.json_schema import models_json_schema

from data.config import DataConfig, Settings
from data.secrets import PATTERN as SECRET
from data.secrets import hide, hide_url
from models import registry
from models.config import TaskConfig, TrainConfig

Event = Literal["success", "failure", "refused", "drift", "paused", "canary"]


class Threshold(Settings):
    """What a metric on the test split must reach; give `min` where higher is better, `max` where lower is."""

    min: float | None = None
    """Least value."""
    max: float | None = None
    """Greatest value."""
    max_regression: NonNegativeFloat = 0.005
    """How much worse than the live model on the same examples is accepted, in the metric's own unit. Where the live
    model has no finite value there nothing is compared, which the verdict says; where the new one alone has none, it
    is refused."""

    @model_validator(mode="after")
    def _one_bound(self):
        if (self.min is None) == (self.max is None):
            raise ValueError("one bound, either min or max")
        return self


class EvaluateConfig(Settings):
    """What the model gate requires of a model before it is published."""

    thresholds: dict[str, Threshold] = Field(default_factory=dict)
    """Metric name -> threshold."""
    challenge: Literal["off", "not_worse", "better"] = "off"
    """Comparison of the model with the live version on the same test rows, by the 95 % interval of the paired
    difference. not_worse: the interval is not wholly on the side of the live version; better: it is wholly on the side
    of the new model. Schedules set not_worse unless it is set. Where the interval is not known, as with rows of one
    group only, not_worse passes and better does not."""
    against_live: Literal["always", "never"] = "always"
    """never: the model is not compared with the live version, by challenge, max_regression or max_slowdown."""
    tfma: bool = False
    """true: TFMA computes its metrics of the same predictions, too, 0.5 ms a row, and has to agree."""


class BaselineConfig(Settings):
    """Comparison of the network with reference models, classical and trivial ones, on the same splits."""

    require: Literal["beat", "tie", "beat_trivial", "report"] = "report"
    """beat: the network must be better than the best of them; tie: not worse; beat_trivial: better than the best that
    looks at no input, such as the most frequent class or the mean; report: only say so. Judged by the 95 % interval of
    the paired difference on the test split; rows of one group (data.roles) count as one."""
    metric: str = "auto"
    """Metric to compare; auto: the first comparable of evaluate.thresholds, else the task's primary metric."""


class BeamConfig(Settings):
    """How the stages run that Beam's workers can share: statistics, transform, evaluate."""

    workers: PositiveInt = 1
    """Processes, each takes a file of a split at a time; the results have the same bits with any number of them. More
    than one takes more memory and some seconds of start in each stage, and pays where splits have many files of 8 MiB
    or the model is slow."""


class SampleConfig(Settings):
    """A sample of the embedded server's requests and predictions, in runs/<pipeline>/samples, private to its owner."""

    rate: Annotated[float, Field(ge=0, le=1)] = 0.0
    """Share of requests to keep, from 0 to 1; 0: none."""
    keep_days: PositiveInt = 7
    """Days after which samples are removed."""


class ServingConfig(Settings):
    """Limits on latency and memory of a served model, measured before it is published."""

    engine: Literal["auto", "embedded", "binary", "docker"] = "auto"
    """Server of that measurement; auto: TF Serving if it is installed, otherwise the embedded server."""
    p95_ms: PositiveFloat | None = None
    """Highest 95th percentile of the latency of single examples by gRPC, in milliseconds; null: any."""
    max_slowdown: PositiveFloat | None = None
    """Highest latency as a multiple of the live version's; null: any."""
    max_mib: PositiveFloat | None = None
    """Most memory of the server, in MiB; null: any."""
    sample: SampleConfig = SampleConfig()
    """Sampling of requests, for drift."""


class PublishConfig(Settings):
    """How versions are published."""

    keep: PositiveInt | None = None
    """Number of newest versions to keep; null keeps all."""
    mode: Annotated[str, Field(pattern="^0[0-7]{3}$")] | None = None
    """Permissions of published files, such as "0644", quoted; folders may be entered by all who may read the files,
    which a server that runs as another user needs. null: by the umask. Runs and data are never readable by others."""


class CardConfig(Settings):
    """Model card on the report, written by people: M. Mitchell et al., "Model Cards for Model Reporting", FAT* 2019."""

    intended_use: str | None = None
    """What it is for, and for whom."""
    limitations: str | None = None
    """Where it must not be relied on."""
    ethical_considerations: str | None = None
    """Who may be harmed, and what was done about it."""


class ReportConfig(Settings):
    """The page that every run leaves."""

    card: CardConfig = CardConfig()
    """Model card."""
    mistakes: Annotated[int, Field(ge=0, le=24)] = 12
    """Number of worst mistakes on the test split to show, with the values of their rows; 0 shows no row."""


class Email(Settings):
    """An e-mail by SMTP."""

    host: str
    """Host name of the SMTP server."""
    port: PositiveInt = 587
    """Its port."""
    security: Literal["starttls", "tls", "none"] = "starttls"
    """How the connection is encrypted."""
    sender: str
    """Sender's address."""
    to: Annotated[tuple[str, ...], Field(min_length=1)]
    """Recipients' addresses."""
    user: str | None = None
    """Name to log in with; ${ENV:NAME} keeps it out of the file."""
    password: str | None = None
    """Password to log in with, as ${ENV:NAME} only: it is written nowhere."""

    @field_validator("password")
    @classmethod
    def _require_reference(cls, value: str | None):
        if value is not None and not SECRET.fullmatch(value):
            raise ValueError("a password as ${ENV:NAME}: run files are no place for secrets")
        return value


class Notify(Settings):
    """A channel for notifications of scheduled runs and canaries; one of file, email, webhook."""

    file: Path | None = None
    """JSON Lines file, relative to the home folder."""
    email: Email | None = None
    """By SMTP."""
    webhook: str | None = None
    """URL that takes JSON with a `text`, as Slack's incoming webhooks do; ${ENV:NAME} keeps it out of the file. What
    follows its host is shown and logged nowhere."""
    events: Annotated[tuple[Event, ...], Field(min_length=1)] = (
        "failure", "refused", "paused", "drift", "canary",
    )  # fmt: skip
    """Events to send: success, failure, refused (by a gate), drift, paused (a schedule, after many failures), canary
    (taken back or promoted by `headrace serve`)."""

    @field_validator("webhook")
    @classmethod
    def _hide_in_logs(cls, value: str | None):
        if value is not None and not SECRET.fullmatch(value):
            hide_url(value)
        return value

    @model_validator(mode="after")
    def _one_channel(self):
        if sum(channel is not None for channel in (self.file, self.email, self.webhook)) != 1:
            raise ValueError("one of file, email and webhook")
        return self

    def name(self) -> str:
        """Returns a description of the channel without secrets."""
        if self.file is not None:
            return f"file {self.file}"
        if self.email is not None:
            return f"e-mail to {', '.join(self.email.to)} by {self.email.host}:{self.email.port}"
        return f"webhook {hide(str(self.webhook))}"


class RunConfig(Settings):
    """A run file."""

    task: str
    """The kind of learning; `headrace list` shows them."""
    data: DataConfig
    """The data set or files, with columns, splits and checks."""
    model: TaskConfig
    """The task's own settings."""
    train: TrainConfig = TrainConfig()
    """How the model is trained."""
    evaluate: EvaluateConfig = EvaluateConfig()
    """What the model gate requires of a model."""
    baseline: BaselineConfig = BaselineConfig()
    """Comparison of the network with reference models."""
    beam: BeamConfig = BeamConfig()
    """How Beam's stages run."""
    serving: ServingConfig = ServingConfig()
    """Limits on latency and memory of the served model."""
    publish: PublishConfig = PublishConfig()
    """How a model that passes the gates is published."""
    report: ReportConfig = ReportConfig()
    """What the page of a run shows."""
    notify: tuple[Notify, ...] = ()
    """Channels for notifications of scheduled runs."""
    seed: NonNegativeInt = 0
    """Seed of all randomness: same config and seed, same predictions."""


@functools.cache
def schema_class(task: str) -> type[RunConfig]:
    """Returns the subclass of RunConfig with the `model` section of a task."""
    settings = registry.config_class(task)
    inherited = RunConfig.model_fields
    fields: dict[str, Any] = {
        "task": (Literal.__getitem__(task), Field(description=inherited["task"].description)),
        "model": (settings, Field(default=settings(), description=inherited["model"].description)),
    }
    # Distinct names; otherwise the JSON Schema would distinguish them by the path of this module.
    return create_model(f"{task.title().replace('_', '')}RunConfig", __base__=RunConfig, **fields)


def json_schema() -> dict[str, Any]:
    """Returns the JSON Schema of run files, for editors."""
    classes = [schema_class(task) for task in sorted(registry.TASKS)]
    references, definitions = models_json_schema([(settings_class, "validation") for settings_class in classes])
    header = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Headrace run file"}
    return {**header, "oneOf": list(references.values()), **definitions}
