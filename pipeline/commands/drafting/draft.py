"""The records of `headrace new`: the draft of a run file, and the options for tables."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.inference.guesses import Guess


def as_options(**changes: bool | str) -> str:
    """Returns options of the command line, such as `--no-header` for `header=False`."""
    options = []
    for name, value in changes.items():
        option = name.removesuffix("_")
        options.append(f"--{'' if value else 'no-'}{option}" if isinstance(value, bool) else f"--{option} {value}")
    return " ".join(options)


@dataclass(frozen=True)
class TableOptions:
    """Options of `headrace new` for tables.

    Attributes:
        format: `csv`, `jsonl`, `parquet` or `xlsx`; `auto`: by the file's ending.
        delimiter: Delimiter of a CSV file; empty to infer it.
        header: Whether the first row holds the names of the columns; None to infer it.
        names: Names of the columns of a file without a header.
        confirm: Asks a person a yes-or-no question; returns None without an answer. None if nobody can be asked.
        command_with: Returns the command to type with these options changed; by default the options alone.
        sheet: Worksheet of an Excel workbook; empty for the first one.
    """

    format: str = "auto"
    delimiter: str = ""
    header: bool | None = None
    names: tuple[str, ...] = ()
    confirm: Callable[[str], bool | None] | None = None
    command_with: Callable[..., str] = as_options
    sheet: str = ""


@dataclass
class Draft:
    """A draft of a run file.

    Attributes:
        task: Name of the task.
        files: Path of the data.
        rows: Number of rows.
        features: Column -> guess of its feature, the label last.
        ignored: Column -> reason why it is not used.
        data: Other settings under `data`.
        comments: Setting under `data` -> comment beside it in the run file.
        model: Settings under `model`.
        unsure: Sentences on doubtful guesses, each with its remedy.
        notes: Sentences on counts and on files that are left out.
        splits: Split -> its folders; empty if the data is not divided into splits.
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
    """A column that may be the label.

    Attributes:
        label: Name of the column.
        description: Task, and classes or range of the column.
    """

    label: str
    description: str


# (reason why the label is not clear, likeliest columns, names of all columns) -> the chosen column. Raises ConfigError
# if none is chosen.
Choose = Callable[[str, Sequence[Choice], Sequence[str]], str]
