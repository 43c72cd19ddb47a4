"""The engine of the embedded server on a tiny model of many signatures, for the targets that ask it."""

import functools
import logging
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path


@functools.cache
def caller():
    """Returns the `Caller` of a server that has loaded model `tiny`, version 7; it opens no port."""
    from models.serving.protocol.flags import Flags
    from models.serving.server.api.calls import AccessLog, Caller
    from models.serving.server.server import Server
    from tests.models.serving.models import save

    base = Path(tempfile.mkdtemp()) / "tiny"
    save(base / "7")
    server = Server(Flags(model_name="tiny", model_base_path=str(base), file_system_poll_wait_seconds=-1))
    server.load()
    return Caller(server.engine, ThreadPoolExecutor(4), AccessLog(""))


class Errors(logging.Handler):
    """Keeps the exception that a call ended with, which a client is not told."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Takes over what a logger was told."""
        if record.exc_info:
            self.error = record.exc_info[1]

    def close(self) -> None:
        """Ends it."""
        logging.getLogger().removeHandler(self)
        super().close()


def errors() -> Errors:
    """Returns the place where exceptions of calls are kept from now on."""
    found = Errors(logging.ERROR)
    logging.getLogger().addHandler(found)
    return found
