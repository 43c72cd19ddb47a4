"""What `headrace new` infers from a person's data."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.inference.guesses import Guess


def typed(**changes: bool | str) -> str:
    """Returns options as a person types them."""
    words = []
    for name, value in changes.items():
        option = "format" if name == "form" else name
        words.append(f"--{'' if value else 'no-'}{option}" if isinstance(value, bool) else f"--{option} {value}")
    return " ".join(words)


@dataclass(frozen=True)
class TableOptions:
    """What a person says about a table, as options of `headrace new`.

    Attributes:
        format: `csv`, `jsonl`, `parquet` or `xlsx`; auto: by the file's ending.
        delimiter: What separates the cells of a CSV file; empty to find out.
        header: Whether its first row holds the names of the columns; None where the person did not say.
        names: The names of its columns, where it has no header.
        confirm: Asks a person a question; returns None where it was left without an answer. None where nobody can be
            asked.
        again: Returns what a person has to type with these options changed: the whole command where there is one.
        sheet: The worksheet of an Excel workbook; empty for the first one.
    """

    format: str = "auto"
    delimiter: str = ""
    header: bool | None = None
    names: tuple[str, ...] = ()
    confirm: Callable[[str], bool | None] | None = None
    again: Callable[..., str] = typed
    sheet: str = ""


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
        comments: Setting of the data -> why it is set, as the run file says.
        model: Settings of the task.
        unsure: What a person should look at and what to do where it is wrong, a sentence each.
        notes: What else was found, a sentence each: counts, what was left out.
        splits: Split -> its folders, where the data has splits of its own.
    """

    task: str
    files: Path
    rows: int = 0
    features: dict[str, Guess] = field(default_factory=dict)
    ignored: dict[str, str] = field(default_factory=dict)
    data: dict[str, Any] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)
    model: dict[str, Any] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    splits: dict[str, list[Path]] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    """A column that may be what is to be predicted.

    Attributes:
        label: Its name.
        learned: What would be learned: task, and classes or range.
    """

    label: str
    learned: str


# From why the label is not clear, the likeliest columns and the names of all, to the column that a person names; raises
# ConfigError where nobody does.
Choose = Callable[[str, Sequence[Choice], Sequence[str]], str]
