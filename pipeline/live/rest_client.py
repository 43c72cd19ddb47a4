"""Asks a running server by REST, as `headrace predict` does. Loads no TensorFlow."""

import base64
import contextlib
import functools
import json
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from data.errors import ServingError
from models.serving.protocol.addresses import open_url

DTYPES = {"DT_FLOAT": "float32", "DT_DOUBLE": "float64"}


class InputRefused(ServingError):
    """What a model was asked about is not what it takes; other questions may be answered."""


class _NotThere(ServingError):
    """The server does not have the model, or no longer its version."""


@dataclass(frozen=True)
class ServedModel:
    """Which model of a running server is asked, and how.

    Attributes:
        server: URL of the REST API.
        name: The model's name.
        signature: Of the model.
        input_key: The signature's one input, a string.
        wanted: The version to ask; None for the one of `label`.
        label: Such as `stable`; empty for the newest version.
    """

    server: str
    name: str
    signature: str
    input_key: str
    wanted: int | None = None
    label: str = ""
    batch_rows: ClassVar[int] = 1024  # of a request, which is given a minute

    @property
    def outputs(self) -> dict[str, str]:
        """The signature's outputs: name -> dtype, `float32`, `float64` or another."""
        return self._found[1]

    def predict(self, contents: Sequence[bytes] | np.ndarray) -> tuple[dict[str, np.ndarray], int]:
        """Returns the outputs by name, each `(rows, ...)`, and the version that answered.

        Args:
            contents: Such as the bytes of pictures, `(rows,)`; sent as one request.

        Raises:
            InputRefused: The server refuses the contents.
            ServingError: The server is not there, or has no such model.
        """
        encoded = [{"b64": base64.b64encode(one).decode()} for one in contents]
        body = json.dumps({"signature_name": self.signature, "inputs": {self.input_key: encoded}}).encode()
        try:
            answer = self._get(self._found[0], body)
        except _NotThere:  # while others were answered a newer version took its place
            self.__dict__.pop("_found")
            answer = self._get(self._found[0], body)
        version, outputs = self._found
        # One output comes without its name.
        named = answer if len(outputs) > 1 else {next(iter(outputs)): answer}
        return {name: _as_model(values, outputs.get(name, "")) for name, values in named.items()}, version

    @functools.cached_property
    def _found(self) -> tuple[int, dict[str, str]]:
        """The version that is asked, and the signature's outputs."""
        choice = f"/labels/{self.label}" if self.label else ""
        choice = f"/versions/{self.wanted}" if self.wanted is not None else choice
        url = f"{self.server}/v1/models/{self.name}{choice}"
        metadata = _get_json(f"{url}/metadata", self.name)
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        if self.signature not in signatures:
            raise ServingError(f"The model at {url} has no signature {self.signature}.")
        outputs = signatures[self.signature]["outputs"]
        types = {name: DTYPES.get(about["dtype"], about["dtype"]) for name, about in sorted(outputs.items())}
        return int(metadata["model_spec"]["version"]), types

    def _get(self, version: int, body: bytes) -> Any:
        return _get_json(f"{self.server}/v1/models/{self.name}/versions/{version}:predict", self.name, body)["outputs"]


def _as_model(values: Any, dtype: str) -> np.ndarray:
    """Returns values that came as JSON's in the type that the model answered in: texts as Python's, as it has them."""
    if dtype in ("float32", "float64"):
        return np.asarray(values, dtype)
    found = np.asarray(values)
    return found.astype(object) if found.dtype.kind == "U" else found


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
        if error.code == 400:
            raise InputRefused(text) from None
        kind = _NotThere if error.code == 404 else ServingError
        raise kind(f"The server at {url} says {error.code}: {text}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServingError(f"No model server answers at {url} ({reason}); start one: headrace serve {model}") from None
