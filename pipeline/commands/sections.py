"""The order in which `headrace --help` lists the commands."""

import os

import click

SECTIONS = {
    "Run": ("run", "new", "check", "list", "compare-classical", "schema", "new-task"),
    "Look": ("runs", "show", "report", "compare", "why", "logs", "board", "ui"),
    "Serve": ("predict", "serve", "versions", "promote", "canary", "rollback"),
    "Data": ("drift", "quality"),
    "Schedule": ("schedule", "scheduler", "notify-test"),
    "Machine": ("doctor", "gc", "repair", "completion"),
}


class SectionedGroup(click.Group):
    """A group of commands whose help lists them by section, each with the first sentence of its description."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Writes the sections; headings are bold on a terminal, where NO_COLOR is not set."""
        if os.environ.get("NO_COLOR"):
            ctx.color = False
        width = max(map(len, self.commands))
        for heading, names in SECTIONS.items():
            with formatter.section(click.style(heading, bold=True)):
                limit = formatter.width - width - 6  # indents and the gap between the columns
                rows = [(name.ljust(width), self.commands[name].get_short_help_str(limit)) for name in names]
                formatter.write_dl(rows)
