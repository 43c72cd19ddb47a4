"""Made-up rows for every task, and a training job on them, without TFX."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2

from components.example_gen import write_splits
from components.schema import schema_text
from data.columnar.batches import of_rows
from data.spec import (
    SPLITS,
    BooleanFeature,
    CategoryFeature,
    DatasetSpec,
    DateFeature,
    Feature,
    ImageFeature,
    LabelFeature,
    NumberFeature,
    Row,
    SequenceFeature,
    TargetFeature,
    TextFeature,
)
from models import registry
from models.config import TrainConfig
from models.preprocessing.learning import learn
from models.training.job import TrainingJob

NUM_ROWS = {"train": 48, "validation": 12, "test": 12}
# Names that occur in data, and that TensorFlow, Keras, TFT and TFMA confuse with their own names or with each other.
NUMBERS = ("inputs", "A", "a", "a/b", "a b", "a.b", "b/a", "$x^2_{1} %s {0}", "x" * 300, "🙂", "שם", "numbers", "None")
TABLE: dict[str, Feature] = {
    "lambda": NumberFeature(),
    **dict.fromkeys(NUMBERS, NumberFeature(optional=True)),
    "Größe": BooleanFeature(optional=True),
    "label": DateFeature(optional=True),
    "色": CategoryFeature(optional=True),
    "self": CategoryFeature(optional=True),
}
CLASSES = ("$a_{1}^2 \\frac", "a/b: [red] {} %s 🙂 שלום " + "y" * 300)


def _image_row(index: int, generator: np.random.Generator) -> Row:
    """An image whose brightness is that of its label."""
    image = generator.integers(0, 60, (6, 6, 1)) + (0, 190, 95)[index % 3]
    return {"image": image.astype(np.uint8), "label": index % 3}


def _table_row(index: int, generator: np.random.Generator) -> Row:
    """A row whose number determines the label; every third has no optional values."""
    label = index % 2
    row: Row = {"lambda": float(label + generator.normal(0, 0.1))}
    if index % 3:
        row |= {name: float(generator.normal()) for name in NUMBERS}
        row |= {"Größe": float(index % 4 == 0), "色": "赤" if label else "青"}
        row["label"] = 1_700_000_000 + 3_600 * index
    return row


def _text_row(index: int, generator: np.random.Generator) -> Row:
    """A text in several scripts whose first word determines the label; some are empty, one is very long."""
    first_word = ["gut", "schlecht"][index % 2]
    other_words = generator.choice(["это", "日本語テキスト", "the film", "!!", "a\0b"], 3)
    text = " ".join([first_word, *other_words]) * (500 if index == 5 else 1)
    return {"inputs": "" if index % 12 == 7 else f"{text} {index}", "text": index % 2}


def _sequence_row(index: int, generator: np.random.Generator) -> Row:
    letters = generator.choice(list("ACGT"), 20) if index % 2 else generator.choice(list("AN"), 12)
    return {"sequence": "".join(letters), "label": index % 2}


def _steps_row(index: int, generator: np.random.Generator) -> Row:
    """Steps of two numbers; the first rises or falls by the label. Some rows are too long, some have no step."""
    steps = generator.normal(size=(1 + index % 11, 2))
    steps[:, 0] += np.arange(len(steps)) * (1 if index % 2 else -1)
    values = {} if index % 12 == 7 else {"a b/c": steps.ravel().tolist()}
    return {**values, "label": index % 2}


def _rating_row(index: int, generator: np.random.Generator) -> Row:
    user, item = index % 5, int(generator.integers(0, 8))
    recent = "|".join(str(number) for number in generator.integers(0, 8, 3))
    row: Row = {"inputs": f"u{user}", "item": f"Film {item} #{item}", "kind": "light", "user": 1.0 + (user + item) % 5}
    return row | ({"a/b": recent} if index % 4 else {})


# Task, with `-` and a variant of its inputs -> features of a made-up data set, its rows, settings of the model.
MADE_UP: dict[str, tuple[dict[str, Feature], Callable[[int, np.random.Generator], Row], dict]] = {
    "image_classification": (
        {
            "image": ImageFeature(height=6, width=6, channels=1),
            "label": LabelFeature(classes=("dark", "light", "half")),
        },
        _image_row,
        {"filters": [4], "dropout": 0.1},
    ),
    "tabular_classification": (
        {**TABLE, "scores": LabelFeature(classes=CLASSES)},
        lambda index, generator: {**_table_row(index, generator), "scores": index % 2},
        {"bins": 4, "dense_units": [8], "vocabulary_size": 20, "hash_buckets": 4, "min_count": 2},
    ),
    "tabular_regression": (
        {**TABLE, "price": TargetFeature()},
        lambda index, generator: {**_table_row(index, generator), "price": 1000.0 + 50 * (index % 2)},
        {"bins": 4, "dense_units": [8], "vocabulary_size": 20, "hash_buckets": 4, "min_count": 2},
    ),
    "text_classification": (
        {"inputs": TextFeature(), "text": LabelFeature(classes=CLASSES)},
        _text_row,
        {"max_words": 12, "vocabulary_size": 50, "hash_buckets": 64, "max_character_ngrams": 40, "embedding_dim": 4},
    ),
    "sequence_classification": (
        {"sequence": TextFeature(), "label": LabelFeature(classes=("noncoding", "coding"))},
        _sequence_row,
        {"length": 20, "dense_units": 8},
    ),
    "sequence_classification-steps": (
        {
            "a b/c": SequenceFeature(width=2, max_length=8, too_long="last", optional=True),
            "label": LabelFeature(classes=("falls", "rises")),
        },
        _steps_row,
        {"network": "gru", "num_layers": 2, "units": 8},
    ),
    "recommendation": (
        {
            "inputs": CategoryFeature(optional=True),
            "item": CategoryFeature(),
            "a/b": TextFeature(optional=True),
            "kind": CategoryFeature(values=("light",)),
            "user": TargetFeature(),
        },
        _rating_row,
        {
            "user_key": "inputs",
            "recent_key": "a/b",
            "max_users": 6,
            "max_items": 9,
            "max_recent": 3,
            "embedding_dim": 4,
            "top_k": 3,
        },
    ),
}


def spec_of(task: str) -> DatasetSpec:
    """Returns the facts of a made-up data set that a task can learn."""
    return DatasetSpec(name="tiny", title="made up", licence="none", features=MADE_UP[task][0], num_rows=NUM_ROWS)


def rows_of(task: str, count: int, seed: int) -> list[Row]:
    """Returns made-up rows."""
    generator = np.random.default_rng(seed)
    return [MADE_UP[task][1](index, generator) for index in range(count)]


def transform_folder(task, config, spec: DatasetSpec, examples: Path, folder: Path) -> str:
    """Runs the analyzers of a task over the training split; returns the folder of the transform graph."""
    folder.mkdir(exist_ok=True)
    files = sorted(map(str, (examples / "Split-train").glob("*.tfrecord")))
    schema = text_format.Parse(schema_text(spec), schema_pb2.Schema())
    learn(lambda raw: task.preprocessing_fn(raw, config, spec), schema, files, spec.num_rows["train"], folder)
    return str(folder)


def job(folder, task: str = "image_classification", seed: int = 0, **train) -> TrainingJob:
    """Returns a training job of a few small steps below `folder`."""
    folder = Path(folder)
    provider, spec = registry.task(task.partition("-")[0]), spec_of(task)
    config = provider.config(**MADE_UP[task][2])
    rows = {split: rows_of(task, spec.num_rows[split], seed) for seed, split in enumerate(SPLITS)}
    table = of_rows(((split, row) for split in SPLITS for row in rows[split]), spec)
    write_splits(table, spec, folder / "examples")
    settings: dict = {"epochs": 1, "batch_size": 16, "learning_rate": 0.01, "early_stopping": None} | train
    return TrainingJob(
        task=provider,
        config=config,
        train=TrainConfig(**settings),
        spec=spec,
        seed=seed,
        num_rows=spec.num_rows,
        train_files=[str(folder / "examples" / "Split-train" / "data-00000.tfrecord")],
        validation_files=[str(folder / "examples" / "Split-validation" / "data-00000.tfrecord")],
        transform_folder=transform_folder(provider, config, spec, folder / "examples", folder / "transform"),
        model_folder=str(folder / "model"),
        log_folder=str(folder / "logs"),
        checkpoint_folder=str(folder / "checkpoints"),
    )
