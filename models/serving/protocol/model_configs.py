"""Which models a config names, which folders are versions of one, and which versions its policy picks."""

import logging
import os
import re
from pathlib import Path

from tensorflow_serving.config import model_server_config_pb2

from models.serving.protocol.config_files import ModelServerConfig
from models.serving.protocol.statuses import invalid

logger = logging.getLogger(__name__)

_NUMBER = re.compile(r"\s*[+-]?[0-9]+\s*")
_SCHEME = re.compile(r"[a-zA-Z][a-zA-Z0-9+.-]*://")

ModelConfig = model_server_config_pb2.ModelConfig


def models_of(config: ModelServerConfig) -> dict[str, ModelConfig]:
    """Returns the models of a config by name; raises ServingStatus in TF Serving's words."""
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("Custom model config is not supported.")
    models: dict[str, ModelConfig] = {}
    for one in config.model_config_list.config:
        if one.name in models:
            raise invalid(f"Illegal to list model {one.name} multiple times in config list")
        if not (os.path.isabs(one.base_path) or _SCHEME.match(one.base_path)):
            raise invalid(f"Expected model {one.name} to have an absolute path or URI; got base_path()={one.base_path}")
        models[one.name] = one
    return models


def list_versions(base: Path) -> dict[int, Path]:
    """Returns the children of a folder whose name is an int64, by number; raises OSError when it cannot be read."""
    found: dict[int, Path] = {}
    for name in sorted(os.listdir(base)):
        number = _version(name)
        if number is not None:
            if number in found:
                logger.warning(
                    "Duplicate version directories detected. Version %d will be loaded from %s, and %s will be ignored",
                    number,
                    base / name,
                    found[number],
                )
            found[number] = base / name
    return found


def _version(name: str) -> int | None:
    """Returns the number that a folder's name is; None where it is none, or none that an int64 holds."""
    if not _NUMBER.fullmatch(name):
        return None
    number = int(name)
    return number if -(2**63) <= number < 2**63 else None


def wanted_versions(config: ModelConfig, found: dict[int, Path]) -> dict[int, Path]:
    """Returns the versions among those found that a model's policy picks."""
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return dict(found)
    if kind == "specific":
        return {number: found[number] for number in policy.specific.versions if number in found}
    count = policy.latest.num_versions or 1
    return {number: found[number] for number in sorted(found)[-count:]}


def missing_versions(config: ModelConfig, found: dict[int, Path]) -> str | None:
    """Returns TF Serving's warning about versions that are not there; None where all are."""
    if not found:
        return (
            f"No versions of servable {config.name} found under base path {config.base_path}. Did you forget to name "
            "your leaf directory as a number (eg. '/1/')?"
        )
    missing = [number for number in config.model_version_policy.specific.versions if number not in found]
    if not missing:
        return None
    return (
        f"Version(s) {', '.join(map(str, missing))} of servable {config.name}, which were requested to be served as "
        "specific versions, were not found on the file system"
    )
