"""Drafts a run file for a person's own data: infers the task and the columns, and what it is unsure of."""

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
    """Returns a draft of the run file for a file or folder, all of which is read.

    Args:
        path: CSV, TSV, JSON, JSON Lines, Parquet or Excel file, a zip file of one, a folder of Parquet files, or a
            folder with a folder of images or texts for each class, or with splits (`train`, `test`, ...) of such
            folders.
        task: Name of the task; None to infer it.
        label: Name of the column to be predicted; None to infer it.
        choose: Chooses the label if it cannot be inferred.
        options: How the cells and the header of a table are to be read.

    Raises:
        ConfigError: There is no such path, task or column, no label, or no task can learn from the data.
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


def target_path(name: str, *, force: bool) -> Path:
    """Returns the path of the run file to write.

    Args:
        name: Path of the run file, with or without `.yaml`.
        force: Whether an existing file may be replaced.

    Raises:
        ConfigError: No pipeline can have this name, the folder does not exist, or the file exists.
    """
    path = Path(f"{name.removesuffix('.yaml')}.yaml")
    config.check_name(path)
    if not path.parent.is_dir():
        raise ConfigError(f"There is no folder {path.parent}; make it, or give a name without it.")
    if path.exists() and not force:
        raise ConfigError(f"{path} is there already; choose another name, or --force to write over it.")
    return path
