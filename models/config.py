"""Settings that every task shares. Loads no TensorFlow: a bad value is refused in less than a second."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from data.config import Settings
from data.spec import DatasetSpec, LabelFeature

if TYPE_CHECKING:
    from models.evaluation.metrics import Metric, PerClass

Fraction = Annotated[float, Field(ge=0, lt=1)]


# Keras's own names; tests/models/test_config.py checks them against the Keras that is installed.
Optimizer = Literal[
    "adadelta", "adafactor", "adagrad", "adam", "adamax", "adamw", "ftrl", "lion", "muon", "nadam", "rmsprop", "sgd"
]
Schedule = Literal["constant", "CosineDecay", "ExponentialDecay", "InverseTimeDecay", "PolynomialDecay"]
Activation = Literal[
    "celu",
    "elu",
    "gelu",
    "hard_sigmoid",
    "hard_silu",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
]
ACTIVATIONS, OPTIMIZERS, SCHEDULES = get_args(Activation), get_args(Optimizer), get_args(Schedule)


class TaskConfig(Settings):
    """Settings of a task's model and features; each task derives its own.

    Attributes:
        train_defaults: Settings of training that suit the task where a run file does not set them.
    """

    train_defaults: ClassVar[dict[str, Any]] = {}

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless the task can learn from a data set with these features."""

    def metrics(self, spec: DatasetSpec) -> "tuple[Metric | PerClass, ...]":
        """Returns the metrics of the test split, the main metric first."""
        return ()

    def slice_columns(self, spec: DatasetSpec) -> tuple[str, ...]:
        """Returns the columns whose values make slices in the evaluation: the label, and those of `slice_by`."""
        return (*spec.of(LabelFeature), *getattr(self, "slice_by", ()))

    def check_slices(self, spec: DatasetSpec) -> None:
        """Raises ValueError where slices of two columns can have one name, as `b=c` of `a` and `c` of `a=b`."""
        columns = self.slice_columns(spec)
        for name in columns:
            for other in columns:
                if other.startswith(f"{name}="):
                    raise ValueError(
                        f"model.slice_by: slices of {other} and {name} may have the same name; rename column {other} "
                        "or leave it out."
                    )

    def metric_ranges(self, spec: DatasetSpec) -> dict[str, tuple[float, float]]:
        """Returns the metrics of all rows of the test split: name -> least and greatest value.

        A task without metrics takes no thresholds.
        """
        from models.evaluation.metrics import ranges

        return ranges(self.metrics(spec))

    def lower_is_better(self, spec: DatasetSpec) -> frozenset[str]:
        """Returns the names of the metrics whose lower values are better; for all others higher values are."""
        from models.evaluation.metrics import Metric

        metrics = [metric for metric in self.metrics(spec) if isinstance(metric, Metric)]
        return frozenset(metric.name for metric in metrics if metric.lower_is_better)

    def input_names(self, spec: DatasetSpec) -> dict[str, str]:
        """Returns column -> name of its input, where a served signature has one input for each column."""
        return {}

    def compared(self, spec: DatasetSpec) -> "dict[str, Metric]":
        """Returns the metrics by which network and other models, and two runs, are compared; the main one first."""
        from models.evaluation.metrics import Metric

        metrics = [metric for metric in self.metrics(spec) if isinstance(metric, Metric)]
        return {metric.name: metric for metric in metrics if metric.is_compared}


class EarlyStopping(Settings):
    """When to stop before the last epoch; the best epoch's weights are kept."""

    monitor: Literal["val_loss", "val_accuracy"] = "val_loss"
    """The monitored value, on the validation split."""
    patience: PositiveInt = 3
    """Epochs without improvement before training stops."""
    min_delta: NonNegativeFloat = 0.0
    """Least change that counts as an improvement."""


class TensorBoardConfig(Settings):
    """What training writes for TensorBoard."""

    histogram_freq: Annotated[int, Field(ge=0)] = 1
    """Epochs between two histograms of the weights; 0 writes none."""
    images: bool = True
    """Sample images once, and the task's plots (such as the confusion matrix) after every epoch."""


class TrainConfig(Settings):
    """How a model is trained."""

    epochs: PositiveInt = 5
    """Passes over the training split."""
    batch_size: PositiveInt = 128
    """Examples of a step, over all devices together."""
    optimizer: Optimizer = "adamw"
    """Keras's name of the optimizer."""
    learning_rate: PositiveFloat = 1e-3
    """Highest learning rate; the schedule starts from it."""
    learning_rate_schedule: Schedule = "CosineDecay"
    """Keras's name of the schedule, stretched over all epochs; `constant` keeps the rate."""
    warmup_epochs: NonNegativeFloat = 0.0
    """Epochs in which the rate rises linearly from 0; CosineDecay only."""
    weight_decay: NonNegativeFloat = 0.0
    """Decoupled weight decay."""
    clip_norm: PositiveFloat | None = None
    """Upper bound of the global gradient norm."""
    early_stopping: EarlyStopping | None = EarlyStopping()
    """When to stop early; null trains all epochs and keeps the last weights."""
    checkpoint_steps: PositiveInt = 500
    """Steps between two checkpoints within an epoch; there is one after every epoch as well."""
    augment: bool = True
    """Whether the task's augmentation is applied to training batches."""
    shuffle_buffer: PositiveInt = 100_000
    """Size of the shuffle buffer in serialized examples, where the transformed rows take more than `buffer_mib`;
    smaller where those examples do, too."""
    buffer_mib: PositiveInt = 1024
    """Greatest size of the training rows in memory, in MiB: all rows, transformed once, where they fit, else the
    shuffle buffer, whose rows are transformed every epoch. The validation split has the same limit."""
    strategy: Literal["auto", "one_device", "mirrored"] = "auto"
    """auto: MirroredStrategy over the GPUs where there are several, else one device."""
    precision: Literal["auto", "float32", "mixed_bfloat16", "mixed_float16"] = "auto"
    """auto: mixed precision where every GPU has the units for it, else float32."""
    warm_start: Literal["off", "auto"] = "off"
    """auto: begin with the weights of the published model, where layers, classes and vocabularies are the same."""
    profile: bool = False
    """Whether a few training steps are profiled, for TensorBoard's profile tab."""
    tensorboard: TensorBoardConfig = TensorBoardConfig()
    """What is written for TensorBoard."""
