"""Drafts a run file from all rows of a table: the task, the label and the kind of each column."""

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
from data.sources.tables import block_cache, formats
from data.spec import CategoryFeature, LabelFeature, SequenceFeature, TargetFeature, TextFeature
from data.texts import is_unicode
from models import progress
from pipeline.commands.drafting import labels, layouts
from pipeline.commands.drafting.draft import Choice, Choose, Draft, TableOptions
from pipeline.commands.drafting.wording import joined, quoted, similar_values
from pipeline.core.config import unknown

MAX_DROPPED = 0.05  # share of rows that may be dropped because they are broken
MAX_CHOICES = 3  # columns that are offered if the label is not clear
MAX_UNLABELLED = 0.5  # share of rows that may be dropped because they have no label


def of_table(
    path: Path,
    task: str | None,
    label: str | None,
    choose: Choose,
    options: TableOptions,
) -> Draft:
    """Returns the draft of a run file for a table; the arguments are those of `new.draft`."""
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
    notation, doubts = notations.apply_notation(columns)
    data |= notations.settings_of(notation)
    unsure += doubts
    draft = Draft(task or "", path, survey.rows, data=data, unsure=unsure)
    label = _label(draft, columns, choose) if label is None else label
    if label not in columns:
        raise ConfigError(f"{unknown('column', label, columns)}{layouts.other_sheets(path, options)}")
    columns[label] = as_label(columns[label])
    draft = _with_features(draft, columns, label)
    markers = missing_markers(columns)
    if markers:
        draft.data["missing_values"] = ["", *markers]
        remedy = "take out of data.missing_values what is a value of its own"
        draft.unsure.append(f"cells with {', '.join(markers)} are taken for missing; {remedy}")
    _set_checks(draft, columns[label], broken)
    return draft


def _refuse_unusable(path: Path, kind: str, survey: Survey, broken: Counter[str]) -> None:
    """Raises DataError if no row can be read, or if there are fewer than two columns."""
    if not survey.rows and broken:
        rows = f"none of {broken.total():,} rows" if broken.total() > 1 else "no row"
        raise DataError(f"{next(iter(broken))}; {rows} can be read.")
    columns = survey.columns
    if len(columns) < 2:
        fix = "; if its cells are not separated by commas: --delimiter" if kind == "csv" else ""
        raise DataError(f"{path} has {len(columns)} column, expected an input and what is to be predicted{fix}.")


def _label(draft: Draft, columns: Mapping[str, Column], choose: Choose) -> str:
    """Returns the column to be predicted: the one with an unambiguous name, else the one that a person chooses."""
    label, reason = labels.unambiguous(columns), "which column is to be predicted is not clear"
    if label is not None:
        guess = guess_label(columns[label], _kind(draft.task))
        if guess.feature is not None:
            return label
        reason = f"{quoted(label)} cannot be predicted: {guess.reason}"
    choices: list[Choice] = []
    why_not = ""  # the likeliest column cannot be predicted
    for name in labels.by_likelihood(columns, table_name=draft.files.name.partition(".")[0]):
        try:
            candidate = _with_features(draft, columns, name)
        except ConfigError as error:
            why_not = why_not or str(error)
        else:
            choices.append(Choice(name, f"{candidate.task}, {_description(candidate.features[name])}"))
        if len(choices) == MAX_CHOICES:
            break
    if not choices:
        why_not = why_not or "no column can be predicted: a label has at least two values."
        raise ConfigError(f"{draft.files}: {reason}; {why_not}")
    return choose(f"{draft.files}: {reason}", choices, list(columns))


def _description(guess: Guess) -> str:
    """Returns the range or the classes of a label, in a few words."""
    if not isinstance(guess.feature, LabelFeature):
        return f"a number from {guess.reason}"
    names = [isolated(name if len(name) <= 20 else f"{cut(name, 20)}...") for name in guess.feature.classes[:4]]
    count = len(guess.feature.classes)
    more = f" and {count - 3:,} more" if count > 4 else ""
    return f"{count:,} classes: {', '.join(names[: 3 if more else 4])}{more}"


def _survey(path: Path, kind: str, config: DataConfig, broken: Counter) -> Survey:
    """Returns the survey of all rows that can be read; adds the problems of the others to `broken`."""
    survey = Survey()
    for block in block_cache.blocks(path, kind, config):
        broken.update(map(str, block.problems))
        survey.add(_in_unicode(block, broken))
        progress.report(rows=survey.rows, share=block.share)
    return survey


