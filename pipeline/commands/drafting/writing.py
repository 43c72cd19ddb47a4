"""Writes what was inferred as a run file in YAML, with the reason beside each column."""

import json
import os
import re
from pathlib import Path
from typing import Any

from data.inference.guesses import Guess
from pipeline.commands.drafting.draft import Draft

# What YAML takes in no text, or for the end of a line: control characters, surrogates, byte order marks.
NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
MAX_KEY = 1000  # characters; YAML takes 1,024 before the colon


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
    lines += [f"# Unsure: {_one_line(sentence)}." for sentence in made.unsure]
    lines += [f"task: {made.task}", "data:", f"  files: {_flow(_files(made, folder))}"]
    for key, value in made.data.items():
        why = f"  # {_one_line(made.comments[key])}" if key in made.comments else ""
        lines.append(f"  {key}: {_flow(value)}{why}")
    lines.append("  features:")
    lines += [f"    {_key(key)}: {_feature(guess)}" for key, guess in made.features.items()]
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


def _files(made: Draft, folder: Path) -> Any:
    """Returns the files as the run file names them, from where it lies."""

    def relative(path: Path) -> str:
        return os.path.relpath(path, folder)

    if not made.splits:
        return relative(made.files)
    named = {split: [relative(path) for path in paths] for split, paths in made.splits.items()}
    return {split: paths[0] if len(paths) == 1 else paths for split, paths in named.items()}


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
    return _one_line(text)[:120]


def _one_line(text: str) -> str:
    """Returns a text as a comment holds it: on one line, and without what YAML takes nowhere."""
    return " ".join(NOT_PLAIN.sub(" ", text).split())


def _key(name: str) -> str:
    """Returns a column's name as a key; YAML looks for the colon of a long one in the next line."""
    key = _scalar(name)
    return key if len(key) <= MAX_KEY else f"? {key}\n    "


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
    if plain and value.lower() not in special:
        return value
    return NOT_PLAIN.sub(lambda found: f"\\u{ord(found[0]):04x}", json.dumps(value, ensure_ascii=False))
