"""A socket for a site of ours: on 127.0.0.1 only, told in one line where the port is taken."""

import socket

from data.errors import ConfigError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Returns a bound socket; port 0 picks a free one.

    Raises:
        ConfigError: The port is taken.
    """
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((HOST, port))
        listening.listen(128)  # who is told the address may ask at once
    except OSError as error:
        listening.close()
        raise ConfigError(f"Port {port} on {HOST} is taken ({error.strerror}); choose another with --port.") from error
    return listening
