"""Infers a run file from all rows of a table: the task, the label and what each column holds."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Literal

import numpy as np

from data.config import DataConfig
from data.errors import ConfigError, DataError
from data.inference import notations
from data.inference.facts import Column, Survey
from data.inference.guesses import Guess, as_label, guess_all, guess_label, missing_markers
from data.scripts import cut, isolated
from data.sources.blocks import Block
from data.sources.tables import formats, kept
from data.spec import LabelFeature, TargetFeature, TextFeature
from data.texts import is_unicode
from models import progress
from pipeline.commands.drafting import labels, layouts
from pipeline.commands.drafting.draft import Choice, Choose, Draft, TableOptions
from pipeline.commands.drafting.wording import alike, named, some
from pipeline.core.config import unknown

MAX_DROPPED = 0.05  # share of rows that may be left out because they are broken
MAX_CHOICES = 3  # columns that are offered where the label is not clear
MAX_UNLABELLED = 0.5  # share of rows that may be left out because they have no label


def of_table(
    path: Path,
    task: str | None,
    label: str | None,
    choose: Choose,
    options: TableOptions,
) -> Draft:
    """Returns the run file that suits a table; the arguments are those of `new.draft`."""
    settings, unsure = layouts.settings_of(path, options)
    config = DataConfig(**settings)
    kind = formats.format_of(config, [path])
    if kind == "tfrecord":
        raise ConfigError(f"{path}: TFRecord files do not name their columns; write the run file by hand.")
    broken: Counter[str] = Counter()
    try:
        survey = _survey(path, kind, config, broken)
        columns = survey.result()
        _refuse_unusable(path, kind, survey, broken)
    except DataError as error:
        raise DataError(f"{error}{layouts.other_sheets(path, options)}") from error
    data = {key: value for key, value in settings.items() if key != "files"}
    written, doubts = notations.read_as_written(columns)
    data |= notations.settings_of(written)
    unsure += doubts
    made = Draft(task or "", path, survey.rows, data=data, unsure=unsure)
    label = _label(made, columns, choose) if label is None else label
    if label not in columns:
        raise ConfigError(f"{unknown('column', label, columns)}{layouts.other_sheets(path, options)}")
    columns[label] = as_label(columns[label])
    made = _filled(made, columns, label)
    words = missing_markers(columns)
    if words:
        made.data["missing_values"] = ["", *words]
        remedy = "take out of data.missing_values what is a value of its own"
        made.unsure.append(f"cells with {', '.join(words)} are taken for missing; {remedy}")
    _set_checks(made, columns[label], broken)
    return made


def _refuse_unusable(path: Path, kind: str, survey: Survey, broken: Counter[str]) -> None:
    """Raises DataError where no row can be read, or there is nothing to learn from."""
    if not survey.rows and broken:
        rows = f"none of {broken.total():,} rows" if broken.total() > 1 else "no row"
        raise DataError(f"{next(iter(broken))}; {rows} can be read.")
    columns = survey.columns
    if len(columns) < 2:
        fix = "; if its cells are not separated by commas: --delimiter" if kind == "csv" else ""
        raise DataError(f"{path} has {len(columns)} column, expected an input and what is to be predicted{fix}.")


def _label(made: Draft, columns: Mapping[str, Column], choose: Choose) -> str:
    """Returns the column to be predicted: the one whose name leaves no doubt, else the one that a person chooses."""
    label, reason = labels.clear(columns), "which column is to be predicted is not clear"
    if label is not None:
        answer = guess_label(columns[label], _kind(made.task))
        if answer.feature is not None:
            return label
        reason = f"{named(label)} cannot be predicted: {answer.reason}"
    choices: list[Choice] = []
    why_not = ""  # the likeliest column cannot be predicted
    for name in labels.ranked(columns, about=made.files.name.partition(".")[0]):
        try:
            tried = _filled(made, columns, name)
        except ConfigError as error:
            why_not = why_not or str(error)
        else:
            choices.append(Choice(name, f"{tried.task}, {_answers(tried.features[name])}"))
        if len(choices) == MAX_CHOICES:
            break
    if not choices:
        why_not = why_not or "no column can be predicted: a label has at least two values."
        raise ConfigError(f"{made.files}: {reason}; {why_not}")
    return choose(f"{made.files}: {reason}", choices, list(columns))


def _answers(guess: Guess) -> str:
    """Returns what can be predicted, in a few words."""
    if not isinstance(guess.feature, LabelFeature):
        return f"a number from {guess.reason}"
    names = [isolated(name if len(name) <= 20 else f"{cut(name, 20)}...") for name in guess.feature.classes[:4]]
    count = len(guess.feature.classes)
    more = f" and {count - 3:,} more" if count > 4 else ""
    return f"{count:,} classes: {', '.join(names[: 3 if more else 4])}{more}"


def _survey(path: Path, kind: str, config: DataConfig, broken: Counter) -> Survey:
    """Returns what the rows hold that can be read; the others are added to `broken`."""
    found = Survey()
    for block in kept.blocks(path, kind, config):
        broken.update(map(str, block.problems))
        found.add(_in_unicode(block, broken))
        progress.report(rows=found.rows, share=block.share)
    return found


def _in_unicode(block: Block, broken: Counter) -> Block:
    """Returns a block without rows in which a text is no Unicode, as JSON can escape it; those are added to `broken`.

    Arrow holds no such text, so it is in a column of Python values.
    """
    odd = {
        row
        for cells in block.mixed.values()
        for row, cell in enumerate(cells)
        if isinstance(cell, str) and not is_unicode(cell)
    }
    if not odd:
        return block
    broken.update(f"{block.where(row)}: a text with half of a surrogate pair" for row in sorted(odd))
    return block.take(np.array([row for row in range(len(block)) if row not in odd], np.int64))


def _filled(made: Draft, columns: Mapping[str, Column], label: str) -> Draft:
    """Returns the draft with the task and what every column is; raises ConfigError where nothing can be learned."""
    made = replace(made, ignored={}, data=dict(made.data), model=dict(made.model), unsure=list(made.unsure))
    guesses, answer = guess_all(columns, label, _kind(made.task))
    if answer.feature is None:
        raise ConfigError(f"{named(label)} cannot be predicted: {answer.reason}; name another column with --label.")
    for name, guess in guesses.items():
        if guess.feature is None:
            made.ignored[name] = guess.reason
    used = {name: guess for name, guess in guesses.items() if guess.feature is not None}
    texts = [name for name, guess in used.items() if isinstance(guess.feature, TextFeature)]
    other = [name for name in used if name not in texts]
    if not made.task:
        made.task = _task(answer, columns, used, texts)
        made.unsure += _either(made.task, texts, other)
    if made.task in ("text_classification", "sequence_classification"):
        keep = max(texts or used or guesses, key=lambda name: (columns[name].mean_words, columns[name].mean_length))
        made.ignored |= {name: "the task takes one text and nothing else" for name in used if name != keep}
        optional = bool(columns[keep].missing)
        used = {keep: Guess(TextFeature(optional=optional), guesses[keep].reason)}
        made.ignored.pop(keep, None)
    else:
        for name in texts:
            used.pop(name)
            made.ignored[name] = "a text, which the task does not take"
    if not used:
        raise ConfigError(_nothing_left(made, label, answer, texts))
    made.features = {**used, label: answer}
    made.unsure += _doubts(made, guesses)
    return made


def _nothing_left(made: Draft, label: str, answer: Guess, texts: list[str]) -> str:
    """Returns why there is nothing to learn the label from."""
    if not texts:
        return f"{named(label)}: no column can be learned from: {_reasons(made.ignored)}."
    what = "a number" if isinstance(answer.feature, TargetFeature) else "classes"
    shown = some([named(name) for name in texts], 3)
    return (
        f"{named(label)}, {what}, would be predicted ({made.task}), which learns from no text ({shown}); name a column "
        "of classes with --label, or make classes of it."
    )


def _doubts(made: Draft, guesses: Mapping[str, Guess]) -> list[str]:
    """Returns what a person should look at in the columns, a sentence each."""
    said = []
    for name, guess in made.features.items():
        if guess.unsure and guess.feature:
            said.append(f"{named(name)} is taken for a {guess.feature.kind}: {guess.reason}; {guess.remedy}")
        if isinstance(guess.feature, LabelFeature):
            said += [f"{named(name)}: {sentence}" for sentence in alike(guess.feature.classes)]
    for name, reason in made.ignored.items():
        if guesses[name].unsure and guesses[name].feature is None:
            said.append(f"{named(name)} is left out: {reason}; {guesses[name].remedy}")
    return said


def _kind(task: str) -> Literal["auto", "label", "target"]:
    """Returns what a task predicts; auto where it is still to be inferred."""
    if not task:
        return "auto"
    return "target" if task == "tabular_regression" else "label"


def _either(task: str, texts: list[str], other: list[str]) -> list[str]:
    """Returns what is left out because a task learns from a text or from the other columns, never from both."""
    if not texts or not other or task == "tabular_regression":
        return []
    used, left, instead = other, texts, "text_classification"
    if task == instead:
        used, left, instead = texts, other, "tabular_classification"
    kept, rest = (some([named(name) for name in names], 3) for names in (used, left))
    return [f"{task} learns from {kept} and not from {rest}; give --task {instead} for the other way round"]


def _reasons(ignored: dict[str, str]) -> str:
    return "; ".join(f"{named(name)}: {reason}" for name, reason in islice(ignored.items(), 5))


def _task(answer: Guess, columns: Mapping[str, Column], used: dict[str, Guess], texts: list[str]) -> str:
    if isinstance(answer.feature, TargetFeature):
        return "tabular_regression"
    long = [name for name in texts if columns[name].mean_words >= 6]
    # A text beside a column or two is what the row is about; beside many it is a remark.
    about_a_text = texts and ((len(used) <= 3 and long) or len(used) == 1)
    return "text_classification" if about_a_text else "tabular_classification"


def _set_checks(made: Draft, label: Column, broken: Counter) -> None:
    """Sets what to do about rows that cannot be used, and rows that are there more than once."""
    unlabelled = sum(label.missing.values())
    if unlabelled or broken:
        rows = made.rows + broken.total()
        # Rows that nobody labelled are usual; broken ones are not.
        droppable = unlabelled <= MAX_UNLABELLED * rows and broken.total() <= MAX_DROPPED * rows
        share = (unlabelled + broken.total()) / rows
        if droppable:
            rate = {"max_rate": round(share + 0.01, 2)} if share > MAX_DROPPED else {}
            made.data["checks"] = {"invalid": {"policy": "drop", **rate}}
        what = (
            f"{unlabelled:,} row{'s have' if unlabelled > 1 else ' has'} no {named(label.name)}" if unlabelled else ""
        )
        bad = f"{broken.total():,} row{'s are' if broken.total() > 1 else ' is'} broken" if broken else ""
        what = "; ".join(filter(None, (what, bad)))
        remedy = "left out; mend the file to use all rows"
        if not droppable:
            remedy = "mend the file, or set data.checks.invalid to {policy: drop, max_rate: 1}; a run stops as it is"
        made.unsure.append(f"{what}: {remedy}")
    names = ", ".join(word for word in label.missing if word)
    if names and "missing_values" in made.data:
        remedy = (
            f"where it is a class, take it out of data.missing_values and add it to the classes of {named(label.name)}"
        )
        made.unsure.append(f"{names} in {named(label.name)} is taken for no label; {remedy}")
    made.data.setdefault("checks", {})["duplicates"] = {"policy": "warn"}
    made.comments["checks"] = "rows of few columns with few values are equal by nature; drop leaves duplicates out"
