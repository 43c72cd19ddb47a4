"""The stages of a run, each declared once; loads no TensorFlow, Beam or TFX.

`pipeline.running.wiring` has a function of the same name for each, which creates its component.
"""

from dataclasses import dataclass

# The module of a task imports its reference models within a function, and names a metric of TFMA's in a text: both are
# loaded by other stages only.
REFERENCE_MODELS = "models.tasks.*.reference"


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    Attributes:
        id: Name in the database, on the screen and in folders.
        module: Main module of its code. Its cache key has the source of this module and of all its imports, and the
            versions of the packages that those import.
        packages: Installed packages of its component, if that is not ours.
        excluded: Patterns of modules that its code references but never loads in this stage; not in its cache key.
        runs_after: Stages that have to end first, in addition to those whose outputs it consumes.
        external_state: State that it reads and no cache key has, so that it runs in every run; empty for a cached
            stage.
        settings: Prefixes of the names of the settings that affect it.
        is_gate: Whether it can refuse the data or the model and so stop the run.
    """

    id: str
    module: str
    packages: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    runs_after: tuple[str, ...] = ()
    external_state: str = ""
    settings: tuple[str, ...] = ()
    is_gate: bool = False

    @property
    def is_cached(self) -> bool:
        """Whether an earlier result is reused if inputs, settings, code and packages are equal."""
        return not self.external_state


# In topological order.
STAGES = (
    Stage("ingest", "components.example_gen", settings=("data.",)),
    Stage("statistics", "components.statistics", settings=("beam.",)),
    Stage("schema", "components.schema"),
    Stage(
        "data_gate",
        "components.data_gate",
        external_state="the data of the live version, and the last accepted data",
        settings=("data.checks.",),
        is_gate=True,
    ),
    Stage(
        "transform",
        "components.transform",
        excluded=(REFERENCE_MODELS,),
        runs_after=("data_gate",),
        settings=("task", "model.", "beam."),
    ),
    Stage(
        "train",
        "pipeline.running.trainer_entry",
        packages=("tfx",),
        excluded=(REFERENCE_MODELS,),
        settings=("task", "model.", "train.", "seed"),
    ),
    Stage(
        "classical",
        "components.classical",
        runs_after=("train",),  # a person waits for its curves
        settings=("task", "model.", "seed"),
    ),
    Stage(
        "evaluate",
        "components.evaluator",
        # It starts the server of the serving check as a process.
        excluded=(REFERENCE_MODELS, "models.serving.server.*"),
        runs_after=("classical",),  # its time is measured, and the start of the server would compete with it
        settings=("task", "model.", "evaluate.tfma", "beam."),
    ),
    Stage(
        "model_gate",
        "components.model_gate",
        external_state="what is published",
        settings=("task", "data.", "model.", "evaluate.", "baseline.metric", "beam."),
        is_gate=True,
    ),
    Stage(
        "baseline",
        "components.baseline",
        runs_after=("model_gate",),
        settings=("task", "model.", "baseline.", "evaluate.thresholds"),
        is_gate=True,
    ),
    Stage(
        "serving_check",
        "components.serving_check",
        excluded=(REFERENCE_MODELS,),
        runs_after=("baseline",),
        settings=("task", "model.", "serving.", "evaluate.against_live"),
        is_gate=True,
    ),
    Stage(
        "publish",
        "components.publisher",
        external_state="what is published",
        settings=("task", "data.", "serving.sample", "publish."),
    ),
)
BY_ID = {stage.id: stage for stage in STAGES}
