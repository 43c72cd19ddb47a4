"""Creates and connects the TFX components of a run: a function for each stage, named by the stage's id.

All other facts about a stage are in `pipeline.core.stages`.
"""

import dataclasses
import functools
import json
from pathlib import Path
from typing import Any

from tfx.components.trainer.component import Trainer
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.proto import trainer_pb2
from tfx.types.channel import Channel

from components.baseline import Baseline
from components.classical import Classical
from components.data_gate import DataGate
from components.evaluator import TestEvaluator
from components.example_gen import DatasetExampleGen
from components.live_model.comparable import LiveModel, split_plan, why_no_warm_start
from components.model_gate import ModelGate
from components.publisher import Publisher
from components.schema import CuratedSchema, schema_text
from components.serving_check import ServingCheck
from components.statistics import SplitStatistics
from components.transform import Transform
from data import loading
from data.sources.tables.formats import kept_settings
from data.spec import DatasetSpec
from models import registry
from models.task import Task
from pipeline.core.config import NamedConfig
from pipeline.core.config.settings import RunConfig, ServingConfig
from pipeline.core.files import user_umask
from pipeline.core.fingerprint import closure, fingerprint
from pipeline.core.paths import PipelinePaths
from pipeline.core.stages import BY_ID
from pipeline.running.home_paths import BASE, BEAM, HOME


@dataclasses.dataclass(frozen=True)
class Wiring:
    """The inputs of the functions that create components.

    Attributes:
        named: The run file.
        paths: Paths of the pipeline in its home.
        run: Identifier of the run; a parameter of stages that run every time, so that they are never cached.
        allow_unblessed: Whether to continue with a model below its thresholds; it is not published.
        components: Stage -> its component, for the stages created so far.
    """

    named: NamedConfig
    paths: PipelinePaths
    run: str
    allow_unblessed: bool = False
    components: dict[str, BaseComponent] = dataclasses.field(default_factory=dict)

    @property
    def config(self) -> RunConfig:
        """The settings of the run file."""
        return self.named.config

    @property
    def spec(self) -> DatasetSpec:
        """The specification of the data set."""
        return self.named.dataset.spec

    @property
    def task(self) -> Task:
        """The task, which loads TensorFlow."""
        return registry.task(self.config.task)

    def output(self, stage: str, name: str) -> Channel:
        """Returns an output of a stage whose component was created before."""
        return self.components[stage].outputs[name]

    def fingerprint(self, stage: str) -> dict[str, str]:
        """Returns module -> digest, and package -> version, of a stage's code, for its cache key."""
        declared = BY_ID[stage]
        by_name = {
            "models.registry": [registry.task_module(self.config.task)],
            "data.loading": [loading.module(self.config.data)],
        }
        return fingerprint(closure([declared.module], by_name=by_name, excluded=declared.excluded), declared.packages)

    def home_path(self, path: Path) -> str:
        """Returns a path below the home that begins with the placeholder of the home; see `home_paths`."""
        return f"{HOME}/{self.paths.relative(path)}"

    @functools.cached_property
    def split_plan(self) -> dict[str, Any]:
        """The facts about all rows, and about the live version's splits, by which rows are assigned to splits."""
        return split_plan(LiveModel.of(self.paths.serving), self.named.dataset)

    def metric(self) -> str:
        """Returns the name of the metric by which the network is compared with other models."""
        return compared_metric(self.config, self.config.model.compared(self.spec))


def ingest(wiring: Wiring) -> BaseComponent:
    """Reads the run file's data and writes the splits."""
    return DatasetExampleGen(
        data=wiring.config.data.model_dump_json(exclude={"checks": {"drift"}}),  # drift belongs to the data gate
        name=wiring.named.name,
        base=BASE,  # a placeholder, since the digest identifies the content wherever it lies
        digest=wiring.named.dataset.digest(),
        split_plan=json.dumps(wiring.split_plan, sort_keys=True),
        fingerprint=json.dumps(wiring.fingerprint("ingest")),
    )


def statistics(wiring: Wiring) -> BaseComponent:
    """Computes the statistics of every split."""
    return SplitStatistics(
        examples=wiring.output("ingest", "examples"),
        spec=wiring.spec.model_dump_json(),
        beam_args=BEAM,
        fingerprint=json.dumps(wiring.fingerprint("statistics")),
    )


