"""Logging without secrets."""

import logging

from data.secrets import hide


class HidingFormatter(logging.Formatter):
    """Hides values of `${ENV:NAME}` settings and tokens of webhooks."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


def start(log_format: str) -> None:
    """Starts logging to standard error, from level INFO."""
    logging.basicConfig(level=logging.INFO, force=True)
    logging.getLogger().handlers[0].setFormatter(HidingFormatter(log_format))
