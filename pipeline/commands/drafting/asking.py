"""What a person is told on a terminal while data is read, and asked who did not say what is to be predicted."""

import functools
import sys
from collections.abc import Callable, Sequence

import click

from data.errors import ConfigError
from pipeline.commands.drafting.draft import Choice, Choose

MAX_NAME = 30  # characters of a column's name beside the others


def asks(command: Callable[[str], str], *, on_terminal: bool) -> Choose:
    """Returns what chooses a label: a question on a terminal, else an error with the command for each column.

    Args:
        command: Returns the command that a person has to type for a label.
        on_terminal: Whether somebody can answer.
    """
    return functools.partial(_ask if on_terminal else _stop, command)


def is_terminal() -> bool:
    """Returns whether somebody reads what is asked, and can answer."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def confirm(question: str) -> bool | None:
    """Returns what a person answers to a question by yes or no; None where it is left without an answer."""
    try:
        return click.confirm(question, default=None, err=True)
    except click.Abort:
        click.echo(err=True)
        return None


def tell(text: str) -> None:
    """Shows a line that passes, where standard error is a terminal; an empty one takes it away."""
    if sys.stderr.isatty():
        click.echo(f"\r\x1b[K{text}", nl=False, err=True)


def _stop(command: Callable[[str], str], reason: str, choices: Sequence[Choice]) -> str:
    commands = [command(choice.label) for choice in choices]
    width = max(map(len, commands))
    lines = [f"  {line:<{width}}   {choice.learned}" for line, choice in zip(commands, choices, strict=True)]
    raise ConfigError("\n".join([f"{reason}. The likeliest:", *lines]))


def _ask(command: Callable[[str], str], reason: str, choices: Sequence[Choice]) -> str:
    tell("")
    click.echo(f"{reason}. The likeliest:", err=True)
    width = min(max(len(choice.label) for choice in choices), MAX_NAME)
    for number, choice in enumerate(choices, start=1):
        click.echo(f"  {number}  {choice.label:<{width}}   {choice.learned}", err=True)
    try:
        answer = click.prompt(
            "Its number, the name of another column, or Enter for none", default="", show_default=False, err=True
        )
    except click.Abort:
        click.echo(err=True)
        answer = ""
    if not answer:
        _stop(command, reason, choices)
    known = {str(number): choice.label for number, choice in enumerate(choices, start=1)}
    return known.get(answer, answer)