def schema(wiring: Wiring) -> BaseComponent:
    """Provides the schema from version control if there is one, else the schema derived from the features."""
    curated = Path(loading.__file__).parent / "schemas" / f"{wiring.config.data.name}.pbtxt"
    return CuratedSchema(
        text=curated.read_text() if curated.exists() else schema_text(wiring.spec),
        fingerprint=json.dumps(wiring.fingerprint("schema")),
    )


def data_gate(wiring: Wiring) -> BaseComponent:
    """Validates the statistics against the schema, and compares them with the data of the live version."""
    return DataGate(
        statistics=wiring.output("statistics", "statistics"),
        schema=wiring.output("schema", "schema"),
        spec=wiring.spec.model_dump_json(),
        drift=wiring.config.data.checks.drift.model_dump_json(),
        accepted=wiring.home_path(wiring.paths.accepted),
        profiles=wiring.home_path(wiring.paths.profiles),
        destination=wiring.home_path(wiring.paths.serving),
        run=wiring.run,
    )


def transform(wiring: Wiring) -> BaseComponent:
    """Fits the preprocessing to the training split."""
    return Transform(
        examples=wiring.output("ingest", "examples"),
        schema=wiring.output("schema", "schema"),
        task=wiring.config.task,
        config=wiring.config.model.model_dump_json(),
        spec=wiring.spec.model_dump_json(),
        beam_args=BEAM,
        fingerprint=json.dumps(wiring.fingerprint("transform")),
    )


def train(wiring: Wiring) -> BaseComponent:
    """Trains the network."""
    settings = wiring.config.train
    return Trainer(
        examples=wiring.output("ingest", "examples"),
        transform_graph=wiring.output("transform", "transform_graph"),
        run_fn=f"{BY_ID['train'].module}.run_fn",
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["validation"]),
        custom_config={
            "task": wiring.config.task,
            "config": wiring.config.model.model_dump(mode="json"),
            "spec": wiring.spec.model_dump(mode="json"),
            "train": settings.model_dump(mode="json"),
            "seed": wiring.config.seed,
            "published": _published(wiring) if settings.warm_start == "auto" else {},
            "home": HOME,  # the next two folders, and that of the published version, are relative to it
            "tensorboard": wiring.paths.relative(wiring.paths.tensorboard),
            "checkpoints": wiring.paths.relative(wiring.paths.checkpoints),
            "fingerprint": wiring.fingerprint("train"),
        },
    )


def classical(wiring: Wiring) -> BaseComponent:
    """Trains the reference models."""
    return Classical(
        examples=wiring.output("ingest", "examples"),
        task=wiring.config.task,
        config=wiring.config.model.model_dump_json(),
        spec=wiring.spec.model_dump_json(),
        seed=wiring.config.seed,
        fingerprint=json.dumps(wiring.fingerprint("classical")),
    )


def evaluate(wiring: Wiring) -> BaseComponent:
    """Computes the model's predictions and metrics on the test split."""
    return TestEvaluator(
        examples=wiring.output("ingest", "examples"),
        model=wiring.output("train", "model"),
        spec=wiring.spec.model_dump_json(),
        task=wiring.config.task,
        config=wiring.config.model.model_dump_json(),
        tfma=wiring.config.evaluate.tfma,
        beam_args=BEAM,
        fingerprint=json.dumps(wiring.fingerprint("evaluate")),
    )


def model_gate(wiring: Wiring) -> BaseComponent:
    """Compares the metrics with the thresholds and with the live version."""
    settings = wiring.config.evaluate
    return ModelGate(
        evaluation=wiring.output("evaluate", "evaluation"),
        model=wiring.output("train", "model"),
        examples=wiring.output("ingest", "examples"),
        thresholds=json.dumps({name: bound.model_dump() for name, bound in settings.thresholds.items()}),
        destination=wiring.home_path(wiring.paths.serving),
        spec=wiring.spec.model_dump_json(),
        task=wiring.config.task,
        config=wiring.config.model.model_dump_json(),
        metric=wiring.metric(),
        challenge=settings.challenge,
        against_live=settings.against_live,
        source=json.dumps(_source(wiring)),
        base=BASE,
        split_rule=json.dumps(wiring.named.dataset.rule()),
        split_plan=json.dumps(wiring.split_plan),
        allow_unblessed=wiring.allow_unblessed,
        run=wiring.run,
    )


