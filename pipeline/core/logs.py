"""The log of a process: no secret is written."""

import logging

from data.secrets import hide


class HidingFormatter(logging.Formatter):
    """Writes no value of a `${ENV:NAME}` setting, and no webhook's token."""

    def format(self, record: logging.LogRecord) -> str:
        return hide(super().format(record))


def start(form: str) -> None:
    """Writes what is logged from now on, from level INFO, to standard error."""
    logging.basicConfig(level=logging.INFO, force=True)
    logging.getLogger().handlers[0].setFormatter(HidingFormatter(form))
