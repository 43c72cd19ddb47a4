"""Questions on a terminal: which column is to be predicted, and whether the first row is a header."""

import difflib
import functools
import sys
from collections.abc import Callable, Sequence

import click

from data.errors import ConfigError
from pipeline.commands.drafting.draft import Choice, Choose
from pipeline.commands.drafting.wording import joined

MAX_NAME = 30  # characters; greatest width of the list of column names


def label_chooser(command: Callable[[str], str], *, on_terminal: bool) -> Choose:
    """Returns a function that chooses the label: it asks on a terminal, else raises ConfigError with the commands.

    Args:
        command: Label -> the command to type for it.
        on_terminal: Whether a person can answer.
    """
    return functools.partial(_prompt if on_terminal else _refuse, command)


def is_terminal() -> bool:
    """Returns whether standard input and standard error are a terminal, so that a person can answer a question."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool | None:
    """Returns a person's answer, True for Enter alone; None if it is interrupted, as by Ctrl-C."""
    try:
        return click.confirm(question, default=True, err=True)
    except click.Abort:
        click.echo(err=True)
        return None


def _refuse(command: Callable[[str], str], reason: str, choices: Sequence[Choice], columns: Sequence[str]) -> str:
    commands = [command(choice.label) for choice in choices]
    width = max(map(len, commands))
    lines = [f"  {line:<{width}}   {choice.description}" for line, choice in zip(commands, choices, strict=True)]
    raise ConfigError("\n".join([f"{reason}; name it with --label. The likeliest:", *lines]))


def _prompt(command: Callable[[str], str], reason: str, choices: Sequence[Choice], columns: Sequence[str]) -> str:
    click.echo(f"{reason}. The likeliest:", err=True)
    width = min(max(len(choice.label) for choice in choices), MAX_NAME)
    for number, choice in enumerate(choices, start=1):
        click.echo(f"  {number}  {choice.label:<{width}}   {choice.description}", err=True)
    labels = {name: name for name in columns}
    labels |= {str(number): choice.label for number, choice in enumerate(choices, start=1)}

    def parse(text: str) -> str:
        if text and text not in labels:
            close = difflib.get_close_matches(text, columns, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"the columns are {joined(columns)}."
            raise click.BadParameter(f"{text!r} is neither a number from 1 to {len(choices)} nor a column; {hint}")
        return labels.get(text, "")

    question = "Its number, the name of another column, or Enter to stop"
    try:
        label = click.prompt(question, default="", show_default=False, value_proc=parse, err=True)
    except click.Abort:
        click.echo(err=True)
        label = ""
    return label or _refuse(command, reason, choices, columns)
