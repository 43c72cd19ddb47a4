"""`python -m models.serving.server.preload`: a server that imports its modules before it gets its flags.

`deployment.standby` starts it, and sends its flags as a line of JSON to its standard input.
"""

import json
import os
import sys

from models.importing import uncollected


def main() -> int:
    """Imports the modules, waits for the flags and the log file, and serves; returns the exit code."""
    from models.serving.server import server

    server.block_keras()
    with uncollected():
        import uvloop  # noqa: F401

        from models.serving.protocol import config_files, warmup  # noqa: F401
        from models.serving.server import batching, inference, input_validation, manager  # noqa: F401
        from models.serving.server.api import grpc_api, rest_api  # noqa: F401

    line = sys.stdin.readline()
    if not line:
        return 0
    start = json.loads(line)
    log = os.open(start["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    for stream in (1, 2):
        os.dup2(log, stream)
    return server.main(start["arguments"])


if __name__ == "__main__":
    sys.exit(main())
