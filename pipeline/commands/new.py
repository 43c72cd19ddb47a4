"""Writes a run file for a person's own data: reads all of it, infers task and columns, says what it is unsure of."""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from data import local
from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.inference import Column, Guess, choose_label, guess_all, survey, words_for_nothing
from data.sources import image_folder, text_folder
from data.sources.records import text_lines
from data.spec import LabelFeature, TargetFeature, TextFeature
from models import registry
from pipeline.core.config import unknown

DELIMITERS = ",;\t|"
IMAGES = (".png", ".jpg", ".jpeg")
MAX_SIDE = 64  # pixels; what a laptop trains on in minutes
MAX_DROPPED = 0.05  # share of rows that may be left out because they are broken
MAX_UNLABELLED = 0.5  # share of rows that may be left out because they have no label


@dataclass
class Draft:
    """A run file in the making.

    Attributes:
        task: Name of the task.
        files: Path of the data.
        rows: How many there are.
        features: Column -> what it is taken for, the label last.
        ignored: Column -> why it is not used.
        data: Further settings of the data.
        model: Settings of the task.
        unsure: What a person should look at, a sentence each.
    """

    task: str
    files: Path
    rows: int = 0
    features: dict[str, Guess] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)


def draft(
    path: Path, task: str | None = None, label: str | None = None, say: Callable[[int], None] = lambda rows: None
) -> Draft:
    """Returns the run file that suits a file or folder; reads all of it.

    Args:
        path: CSV, TSV, JSON Lines or Parquet file, or a folder with a folder of images or texts for each class.
        task: The task; None to infer it.
        label: The column to be predicted; None to choose it.
        say: Is told how many rows were read.

    Raises:
        ConfigError: No such path, task or column, or data that none of the tasks can learn from.
        DataError: The data cannot be read.
    """
    if not path.exists():
        raise ConfigError(f"There is no file or folder {path}.")
    if task is not None and task not in registry.TASKS:
        raise ConfigError(unknown("task", task, sorted(registry.TASKS)))
    if task == "recommendation":
        raise ConfigError("headrace new does not infer users and items; take pipeline/configs/movies.yaml as a model.")
    if path.is_dir():
        return _folder(path)
    return _table(path, task, label, say)


# --- folders ---------------------------------------------------------------------------------------------------------


def _folder(path: Path) -> Draft:
    files = image_folder.files(path)
    if not files:
        raise DataError(f"{path} has folders and no files in them.")
    if text_folder.is_one(path):
        features = {text_folder.TEXT: Guess(TextFeature(), "the text of a file")}
        made = Draft("text_classification", path, len(files), features)
    else:
        other = [file for file in files if file.suffix.lower() not in IMAGES]
        if other:
            raise ConfigError(f"{path}: expected PNG and JPEG images or .txt files in class folders, found {other[0]}.")
        made = Draft("image_classification", path, len(files), _image_feature(files))
    counts = Counter(file.relative_to(path).parts[0] for file in files)
    made.features[image_folder.LABEL] = Guess(
        LabelFeature(classes=image_folder.classes(path)),
        ", ".join(f"{name} {count:,}" for name, count in counts.most_common(8)),
    )
    if made.task == "image_classification":
        made.model = {"filters": [16, 32, 64], "shift_px": 2}
    return made


