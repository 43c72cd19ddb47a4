"""Mutations that no test can notice, each with the reason: module -> (source line, change) -> why."""

EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {}
