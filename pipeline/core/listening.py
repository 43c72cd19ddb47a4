"""Server sockets on 127.0.0.1, with a one-line error if the port is in use."""

import socket

from data.errors import ConfigError

HOST = "127.0.0.1"


def listen(port: int) -> socket.socket:
    """Returns a listening socket on 127.0.0.1; port 0 picks a free one.

    Raises:
        ConfigError: The port is in use.
    """
    server_socket = socket.socket()
    server_socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        server_socket.bind((HOST, port))
        server_socket.listen(128)  # clients may connect as soon as they have the address
    except OSError as error:
        server_socket.close()
        raise ConfigError(f"Port {port} on {HOST} is taken ({error.strerror}); choose another with --port.") from error
    return server_socket
