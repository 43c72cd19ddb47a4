"""RunConfig -> TFX pipeline; the only place that wires components together."""

import dataclasses
import json
import sys
from pathlib import Path

from google.protobuf import text_format

from pipeline.running import deferred

if "tfx.components" not in sys.modules:
    # The package imports all of its modules, with Kubernetes and KerasTuner, for 0.6 s; we take two, one by one.
    deferred.defer("tfx.components")

from tfx.components.trainer.component import Trainer
from tfx.components.transform.component import Transform
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.proto import trainer_pb2, transform_pb2

from components.baseline import Baseline
from components.classical import Classical
from components.data_gate import CuratedSchema, DataGate, schema_text
from components.evaluator import TestEvaluator
from components.example_gen import DatasetExampleGen
from components.model_gate import ModelGate
from components.publisher import Publisher
from components.serving_check import ServingCheck
from components.statistics import SplitStatistics
from data import loading
from models import registry
from models.serving.rollout.versions import last_version, read_manifest
from pipeline.core.config import NamedConfig
from pipeline.core.fingerprint import closure, fingerprint
from pipeline.core.paths import PipelinePaths

# Without it Beam first tries to download another runner.
RUNNER = "--runner=FnApiRunner"
# The image, which no local runner looks at, keeps TFX from building a package of itself for remote workers each time.
LOCAL = [RUNNER, "--sdk_container_image=none"]
BEAM_ARGS = [*LOCAL, "--direct_running_mode=in_memory"]


def beam_args(workers: int) -> list[str]:
    """Returns Beam's options for so many processes."""
    if workers == 1:
        return BEAM_ARGS
    return [*LOCAL, "--direct_running_mode=multi_processing", f"--direct_num_workers={workers}"]


