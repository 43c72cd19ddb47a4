"""A client of the REST API, as `headrace predict` uses it. Loads no TensorFlow."""

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
    """The model refuses an input; others may be accepted."""


class _NotFound(ServingError):
    """The server does not have the model, or the version any more."""


@dataclass(frozen=True)
class ServedModel:
    """A model of a running server.

    Attributes:
        server: URL of the REST API.
        name: Name of the model.
        signature: Name of the signature.
        input_key: Name of the signature's one input, a string tensor `(rows,)`.
        version: Version of the model; None for the version of `label`.
        label: Label of a version, such as `stable`; empty for the newest version.
    """

    server: str
    name: str
    signature: str
    input_key: str
    version: int | None = None
    label: str = ""
    batch_rows: ClassVar[int] = 1024  # of a request, whose timeout is a minute

    @property
    def outputs(self) -> dict[str, str]:
        """The signature's outputs: name -> dtype, `float32`, `float64` or another."""
        return self._version_and_outputs[1]

    def predict(self, contents: Sequence[bytes] | np.ndarray) -> tuple[dict[str, np.ndarray], int]:
        """Returns the outputs by name, each `(rows, ...)`, and the version that predicted.

        Args:
            contents: bytes, such as encoded pictures, `(rows,)`; sent as one request.

        Raises:
            InputRefused: The server refuses the contents.
            ServingError: The server does not answer, or has no such model.
        """
        encoded = [{"b64": base64.b64encode(content).decode()} for content in contents]
        body = json.dumps({"signature_name": self.signature, "inputs": {self.input_key: encoded}}).encode()
        try:
            response = self._get(self._version_and_outputs[0], body)
        except _NotFound:  # a newer version has replaced it since an earlier request
            self.__dict__.pop("_version_and_outputs")
            response = self._get(self._version_and_outputs[0], body)
        version, outputs = self._version_and_outputs
        # A single output comes without its name.
        by_name = response if len(outputs) > 1 else {next(iter(outputs)): response}
        return {name: _to_array(values, outputs.get(name, "")) for name, values in by_name.items()}, version

    @functools.cached_property
    def _version_and_outputs(self) -> tuple[int, dict[str, str]]:
        """The version that predicts, and the signature's outputs: name -> dtype."""
        selector = f"/labels/{self.label}" if self.label else ""
        selector = f"/versions/{self.version}" if self.version is not None else selector
        url = f"{self.server}/v1/models/{self.name}{selector}"
        metadata = _get_json(f"{url}/metadata", self.name)
        signatures = metadata["metadata"]["signature_def"]["signature_def"]
        if self.signature not in signatures:
            raise ServingError(f"The model at {url} has no signature {self.signature}.")
        outputs = signatures[self.signature]["outputs"]
        types = {name: DTYPES.get(info["dtype"], info["dtype"]) for name, info in sorted(outputs.items())}
        return int(metadata["model_spec"]["version"]), types

    def _get(self, version: int, body: bytes) -> Any:
        return _get_json(f"{self.server}/v1/models/{self.name}/versions/{version}:predict", self.name, body)["outputs"]


def _to_array(values: Any, dtype: str) -> np.ndarray:
    """Returns values of a JSON response as an array of the output's dtype, strings as Python objects."""
    if dtype in ("float32", "float64"):
        return np.asarray(values, dtype)
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind == "U" else array


def served_states(server: str, name: str) -> dict[int, str]:
    """Returns the state of each version of a model, such as `AVAILABLE`, by REST; empty where no server answers."""
    try:
        statuses = _get_json(f"{server}/v1/models/{name}", name)["model_version_status"]
    except ServingError:
        return {}
    return {int(status["version"]): status["state"] for status in statuses}


def _get_json(url: str, model: str, body: bytes | None = None) -> dict[str, Any]:
    """Returns the JSON response to a GET, or to a POST of `body`; `model` is named in errors."""
    request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
    try:
        with open_url(request, timeout=60) as response:
            return json.loads(response.read())
    except urllib.error.HTTPError as error:
        text = error.read().decode(errors="replace")
        with contextlib.suppress(ValueError, KeyError):
            text = json.loads(text)["error"]
        if error.code == 400:
            raise InputRefused(text) from None
        kind = _NotFound if error.code == 404 else ServingError
        raise kind(f"The server at {url} says {error.code}: {text}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ServingError(f"No model server answers at {url} ({reason}); start one: headrace serve {model}") from None
