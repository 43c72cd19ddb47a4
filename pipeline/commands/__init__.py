"""The `headrace` command: a module for each group of verbs. Nothing below imports it."""
