"""The models of a config, the version folders of a model, and the versions that its policy selects."""

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
    """Returns the models of a config by name; raises ServingStatus with TF Serving's message."""
    if config.WhichOneof("config") == "custom_model_config":
        raise invalid("Custom model config is not supported.")
    models: dict[str, ModelConfig] = {}
    for model in config.model_config_list.config:
        name, base_path = model.name, model.base_path
        if name in models:
            raise invalid(f"Illegal to list model {name} multiple times in config list")
        if not (os.path.isabs(base_path) or _SCHEME.match(base_path)):
            raise invalid(f"Expected model {name} to have an absolute path or URI; got base_path()={base_path}")
        models[name] = model
    return models


def list_versions(base: Path) -> dict[int, Path]:
    """Returns the subfolders whose name is an int64, by number; raises OSError if `base` cannot be read."""
    paths: dict[int, Path] = {}
    for name in sorted(os.listdir(base)):
        number = _version(name)
        if number is not None:
            if number in paths:
                logger.warning(
                    "Duplicate version directories detected. Version %d will be loaded from %s, and %s will be ignored",
                    number,
                    base / name,
                    paths[number],
                )
            paths[number] = base / name
    return paths


def _version(name: str) -> int | None:
    """Returns the version number in a folder name; None if the name is no int64."""
    if not _NUMBER.fullmatch(name):
        return None
    number = int(name)
    return number if -(2**63) <= number < 2**63 else None


def wanted_versions(config: ModelConfig, available: dict[int, Path]) -> dict[int, Path]:
    """Returns the available versions that a model's policy selects, as version -> folder."""
    policy = config.model_version_policy
    kind = policy.WhichOneof("policy_choice")
    if kind == "all":
        return dict(available)
    if kind == "specific":
        return {number: available[number] for number in policy.specific.versions if number in available}
    count = policy.latest.num_versions or 1
    return {number: available[number] for number in sorted(available)[-count:]}


def missing_versions(config: ModelConfig, available: dict[int, Path]) -> str | None:
    """Returns TF Serving's warning about missing versions; None if none is missing."""
    if not available:
        return (
            f"No versions of servable {config.name} found under base path {config.base_path}. Did you forget to name "
            "your leaf directory as a number (eg. '/1/')?"
        )
    missing = [number for number in config.model_version_policy.specific.versions if number not in available]
    if not missing:
        return None
    return (
        f"Version(s) {', '.join(map(str, missing))} of servable {config.name}, which were requested to be served as "
        "specific versions, were not found on the file system"
    )