def baseline(wiring: Wiring) -> BaseComponent:
    """Compares the network with the best of the reference models."""
    return Baseline(
        evaluation=wiring.output("evaluate", "evaluation"),
        model_run=wiring.output("train", "model_run"),
        classical=wiring.output("classical", "models"),
        task=wiring.config.task,
        config=wiring.config.model.model_dump_json(),
        spec=wiring.spec.model_dump_json(),
        metric=wiring.metric(),
        require="report" if wiring.allow_unblessed else wiring.config.baseline.require,
        fingerprint=json.dumps(wiring.fingerprint("baseline")),
    )


def serving_check(wiring: Wiring) -> BaseComponent:
    """Starts a server with the exported model, and checks its predictions, latency and memory."""
    return ServingCheck(
        model=wiring.output("train", "model"),
        examples=wiring.output("ingest", "examples"),
        name=wiring.named.name,
        task=wiring.config.task,
        config=wiring.config.model.model_dump_json(),
        spec=wiring.spec.model_dump_json(),
        budget=_budget(wiring.config).model_dump_json(exclude={"sample"}),
        destination=wiring.home_path(wiring.paths.serving),
        live=_live_latency(wiring),
        scratch=wiring.home_path(wiring.paths.candidate),
        fingerprint=json.dumps(wiring.fingerprint("serving_check")),
    )


def publish(wiring: Wiring) -> BaseComponent:
    """Publishes the model if all gates have passed."""
    return Publisher(
        model=wiring.output("train", "model"),
        model_blessing=wiring.output("model_gate", "blessing"),
        infra_blessing=wiring.output("serving_check", "blessing"),
        evaluation=wiring.output("evaluate", "evaluation"),
        statistics=wiring.output("statistics", "statistics"),
        destination=wiring.home_path(wiring.paths.serving),
        profiles=wiring.home_path(wiring.paths.profiles),
        keep=wiring.config.publish.keep or 0,
        mode=int(wiring.config.publish.mode, 8) if wiring.config.publish.mode else 0o666 & ~user_umask(),
        manifest=json.dumps({"pipeline": wiring.named.name, **_manifest(wiring)}),
        run=wiring.run,
    )


def _live_latency(wiring: Wiring) -> str:
    """Returns the version with whose latency the candidate is compared; empty if there is no such limit."""
    live = LiveModel.of(wiring.paths.serving) if _budget(wiring.config).max_slowdown else None
    return str(live.version) if live else ""


def _budget(config: RunConfig) -> ServingConfig:
    """Returns the limits of the serving check; without `max_slowdown` if nothing is compared with the live version."""
    never = config.evaluate.against_live == "never"
    return config.serving.model_copy(update={"max_slowdown": None} if never else {})


def compared_metric(config: RunConfig, compared) -> str:
    """Returns the name of the metric by which the network is compared with the reference models.

    Args:
        config: The run file's settings.
        compared: Names of the task's metrics that can be compared, the default one first.
    """
    names = [config.baseline.metric] if config.baseline.metric != "auto" else config.evaluate.thresholds
    return next((name for name in names if name in compared), next(iter(compared)))


def _published(wiring: Wiring) -> dict[str, str]:
    """Returns facts about the live version for a warm start; empty if there is no live version.

    Returns:
        `folder`, relative to the home, `digest`, and `why_not`: why training cannot begin with its weights, or empty.
    """
    live = LiveModel.of(wiring.paths.serving)
    if live is None:
        return {}
    why_not = why_no_warm_start(live, wiring.named.dataset, wiring.split_plan)
    return {"folder": wiring.paths.relative(live.folder), "digest": live.manifest["digest"], "why_not": why_not}


def _source(wiring: Wiring) -> dict[str, Any]:
    """Returns settings, name and digest of the data source, as JSON values."""
    named = wiring.named
    config = named.config.data.model_dump(mode="json")
    return {"config": config, "name": named.name, "digest": named.dataset.digest()}


def _manifest(wiring: Wiring) -> dict[str, Any]:
    """Returns the facts about a published version that `headrace predict` needs, as JSON values."""
    dataset = wiring.named.dataset
    return {
        "task": wiring.config.task,
        "dataset": wiring.spec.name,
        "spec": wiring.spec.model_dump(mode="json"),
        "split": dataset.rule(),
        "split_plan": wiring.split_plan,
        "data": kept_settings(dataset.read_by(wiring.config.data), dataset.columns),
        "file_query": dataclasses.asdict(wiring.task.file_query(wiring.config.model, wiring.spec)),
        "sample": wiring.config.serving.sample.model_dump(),
    }
