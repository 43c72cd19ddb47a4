"""Adds a task to the sources: a copy of an existing task under another name, registered and ready to change."""

import keyword
import re
import shutil
from pathlib import Path

import click

from data.errors import ConfigError
from pipeline.commands.shared import reports_errors

TASKS, REGISTRY, CONTRACTS = Path("models/tasks"), Path("models/registry.py"), Path("pyproject.toml")
MADE_UP = Path("tests/models/tiny.py")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@click.command()
@click.argument("name")
@click.option("--like", default="text_classification", show_default=True, help="The task whose code it begins with.")
@reports_errors
def new_task(name: str, like: str) -> None:
    """Write a task of your own into the sources.

    Copies the code of a task under NAME, registers it, and says which test it has to pass; then change its files.

    \b
    Examples:
      headrace new-task mood_detection
      headrace new-task demand --like tabular_regression
    """
    from models.registry import TASKS
    from pipeline.core import config

    if like not in TASKS:
        raise ConfigError(config.unknown("task", like, TASKS))
    written = write(Path(__file__).resolve().parents[2], name, like)
    click.echo("\n".join(map(str, written)))
    click.echo(
        f"Next: .venv/bin/pytest -m slow tests/models/test_contract.py -k {name}   the contract test of all tasks"
    )


def write(root: Path, name: str, like: str) -> list[Path]:
    """Writes the task `name` as a copy of the task `like`; returns the new and changed files, relative to `root`.

    Args:
        root: Folder of the sources.
        name: Name of the new task, a Python name in lower case.
        like: Name of the registered task that is copied.

    Raises:
        ConfigError: The name is not valid or taken, or the sources are not a clone of the repository.
    """
    from data.files import atomic

    if not _NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(f"{name!r} cannot name a task: expected small letters, digits and _, such as mood_detection.")
    folder = root / TASKS / name
    if folder.exists():
        raise ConfigError(f"{folder} exists already; choose another name.")
    if missing := [path for path in (CONTRACTS, MADE_UP) if not (root / path).is_file()]:
        raise ConfigError(
            f"{root / missing[0]} is missing: new-task changes the sources; run it in a clone of Headrace."
        )
    texts = {
        REGISTRY: _after(root / REGISTRY, f'"{like}": "models.tasks.{like}",', name, like),
        CONTRACTS: _after(root / CONTRACTS, f'"models.tasks.{like}",', name, like),
        MADE_UP: f'{(root / MADE_UP).read_text()}\n\nMADE_UP["{name}"] = MADE_UP["{like}"]\n',
    }
    shutil.copytree(root / TASKS / like, folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in folder.glob("*.py"):
        path.write_text(_renamed(path.read_text(), name, like))
    for path, text in texts.items():
        atomic.write(root / path, text)
    return [*(path.relative_to(root) for path in sorted(folder.iterdir())), *texts]


def _after(path: Path, expected: str, name: str, like: str) -> str:
    """Returns the text of a file with a copy, for the new task, of the line of the task `like`."""
    text = path.read_text()
    (entry,) = [line for line in text.splitlines(keepends=True) if line.strip() == expected]
    return text.replace(entry, entry + _renamed(entry, name, like))


def _renamed(text: str, name: str, like: str) -> str:
    return text.replace(like, name).replace(_camel(like), _camel(name))


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
