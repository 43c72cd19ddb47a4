"""Asks a running server by REST, as `headrace predict` does. Loads no TensorFlow."""

import base64
import contextlib
import json
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from data.errors import ServingError
from models.serving.protocol.addresses import open_url


@dataclass(frozen=True)
class ServedModel:
    """Which model of a running server is asked.

    Attributes:
        server: URL of the REST API.
        name: The model's name.
        version: Its version; None for the one of `label`.
        label: Such as `stable`; empty for the newest version.
    """

    server: str
    name: str
    version: int | None = None
    label: str = ""

    @property
    def url(self) -> str:
        """Address of the model."""
        choice = f"/labels/{self.label}" if self.label else ""
        if self.version is not None:
            choice = f"/versions/{self.version}"
        return f"{self.server}/v1/models/{self.name}{choice}"


def predict(
    model: ServedModel, *, signature: str, input_key: str, batches: Iterable[Sequence[bytes]]
) -> tuple[list[dict[str, Any]], int]:
    """Returns the outputs by alias for each content of all batches, and the version that answered.

    Args:
        model: Which is asked.
        signature: Of the model.
        input_key: The signature's one input, a string.
        batches: Contents, such as images' bytes, sent a batch a request.

    Raises:
        ServingError: The server is not there, or refuses; in its own words.
    """
    # One output comes without its name: it is looked up.
    metadata = _get_json(f"{model.url}/metadata", model.name)
    outputs = sorted(metadata["metadata"]["signature_def"]["signature_def"][signature]["outputs"])
    rows: list[dict[str, Any]] = []
    for contents in batches:
        encoded = [{"b64": base64.b64encode(one).decode()} for one in contents]
        body = json.dumps({"signature_name": signature, "inputs": {input_key: encoded}}).encode()
        answer = _get_json(f"{model.url}:predict", model.name, body)["outputs"]
        named = answer if len(outputs) > 1 else {outputs[0]: answer}
        rows += [{name: values[row] for name, values in named.items()} for row in range(len(contents))]
    return rows, int(metadata["model_spec"]["version"])


def served_states(server: str, name: str) -> dict[int, str]:
    """Returns the state of each version of a model, such as `AVAILABLE`, by REST; none where no server answers."""
    try:
        found = _get_json(f"{server}/v1/models/{name}", name)["model_version_status"]
    except ServingError:
        return {}
    return {int(one["version"]): one["state"] for one in found}


def _get_json(url: str, model: str, body: bytes | None = None) -> dict[str, Any]:
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with open_url(request, timeout=60) as reply:
            return json.loads(reply.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError):
            text = json.loads(text)["error"]
        raise ServingError(f"The server at {url} says {error.code}: {text}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServingError(f"No model server answers at {url} ({reason}); start one: headrace serve {model}") from None
