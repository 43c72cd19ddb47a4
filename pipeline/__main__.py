"""`python -m pipeline` is `headrace`."""

from pipeline.commands.cli import main

main()