def _in_unicode(block: Block, broken: Counter) -> Block:
    """Returns a block without rows that have a lone surrogate, as JSON can escape it; adds their problems to `broken`.

    Arrow cannot hold such a text, so it is in a column of Python values.
    """
    invalid_rows = {
        row
        for cells in block.mixed.values()
        for row, cell in enumerate(cells)
        if isinstance(cell, str) and not is_unicode(cell)
    }
    if not invalid_rows:
        return block
    broken.update(f"{block.where(row)}: a text with half of a surrogate pair" for row in sorted(invalid_rows))
    return block.take(np.array([row for row in range(len(block)) if row not in invalid_rows], np.int64))


def _with_features(draft: Draft, columns: Mapping[str, Column], label: str) -> Draft:
    """Returns a copy of the draft with the task and all features; raises ConfigError if nothing can be learned."""
    draft = replace(draft, ignored={}, data=dict(draft.data), model=dict(draft.model), unsure=list(draft.unsure))
    guesses, label_guess = guess_all(columns, label, _kind(draft.task))
    if label_guess.feature is None:
        raise ConfigError(
            f"{quoted(label)} cannot be predicted: {label_guess.reason}; name another column with --label."
        )
    for name, guess in guesses.items():
        if guess.feature is None:
            draft.ignored[name] = guess.reason
    used = {name: guess for name, guess in guesses.items() if guess.feature is not None}
    texts = [name for name, guess in used.items() if isinstance(guess.feature, TextFeature)]
    sequences = [name for name, guess in used.items() if isinstance(guess.feature, SequenceFeature)]
    other_columns = [name for name in used if name not in (*texts, *sequences)]
    if not draft.task:
        draft.task = _task(label_guess, columns, used, texts, sequences)
        draft.unsure += _unused_columns(draft.task, texts, other_columns)
    used = _taken(draft, columns, guesses, used)
    if not used:
        raise ConfigError(_nothing_left(draft, label, label_guess, texts, sequences))
    draft.features = {**used, label: label_guess}
    draft.unsure += _doubts(draft, columns, guesses)
    return draft


def _taken(
    draft: Draft, columns: Mapping[str, Column], guesses: Mapping[str, Guess], used: dict[str, Guess]
) -> dict[str, Guess]:
    """Returns the columns that the draft's task takes; adds the others to its `ignored`, with the reason."""
    texts, sequences = (
        [name for name, guess in used.items() if isinstance(guess.feature, kind)]
        for kind in (TextFeature, SequenceFeature)
    )
    if draft.task == "sequence_classification" and sequences:
        draft.ignored |= {name: "the task takes one sequence and nothing else" for name in used if name != sequences[0]}
        return {sequences[0]: used[sequences[0]]}
    if draft.task in ("text_classification", "sequence_classification"):
        keep = max(texts or used or guesses, key=lambda name: (columns[name].mean_words, columns[name].mean_length))
        draft.ignored |= {name: "the task takes one text and nothing else" for name in used if name != keep}
        draft.ignored.pop(keep, None)
        return {keep: Guess(TextFeature(optional=bool(columns[keep].missing)), guesses[keep].reason)}
    draft.ignored |= dict.fromkeys(texts, "a text, which the task does not take")
    draft.ignored |= dict.fromkeys(sequences, "a sequence, which the task does not take")
    return {name: guess for name, guess in used.items() if name not in (*texts, *sequences)}


def _nothing_left(draft: Draft, label: str, label_guess: Guess, texts: list[str], sequences: list[str]) -> str:
    """Returns the message that no column is left from which the label can be predicted."""
    if not texts and not sequences:
        return f"{quoted(label)}: no column can be learned from: {_reasons(draft.ignored)}."
    prediction = "a number" if isinstance(label_guess.feature, TargetFeature) else "classes"
    names = joined([quoted(name) for name in texts or sequences], 3)
    what = "text" if texts else "sequence"
    return (
        f"{quoted(label)}, {prediction}, would be predicted ({draft.task}), which learns from no {what} ({names}); "
        "name a column of classes with --label, or make classes of it."
    )


