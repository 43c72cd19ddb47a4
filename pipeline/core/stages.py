"""The stages of a run, each declared once; loads no TensorFlow, Beam or TFX.

`pipeline.running.wiring` has a function of the same name for each, which makes its component.
"""

from dataclasses import dataclass

# The module of a task imports its reference models within a function, and names a metric of TFMA's in a text: both are
# loaded by other stages only.
REFERENCE_MODELS = "models.tasks.*.reference"


@dataclass(frozen=True)
class Stage:
    """A stage of a run.

    Attributes:
        id: Its name in the database, on the screen and in folders.
        module: Where its own code begins. Its cache key holds the source of this module and of all that it imports,
            and the versions of the packages that those import.
        packages: Packages to install that its component is made of, where that is not ours.
        excluded: Patterns of modules that are imported on the way but never by this stage: no part of its cache key.
        waits_for: Stages that have to end first, beside those whose outputs it takes.
        looks_at: What it looks at that no cache key can hold, so that it runs in every run; empty for a cached stage.
        settings: What the names of the settings that it goes by begin with.
        is_gate: Whether it stops a run that came to something not good enough.
    """

    id: str
    module: str
    packages: tuple[str, ...] = ()
    excluded: tuple[str, ...] = ()
    waits_for: tuple[str, ...] = ()
    looks_at: str = ""
    settings: tuple[str, ...] = ()
    is_gate: bool = False

    @property
    def is_cached(self) -> bool:
        """Whether an earlier result is taken where inputs, settings, code and packages are the same."""
        return not self.looks_at


# In an order in which each follows those that it needs.
STAGES = (
    Stage("ingest", "components.example_gen", settings=("data.",)),
    Stage("statistics", "components.statistics", settings=("beam.",)),
    Stage("schema", "components.schema"),
    Stage(
        "data_gate",
        "components.data_gate",
        looks_at="the data of the live version, and the last accepted data",
        settings=("data.checks.",),
        is_gate=True,
    ),
    Stage(
        "transform",
        "components.transform",
        excluded=(REFERENCE_MODELS,),
        waits_for=("data_gate",),
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
        waits_for=("train",),  # whose curves a person waits for
        settings=("task", "model.", "seed"),
    ),
    Stage(
        "evaluate",
        "components.evaluator",
        # It starts the server that the serving check takes, in a process of its own.
        excluded=(REFERENCE_MODELS, "models.serving.server.*"),
        waits_for=("classical",),  # whose seconds are compared: that server would import beside it
        settings=("task", "model.", "evaluate.tfma", "beam."),
    ),
    Stage(
        "model_gate",
        "components.model_gate",
        looks_at="what is published",
        settings=("task", "data.", "model.", "evaluate.", "baseline.metric", "beam."),
        is_gate=True,
    ),
    Stage(
        "baseline",
        "components.baseline",
        waits_for=("model_gate",),
        settings=("task", "model.", "baseline.", "evaluate.thresholds"),
        is_gate=True,
    ),
    Stage(
        "serving_check",
        "components.serving_check",
        excluded=(REFERENCE_MODELS,),
        waits_for=("baseline",),
        settings=("task", "model.", "serving.", "evaluate.against_live"),
        is_gate=True,
    ),
    Stage(
        "publish",
        "components.publisher",
        looks_at="what is published",
        settings=("task", "data.", "serving.sample", "publish."),
    ),
)
BY_ID = {stage.id: stage for stage in STAGES}
