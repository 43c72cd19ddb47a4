"""Clients of a server: `from models.serving.client import Client`."""

from models.serving.client.client import Client

__all__ = ["Client"]
