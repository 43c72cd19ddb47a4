"""Writes a draft as a run file in YAML, with the reason for each guess as a comment."""

import json
import os
import re
from pathlib import Path
from typing import Any

from data.inference.guesses import Guess
from pipeline.commands.drafting.draft import Draft

# Characters that YAML refuses, or takes for the end of a line: control characters, surrogates, byte order marks.
NOT_PLAIN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")
MAX_KEY = 1000  # characters; YAML allows 1,024 before the colon


def text(draft: Draft, name: str, folder: Path) -> str:
    """Returns the content of the run file.

    Args:
        draft: The draft.
        name: Name of the pipeline.
        folder: Folder of the run file; paths in it are relative to this folder.
    """
    lines = [
        f"# headrace run ./{name}.yaml",
        f"# Written by `headrace new` for {draft.rows:,} rows; change what is wrong.",
    ]
    lines += [f"# Unsure: {_one_line(sentence)}." for sentence in draft.unsure]
    lines += [f"task: {draft.task}", "data:", f"  files: {_flow(_files(draft, folder))}"]
    for key, value in draft.data.items():
        comment = f"  # {_one_line(draft.comments[key])}" if key in draft.comments else ""
        lines.append(f"  {key}: {_flow(value)}{comment}")
    lines.append("  features:")
    lines += [f"    {_key(key)}: {_feature(guess)}" for key, guess in draft.features.items()]
    if draft.ignored:
        lines.append("  ignore:")
        lines += [f"    - {_scalar(key)}  # {_comment(reason)}" for key, reason in draft.ignored.items()]
    if draft.model:
        lines.append(f"model: {_flow(draft.model)}")
    lines.append(f"train: {_flow(_training(draft))}")
    lines.append("# What a model must reach to be published, such as {accuracy: {min: 0.9}}.")
    lines.append("evaluate: {thresholds: {}}")
    lines.append(
        "# beat_trivial: the network must be better than a constant answer; beat or tie: better than classical models,"
    )
    lines.append("# or no worse; report: any model may be published.")
    lines.append("baseline: {require: beat_trivial}")
    return "\n".join(lines) + "\n"


def _files(draft: Draft, folder: Path) -> Any:
    """Returns the value of `data.files`, with paths relative to the folder of the run file."""

    def relative(path: Path) -> str:
        return os.path.relpath(path, folder)

    if not draft.splits:
        return relative(draft.files)
    splits = {split: [relative(path) for path in paths] for split, paths in draft.splits.items()}
    return {split: paths[0] if len(paths) == 1 else paths for split, paths in splits.items()}


def _training(draft: Draft) -> dict[str, Any]:
    """Returns settings of training by the number of rows: small data gets more epochs, in smaller batches."""
    sizes = ((20_000, 32, 40, 0.0003), (100_000, 128, 25, 0.001))
    rows, task = draft.rows, draft.task
    batch_size, epochs, learning_rate = next(
        (values for max_rows, *values in sizes if rows < max_rows), (512, 15, 0.002)
    )
    if not task.startswith("tabular"):
        learning_rate = 0.003 if task == "image_classification" else 0.002
    return {
        "epochs": epochs,
        "batch_size": batch_size,
        "learning_rate": learning_rate,
        "early_stopping": {"patience": 6},
    }


def _feature(guess: Guess) -> str:
    assert guess.feature is not None
    settings = guess.feature.model_dump(mode="json", exclude_defaults=True)
    text = _flow({"kind": guess.feature.kind, **settings}) if settings else guess.feature.kind
    return f"{text}  # {_comment(guess.reason)}"


def _comment(text: str) -> str:
    return _one_line(text)[:120]


def _one_line(text: str) -> str:
    """Returns a text for a comment: on one line, without characters that YAML refuses."""
    return " ".join(NOT_PLAIN.sub(" ", text).split())


def _key(name: str) -> str:
    """Returns a column's name as a key in YAML; a long one is marked by `? `, with its colon in the next line."""
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
    """Returns a scalar as YAML: a text is quoted unless it is a plain word that YAML reads as a string."""
    if not isinstance(value, str):
        return json.dumps(value)
    plain = re.fullmatch(r"[A-Za-z][A-Za-z0-9_./-]*", value)
    special = {"true", "false", "yes", "no", "on", "off", "null", "y", "n", "none"}
    if plain and value.lower() not in special:
        return value
    return NOT_PLAIN.sub(lambda match: f"\\u{ord(match[0]):04x}", json.dumps(value, ensure_ascii=False))