def _image_feature(files: list[Path]) -> dict[str, Guess]:
    """Returns the image at the usual size of a sample, no larger than a laptop trains on."""
    from PIL import Image

    from data.spec import ImageFeature

    heights, widths, grey = [], [], True
    for file in files[:: max(len(files) // 200, 1)]:
        try:
            with Image.open(file) as image:
                widths.append(image.size[0])
                heights.append(image.size[1])
                grey &= image.mode in ("1", "L", "LA")
        except (OSError, SyntaxError, ValueError):
            continue  # the run tells it, by name
    if not heights:
        raise DataError(f"{files[0].parent.parent}: none of its files is an image that can be read.")
    height, width = (sorted(sizes)[len(sizes) // 2] for sizes in (heights, widths))
    scale = min(1.0, MAX_SIDE / max(height, width))
    size = {
        "height": max(round(height * scale), 4),
        "width": max(round(width * scale), 4),
        "channels": 1 if grey else 3,
    }
    told = f"the usual size is {width} x {height}" + (", shrunk" if scale < 1 else "")
    return {image_folder.IMAGE: Guess(ImageFeature(**size), told)}


# --- tables ----------------------------------------------------------------------------------------------------------


def _table(path: Path, task: str | None, label: str | None, say: Callable[[int], None]) -> Draft:
    settings: dict[str, Any] = {"files": str(path)}
    kind = local.format_of(DataConfig(**settings), [path])
    if kind == "tfrecord":
        raise ConfigError(f"{path}: TFRecord files do not name their columns; write the run file by hand.")
    if kind == "csv" and ".tsv" not in path.suffixes:
        header = next(text_lines(path))
        settings["delimiter"] = max(DELIMITERS, key=header.count)
    config = DataConfig(**settings)
    broken: Counter[str] = Counter()
    columns = survey(_cells(path, kind, config, broken, say))
    if not columns or len(columns) < 2:
        raise DataError(f"{path} has {len(columns)} column, expected an input and what is to be predicted.")
    rows = next(iter(columns.values()))
    made = Draft(task or "", path, rows.rows + sum(rows.nothing.values()))
    if label is None:
        label, doubtful = choose_label(columns)
        if doubtful:
            made.unsure.append(f"{label} is taken for what is to be predicted, as no column is named label or target")
    elif label not in columns:
        raise ConfigError(unknown("column", label, columns))
    _fill(made, columns, label)
    if settings.get("delimiter", ",") != ",":
        made.data["delimiter"] = settings["delimiter"]
    words = words_for_nothing(columns)
    if words and kind == "csv":
        made.data["missing_values"] = ["", *words]
        made.unsure.append(f"cells with {', '.join(words)} are taken for missing")
    _set_checks(made, columns[label], broken)
    return made


def _cells(
    path: Path, kind: str, config: DataConfig, broken: Counter, say: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(local.records(path, kind, config), start=1):
        if number % 10_000 == 0:
            say(number)
        if record.problem:
            broken[str(record.problem)] += 1
        else:
            yield dict(record.cells)


def _fill(made: Draft, columns: dict[str, Column], label: str) -> None:
    """Decides about the task and every column."""
    guesses, answer = guess_all(columns, label)
    if answer.feature is None:
        raise ConfigError(f"{label} cannot be predicted: {answer.reason}; name another column with --label.")
    if made.task == "tabular_regression" and columns[label].is_number:
        answer = Guess(TargetFeature(), answer.reason)
    for name, guess in guesses.items():
        if guess.feature is None:
            made.ignored[name] = guess.reason
    used = {name: guess for name, guess in guesses.items() if guess.feature is not None}
    texts = [name for name, guess in used.items() if isinstance(guess.feature, TextFeature)]
    made.task = made.task or _task(answer, columns, used, texts)
    if made.task in ("text_classification", "sequence_classification"):
        if not texts:
            texts = [max(used or columns, key=lambda name: columns[name].words)]
        keep = max(texts, key=lambda name: columns[name].words)
        for name in [name for name in used if name != keep]:
            made.ignored[name] = "the task takes one text and nothing else"
        optional = bool(columns[keep].nothing)
        used = {keep: Guess(TextFeature(optional=optional), guesses[keep].reason)}
        made.ignored.pop(keep, None)
    else:
        for name in texts:
            used.pop(name)
            made.ignored[name] = "a text, which the task does not take"
    if not used:
        raise ConfigError(f"{made.files}: no column can be learned from: {_reasons(made.ignored)}.")
    made.features = {**used, label: answer}
    for name, guess in made.features.items():
        if guess.unsure and guess.feature:
            made.unsure.append(f"{name} is taken for a {guess.feature.kind}: {guess.reason}")
    made.unsure += [
        f"{name or repr(name)} is left out: {guess.reason}" for name, guess in guesses.items() if _doubtful(guess)
    ]


def _doubtful(guess: Guess) -> bool:
    return guess.feature is None and guess.unsure


def _reasons(ignored: dict[str, str]) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in islice(ignored.items(), 5))


def _task(answer: Guess, columns: dict[str, Column], used: dict[str, Guess], texts: list[str]) -> str:
    if isinstance(answer.feature, TargetFeature):
        return "tabular_regression"
    long = [name for name in texts if columns[name].words / columns[name].rows >= 6]
    # A text beside a column or two is what the row is about; beside many it is a remark.
    about_a_text = texts and ((len(used) <= 3 and long) or len(used) == 1)
    return "text_classification" if about_a_text else "tabular_classification"


def _set_checks(made: Draft, label: Column, broken: Counter) -> None:
    """Sets what to do about rows that cannot be used, and rows that are there more than once."""
    unlabelled = sum(label.nothing.values())
    if unlabelled or broken:
        rows = made.rows + broken.total()
        # Rows that nobody labelled are usual; broken ones are not.
        droppable = unlabelled <= MAX_UNLABELLED * rows and broken.total() <= MAX_DROPPED * rows
        share = (unlabelled + broken.total()) / rows
        if droppable:
            rate = {"max_rate": round(share + 0.01, 2)} if share > MAX_DROPPED else {}
            made.data["checks"] = {"invalid": {"policy": "drop", **rate}}
        what = f"{unlabelled:,} rows have no {label.name}" if unlabelled else ""
        what += f"{'; ' if unlabelled and broken else ''}{broken.total():,} rows are broken" if broken else ""
        made.unsure.append(f"{what}: {'they are left out' if droppable else 'mend them, a run will stop'}")
    # Rows of few columns with few values are equal by nature.
    made.data.setdefault("checks", {})["duplicates"] = {"policy": "warn"}


# --- the file --------------------------------------------------------------------------------------------------------


def text(made: Draft, name: str, folder: Path) -> str:
    """Returns the run file.

    Args:
        made: What was inferred.
        name: The pipeline's.
        folder: Where the file will lie: paths start there.
    """
    lines = [
        f"# headrace run ./{name}.yaml",
        f"# Written by `headrace new` for {made.rows:,} rows; change what is wrong.",
    ]
    lines += [f"# Unsure: {sentence}." for sentence in made.unsure]
    lines += [f"task: {made.task}", "data:", f"  files: {_scalar(os.path.relpath(made.files, folder))}"]
    lines += [f"  {key}: {_flow(value)}" for key, value in made.data.items()]
    lines.append("  features:")
    lines += [f"    {_scalar(key)}: {_feature(guess)}" for key, guess in made.features.items()]
    if made.ignored:
        lines.append("  ignore:")
        lines += [f"    - {_scalar(key)}  # {_comment(reason)}" for key, reason in made.ignored.items()]
    if made.model:
        lines.append(f"model: {_flow(made.model)}")
    lines.append(f"train: {_flow(_training(made))}")
    lines.append("# What a model must reach to be published, such as {accuracy: {min: 0.9}}.")
    lines.append("evaluate: {thresholds: {}}")
    lines.append(
        "# beat_trivial: the network must be better than a constant answer; beat or tie: better than classical models,"
    )
    lines.append("# or no worse; report: any model may be published.")
    lines.append("baseline: {require: beat_trivial}")
    return "\n".join(lines) + "\n"


def _training(made: Draft) -> dict[str, Any]:
    """Returns settings of training by the number of rows: about as many steps for small data as for large."""
    sizes = ((20_000, 32, 40, 0.0003), (100_000, 128, 25, 0.001))
    rows, task = made.rows, made.task
    batch_size, epochs, rate = next((rest for most, *rest in sizes if rows < most), (512, 15, 0.002))
    if not task.startswith("tabular"):
        rate = 0.003 if task == "image_classification" else 0.002
    return {"epochs": epochs, "batch_size": batch_size, "learning_rate": rate, "early_stopping": {"patience": 6}}


def _feature(guess: Guess) -> str:
    assert guess.feature is not None
    settings = guess.feature.model_dump(mode="json", exclude_defaults=True)
    shown = _flow({"kind": guess.feature.kind, **settings}) if settings else guess.feature.kind
    return f"{shown}  # {_comment(guess.reason)}"


def _comment(text: str) -> str:
    return " ".join(text.split())[:120]


def _flow(value: Any) -> str:
    """Returns a value as YAML on one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return _scalar(value)


def _scalar(value: Any) -> str:
    """Returns a number, or a text in quotes unless it is a plain word that YAML takes for nothing else."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", value)
    special = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "none"}
    return value if plain and value.lower() not in special else json.dumps(value, ensure_ascii=False)
