"""The engine of the embedded server with a tiny model of many signatures, for targets of its API."""

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
    """Stores the exception that ended a call, which the client does not receive."""

    error: BaseException | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Stores the exception of a log record."""
        if record.exc_info:
            self.error = record.exc_info[1]

    def close(self) -> None:
        """Removes the handler from the root logger."""
        logging.getLogger().removeHandler(self)
        super().close()


def errors() -> Errors:
    """Returns a log handler that stores exceptions of calls from now on."""
    handler = Errors(logging.ERROR)
    logging.getLogger().addHandler(handler)
    return handler
