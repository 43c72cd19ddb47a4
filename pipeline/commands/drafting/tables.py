"""Infers a run file from all rows of a table: the task, the label and what each column holds."""

from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.inference import Column, Guess, choose_label, guess_all, survey, words_for_nothing
from data.sources.tables import formats
from data.spec import TargetFeature, TextFeature
from pipeline.commands.drafting import layouts
from pipeline.commands.drafting.draft import Draft, TableOptions
from pipeline.core.config import unknown

MAX_DROPPED = 0.05  # share of rows that may be left out because they are broken
MAX_UNLABELLED = 0.5  # share of rows that may be left out because they have no label


def of_table(
    path: Path, task: str | None, label: str | None, say: Callable[[int], None], options: TableOptions
) -> Draft:
    """Returns the run file that suits a table; the arguments are those of `new.draft`."""
    settings, unsure = layouts.settings_of(path, options)
    config = DataConfig(**settings)
    kind = formats.format_of(config, [path])
    if kind == "tfrecord":
        raise ConfigError(f"{path}: TFRecord files do not name their columns; write the run file by hand.")
    broken: Counter[str] = Counter()
    columns = survey(_cells(path, kind, config, broken, say))
    if not columns and broken:
        raise DataError(f"{next(iter(broken))}; none of {broken.total():,} rows can be read.")
    if len(columns) < 2:
        fix = "; if its cells are not separated by commas: --delimiter" if kind == "csv" else ""
        raise DataError(f"{path} has {len(columns)} column, expected an input and what is to be predicted{fix}.")
    rows = next(iter(columns.values()))
    made = Draft(task or "", path, rows.rows + sum(rows.nothing.values()), unsure=unsure)
    if label is None:
        label, doubtful = choose_label(columns)
        if doubtful:
            made.unsure.append(f"{label} is taken for what is to be predicted, as no column is named label or target")
    elif label not in columns:
        raise ConfigError(unknown("column", label, columns))
    _fill(made, columns, label)
    made.data = {key: value for key, value in settings.items() if key != "files"}
    words = words_for_nothing(columns)
    if words and kind == "csv":
        made.data["missing_values"] = ["", *words]
        made.unsure.append(f"cells with {', '.join(words)} are taken for missing")
    _set_checks(made, columns[label], broken)
    return made


def _cells(
    path: Path, kind: str, config: DataConfig, broken: Counter, say: Callable[[int], None]
) -> Iterator[dict[str, Any]]:
    for number, record in enumerate(formats.records(path, kind, config), start=1):
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
