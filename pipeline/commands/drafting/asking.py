"""What a person is asked on a terminal who did not say what is to be predicted, or what the first row is."""

import difflib
import functools
import sys
from collections.abc import Callable, Sequence

import click

from data.errors import ConfigError
from pipeline.commands.drafting.draft import Choice, Choose
from pipeline.commands.drafting.wording import some

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
    """Returns what a person answers by yes, or Enter alone, or no; None where the question is left unanswered."""
    try:
        return click.confirm(question, default=True, err=True)
    except click.Abort:
        click.echo(err=True)
        return None


def _stop(command: Callable[[str], str], reason: str, choices: Sequence[Choice], columns: Sequence[str]) -> str:
    commands = [command(choice.label) for choice in choices]
    width = max(map(len, commands))
    lines = [f"  {line:<{width}}   {choice.learned}" for line, choice in zip(commands, choices, strict=True)]
    raise ConfigError("\n".join([f"{reason}; name it with --label. The likeliest:", *lines]))


def _ask(command: Callable[[str], str], reason: str, choices: Sequence[Choice], columns: Sequence[str]) -> str:
    click.echo(f"{reason}. The likeliest:", err=True)
    width = min(max(len(choice.label) for choice in choices), MAX_NAME)
    for number, choice in enumerate(choices, start=1):
        click.echo(f"  {number}  {choice.label:<{width}}   {choice.learned}", err=True)
    known = {name: name for name in columns}
    known |= {str(number): choice.label for number, choice in enumerate(choices, start=1)}

    def chosen(text: str) -> str:
        if text and text not in known:
            close = difflib.get_close_matches(text, columns, n=1)
            meant = f"did you mean {close[0]!r}?" if close else f"the columns are {some(columns)}."
            raise click.BadParameter(f"{text!r} is neither a number from 1 to {len(choices)} nor a column; {meant}")
        return known.get(text, "")

    question = "Its number, the name of another column, or Enter to stop"
    try:
        label = click.prompt(question, default="", show_default=False, value_proc=chosen, err=True)
    except click.Abort:
        click.echo(err=True)
        label = ""
    return label or _stop(command, reason, choices, columns)