def _doubts(draft: Draft, columns: Mapping[str, Column], guesses: Mapping[str, Guess]) -> list[str]:
    """Returns a sentence for each column whose guess is doubtful, or whose values look alike."""
    sentences = []
    for name, guess in draft.features.items():
        if guess.unsure and guess.feature:
            sentences.append(f"{quoted(name)} is taken for a {guess.feature.kind}: {guess.reason}; {guess.remedy}")
        if isinstance(guess.feature, LabelFeature):
            sentences += [f"{quoted(name)}: {problem}" for problem in similar_values(guess.feature.classes, "classes")]
        if isinstance(guess.feature, CategoryFeature):
            sentences += [f"{quoted(name)}: {problem}" for problem in similar_values(columns[name].values, "values")]
    for name, reason in draft.ignored.items():
        if guesses[name].unsure and guesses[name].feature is None:
            sentences.append(f"{quoted(name)} is left out: {reason}; {guesses[name].remedy}")
        elif isinstance(guesses[name].feature, SequenceFeature):
            remedy = "give --task sequence_classification to learn from it alone"
            sentences.append(f"{quoted(name)} is left out: {reason}; {remedy}")
    return sentences


def _kind(task: str) -> Literal["auto", "label", "target"]:
    """Returns what a task predicts; `auto` if the task is still to be inferred."""
    if not task:
        return "auto"
    return "target" if task == "tabular_regression" else "label"


def _unused_columns(task: str, texts: list[str], other_columns: list[str]) -> list[str]:
    """Returns a sentence on the columns that are left out, since a task learns from a text or from the others."""
    if not texts or not other_columns or task == "tabular_regression":
        return []
    used, left, instead = other_columns, texts, "text_classification"
    if task == instead:
        used, left, instead = texts, other_columns, "tabular_classification"
    kept, rest = (joined([quoted(name) for name in names], 3) for names in (used, left))
    return [f"{task} learns from {kept} and not from {rest}; give --task {instead} for the other way round"]


def _reasons(ignored: dict[str, str]) -> str:
    return "; ".join(f"{quoted(name)}: {reason}" for name, reason in islice(ignored.items(), 5))


def _task(
    label_guess: Guess, columns: Mapping[str, Column], used: dict[str, Guess], texts: list[str], sequences: list[str]
) -> str:
    if isinstance(label_guess.feature, TargetFeature):
        return "tabular_regression"
    if sequences and len(sequences) == len(used):
        return "sequence_classification"
    long = [name for name in texts if columns[name].mean_words >= 6]
    # With one or two other columns the text is what the row is about; with many it is a remark.
    is_text_task = texts and ((len(used) <= 3 and long) or len(used) == 1)
    return "text_classification" if is_text_task else "tabular_classification"


def _set_checks(draft: Draft, label: Column, broken: Counter) -> None:
    """Sets the policies for invalid and duplicate rows, and adds sentences on them."""
    unlabelled = sum(label.missing.values())
    if unlabelled or broken:
        rows = draft.rows + broken.total()
        # Rows without a label are common; broken rows are not.
        droppable = unlabelled <= MAX_UNLABELLED * rows and broken.total() <= MAX_DROPPED * rows
        share = (unlabelled + broken.total()) / rows
        if droppable:
            limit = {"max_rate": round(share + 0.01, 2)} if share > MAX_DROPPED else {}
            draft.data["checks"] = {"invalid": {"policy": "drop", **limit}}
        problem = (
            f"{unlabelled:,} row{'s have' if unlabelled > 1 else ' has'} no {quoted(label.name)}" if unlabelled else ""
        )
        broken_rows = f"{broken.total():,} row{'s are' if broken.total() > 1 else ' is'} broken" if broken else ""
        problem = "; ".join(filter(None, (problem, broken_rows)))
        remedy = "left out; mend the file to use all rows"
        if not droppable:
            remedy = "mend the file, or set data.checks.invalid to {policy: drop, max_rate: 1}; a run stops as it is"
        draft.unsure.append(f"{problem}: {remedy}")
    names = ", ".join(word for word in label.missing if word)
    if names and "missing_values" in draft.data:
        remedy = (
            f"where it is a class, take it out of data.missing_values and add it to the classes of {quoted(label.name)}"
        )
        draft.unsure.append(f"{names} in {quoted(label.name)} is taken for no label; {remedy}")
    draft.data.setdefault("checks", {})["duplicates"] = {"policy": "warn"}
    draft.comments["checks"] = "rows of few columns with few values are equal by nature; drop leaves duplicates out"
