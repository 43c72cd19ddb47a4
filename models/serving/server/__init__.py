"""The embedded server; `python -m models.serving.server FLAGS` starts it."""
