"""Writes a run file for a person's own data: reads all of it, infers task and columns, says what it is unsure of."""

import glob
from collections.abc import Sequence
from pathlib import Path

from data.errors import ConfigError
from data.sources.tables import partitions
from models import registry
from pipeline.commands.drafting.draft import Choice, Choose, Draft, TableOptions
from pipeline.commands.drafting.folders import of_folder
from pipeline.commands.drafting.tables import of_table
from pipeline.core import config


def _refuse(reason: str, choices: Sequence[Choice], columns: Sequence[str]) -> str:
    raise ConfigError(f"{reason}; name one: {', '.join(choice.label for choice in choices)}.")


PLAIN = TableOptions()


def draft(
    path: Path,
    task: str | None = None,
    label: str | None = None,
    choose: Choose = _refuse,
    options: TableOptions = PLAIN,
) -> Draft:
    """Returns the run file that suits a file or folder; reads all of it.

    Args:
        path: CSV, TSV, JSON, JSON Lines, Parquet or Excel file, a zip file of one, a folder of Parquet files, or a
            folder with a folder of images or texts for each class, or with splits (`train`, `test`, ...) of such
            folders.
        task: The task; None to infer it.
        label: The column to be predicted; None to choose it.
        choose: Returns the label where it is not clear.
        options: What is known of a table.

    Raises:
        ConfigError: No such path, task or column, no label, or data that none of the tasks can learn from.
        DataError: The data cannot be read.
    """
    if not path.exists():
        fix = "; one file is taken; data.files of its run file takes a pattern" if glob.has_magic(str(path)) else ""
        raise ConfigError(f"There is no file or folder {path}{fix}.")
    if task is not None and task not in registry.TASKS:
        raise ConfigError(config.unknown("task", task, sorted(registry.TASKS)))
    if task == "recommendation":
        raise ConfigError("headrace new does not infer users and items; take pipeline/configs/movies.yaml as a model.")
    if path.is_dir() and options.format != "parquet" and not partitions.is_table(path):
        return of_folder(path, task, label)
    return of_table(path, task, label, choose, options)


def place(name: str, *, force: bool) -> Path:
    """Returns where the run file of a name goes; raises ConfigError where it cannot."""
    target = Path(f"{name.removesuffix('.yaml')}.yaml")
    config.check_name(target)
    if not target.parent.is_dir():
        raise ConfigError(f"There is no folder {target.parent}; make it, or give a name without it.")
    if target.exists() and not force:
        raise ConfigError(f"{target} is there already; choose another name, or --force to write over it.")
    return target