def build(named: NamedConfig, paths: PipelinePaths, run: str, *, allow_unblessed: bool = False) -> Pipeline:
    """Returns the pipeline of a resolved run file.

    Args:
        named: The run file.
        paths: Where state goes.
        run: Identifier of this run; the steps that look at what is published take it, so that they are never cached.
        allow_unblessed: Go on with a model that is not good enough; it is still not published.
    """
    config, spec = named.config, named.dataset.spec
    task = registry.task(config.task)
    task_module = f"{registry.TASKS[config.task]}.task"
    eval_config = task.eval_config(config.model, spec)
    metric = compared_metric(config, config.model.compared(spec))
    options = beam_args(config.beam.workers)
    learned = {
        "task": config.task,
        "config": config.model.model_dump(mode="json"),
        "spec": spec.model_dump(mode="json"),
    }

    ingest = DatasetExampleGen(
        data=config.data.model_dump_json(exclude={"checks": {"drift"}}),  # which is the gate's
        name=named.name,
        base=str(named.base),
        digest=named.dataset.digest(),
        fingerprint=_code(
            ["components.example_gen", loading.module(config.data)],
            ["numpy", "pillow", "pyarrow", "scikit-learn", "tensorflow"],
        ),
    ).with_id("ingest")
    examples = ingest.outputs["examples"]
    statistics = SplitStatistics(
        examples=examples,
        spec=spec.model_dump_json(),
        fingerprint=_code(["components.statistics"], ["numpy", "tensorflow-data-validation"]),
    ).with_id("statistics")
    curated = Path(loading.__file__).parent / "schemas" / f"{config.data.name}.pbtxt"
    schema = CuratedSchema(text=curated.read_text() if curated.exists() else schema_text(spec)).with_id("schema")
    data_gate = DataGate(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        spec=spec.model_dump_json(),
        drift=config.data.checks.drift.model_dump_json(),
        accepted=str(paths.accepted),
        run=run,
    ).with_id("data_gate")
    transform = Transform(
        examples=examples,
        schema=schema.outputs["schema"],
        preprocessing_fn="pipeline.running.entrypoints.preprocessing_fn",
        splits_config=transform_pb2.SplitsConfig(analyze=["train"], transform=["train"]),
        custom_config={**learned, "fingerprint": fingerprint([task_module], ["tensorflow", "tensorflow-transform"])},
        # Nothing is written out: the graph runs again while training, which costs less than reading float images.
        materialize=False,
        # Its statistics of the data before and after take 8 s of Fashion-MNIST's run, and ours are at the data gate.
        disable_statistics=True,
    ).with_id("transform")
    transform.add_upstream_node(data_gate)
    train = Trainer(
        examples=examples,
        transform_graph=transform.outputs["transform_graph"],
        run_fn="pipeline.running.entrypoints.run_fn",
        train_args=trainer_pb2.TrainArgs(splits=["train"]),
        eval_args=trainer_pb2.EvalArgs(splits=["validation"]),
        custom_config={
            **learned,
            "train": config.train.model_dump(mode="json"),
            "seed": config.seed,
            "published": _published(paths) if config.train.warm_start == "auto" else {},
            "tensorboard": str(paths.tensorboard),
            "checkpoints": str(paths.checkpoints),
            "fingerprint": fingerprint(
                [task_module, "models.training.trainer", "pipeline.running.entrypoints"],
                ["keras", "numpy", "tensorflow"],
            ),
        },
    ).with_id("train")
    model = train.outputs["model"]
    evaluate = TestEvaluator(
        examples=examples,
        model=model,
        eval_config=text_format.MessageToString(eval_config),
        spec=spec.model_dump_json(),
        task=config.task,
        beam_args=json.dumps(options),
        fingerprint=_code(
            ["components.evaluator", "models.evaluation.calibration", task_module],
            ["tensorflow", "tensorflow-model-analysis"],
        ),
    ).with_id("evaluate")
    model_gate = ModelGate(
        evaluation=evaluate.outputs["evaluation"],
        model=model,
        examples=examples,
        thresholds=json.dumps({name: bound.model_dump() for name, bound in config.evaluate.thresholds.items()}),
        destination=str(paths.serving),
        spec=spec.model_dump_json(),
        beam_args=json.dumps(options),
        task=config.task,
        config=config.model.model_dump_json(),
        metric=metric,
        challenge=config.evaluate.challenge,
        allow_unblessed=allow_unblessed,
        run=run,
    ).with_id("model_gate")
    classical = Classical(
        examples=examples,
        task=config.task,
        config=config.model.model_dump_json(),
        spec=spec.model_dump_json(),
        seed=config.seed,
        fingerprint=_code(
            ["components.classical", *_classical_modules(task_module)], ["numpy", "pandas", "scikit-learn"]
        ),
    ).with_id("classical")
    classical.add_upstream_node(data_gate)
    baseline = Baseline(
        evaluation=evaluate.outputs["evaluation"],
        model_run=train.outputs["model_run"],
        classical=classical.outputs["models"],
        task=config.task,
        config=config.model.model_dump_json(),
        spec=spec.model_dump_json(),
        metric=metric,
        require="report" if allow_unblessed else config.baseline.require,
        seed=config.seed,
        fingerprint=_code(["components.baseline", "models.evaluation.bootstrap"], ["numpy", "scikit-learn"]),
    ).with_id("baseline")
    baseline.add_upstream_node(model_gate)
    serving_check = ServingCheck(
        model=model,
        examples=examples,
        name=named.name,
        task=config.task,
        spec=spec.model_dump_json(),
        budget=config.serving.model_dump_json(exclude={"sample"}),
        destination=str(paths.serving),
        scratch=str(paths.candidate),
        fingerprint=_code(
            [task_module, "components.serving_check", "models.serving.server.__main__"],
            ["tensorflow", "grpcio", "aiohttp"],
        ),
    ).with_id("serving_check")
    serving_check.add_upstream_node(baseline)
    publish = Publisher(
        model=model,
        model_blessing=model_gate.outputs["blessing"],
        infra_blessing=serving_check.outputs["blessing"],
        evaluation=evaluate.outputs["evaluation"],
        destination=str(paths.serving),
        keep=config.publish.keep or 0,
        manifest=json.dumps({"pipeline": named.name, **_manifest(named, task)}),
        run=run,
    ).with_id("publish")

    return Pipeline(
        pipeline_name=named.name,
        pipeline_root=str(paths.artifacts),
        components=[
            ingest,
            statistics,
            schema,
            data_gate,
            transform,
            classical,
            train,
            evaluate,
            model_gate,
            baseline,
            serving_check,
            publish,
        ],
        enable_cache=True,
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(paths.database)),
        beam_pipeline_args=options,
    )


def _published(paths: PipelinePaths) -> dict[str, str]:
    """Returns folder and digest of the last published version; nothing without one."""
    version = last_version(paths.serving)
    if version is None:
        return {}
    folder = paths.serving / str(version)
    return {"folder": str(folder), "digest": read_manifest(folder)["digest"]}


def compared_metric(config, compared) -> str:
    """Returns the name of the metric, among those compared, by which the network is held against classical models."""
    asked = [config.baseline.metric] if config.baseline.metric != "auto" else config.evaluate.thresholds
    return next((name for name in asked if name in compared), next(iter(compared)))


def _classical_modules(task_module: str) -> list[str]:
    """Returns the modules of a task's classical models: they alone decide what those come to."""
    return [name for name in closure([task_module]) if name.endswith(".reference")]


def _code(modules: list[str], distributions: list[str]) -> str:
    """Returns the fingerprint of a step's code as the JSON text that a component's parameter takes."""
    return json.dumps(fingerprint(modules, distributions))


def _manifest(named: NamedConfig, task) -> dict:
    """Returns what `headrace predict` needs to know about a published version."""
    config, spec = named.config, named.dataset.spec
    return {
        "task": config.task,
        "dataset": spec.name,
        "spec": spec.model_dump(mode="json"),
        "data": {"delimiter": config.data.delimiter, "missing_values": named.dataset.missing_values},
        "file_query": dataclasses.asdict(task.file_query),
        "sample": config.serving.sample.model_dump(),
    }
