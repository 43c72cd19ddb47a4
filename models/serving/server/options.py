"""The server's options: checks the flags and reads the files that they name. Imports TensorFlow only where needed."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.serving.protocol import flags as flag_syntax
from models.serving.protocol.flags import Flags

if TYPE_CHECKING:
    from models.serving.server.batching import Parameters


MAX_KEEP_DAYS = 100_000  # for samples of requests; subtracted from today it still gives a valid date
UNPARSED = "Error parsing text-format"  # how `config_files.read` begins protobuf's parse errors


class StartError(Exception):
    """The server cannot start; the message says why."""


def check(flags: Flags) -> None:
    """Raises StartError, with TF Serving's message, for flags that contradict each other."""
    if not flags.port and not flags.grpc_socket_path:
        raise StartError("INVALID_ARGUMENT: At least one of port or grpc_socket_path must be set.")
    if not flags.model_base_path and not flags.model_config_file:
        raise StartError(
            "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    if flags.batching_parameters_file and not flags.enable_batching:
        raise StartError(
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    for name in flag_syntax.REFUSED:
        if getattr(flags, name):
            raise StartError(
                f"UNIMPLEMENTED: the embedded server knows no --{name}; leave it out, put a proxy in front, or use "
                "tensorflow_model_server."
            )


def model_config(flags: Flags) -> Any:
    """Returns the ModelServerConfig of the flags; raises ValueError if the file cannot be read or parsed."""
    from models.serving.protocol import config_files

    if flags.model_config_file:
        return config_files.read(flags.model_config_file, config_files.ModelServerConfig)
    config = config_files.ModelServerConfig()
    config.model_config_list.config.add(
        name=flags.model_name,
        base_path=str(Path(flags.model_base_path).resolve()),
        model_platform="tensorflow",
    )
    return config


def session_options(flags: Flags) -> Any:
    """Returns the ConfigProto of each version's session; raises ValueError if its file cannot be read or parsed."""
    from tensorflow.core.protobuf import config_pb2

    config = _read(flags.tensorflow_session_config_file, config_pb2.ConfigProto)
    default_threads = flags.tensorflow_session_parallelism
    for name, threads in (
        ("intra_op_parallelism_threads", flags.tensorflow_intra_op_parallelism or default_threads),
        ("inter_op_parallelism_threads", flags.tensorflow_inter_op_parallelism or default_threads),
    ):
        if threads:
            setattr(config, name, threads)
    if flags.per_process_gpu_memory_fraction:
        config.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    return config


def metrics_path(flags: Flags) -> str:
    """Returns the path of Prometheus's page, empty for none; raises ValueError if its file cannot be read or parsed."""
    from models.serving.protocol import config_files
    from models.serving.server.monitoring import PATH

    prometheus = _read(flags.monitoring_config_file, config_files.MonitoringConfig).prometheus_config
    return (prometheus.path or PATH) if prometheus.enable else ""


def batching_parameters(flags: Flags) -> "Parameters | None":
    """Returns the batching parameters; None without batching.

    Raises:
        ValueError: The file cannot be read or parsed.
        ServingStatus: Its parameters are invalid.
    """
    if not flags.enable_batching:
        return None
    from models.serving.protocol import config_files
    from models.serving.server.batching import Parameters

    return Parameters.of(_read(flags.batching_parameters_file, config_files.BatchingParameters))


def own_batching_parameters(version: Path, flags: Flags) -> "Parameters | None":
    """Returns the batching parameters of one version; None if it has none of its own.

    Args:
        version: Folder of the version.
        flags: Flags of the server.

    Raises:
        ServingStatus: The version's file cannot be read, or is invalid.
    """
    from models.serving.protocol import config_files
    from models.serving.protocol.statuses import invalid
    from models.serving.server.batching import Parameters

    file = version / "batching_params.pbtxt"
    if not (flags.enable_batching and flags.enable_per_model_batching_parameters and file.exists()):
        return None
    try:
        return Parameters.of(config_files.read(file, config_files.BatchingParameters))
    except ValueError as error:
        raise invalid(str(error)) from None


def sampling(flags: Flags) -> dict[str, Any] | None:
    """Returns the sampling settings by model; None without sampling; raises StartError for an invalid file."""
    path = flags.sample_config_file
    if not path:
        return None
    try:
        settings = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise StartError(f"INVALID_ARGUMENT: --sample_config_file={path} cannot be read ({error})") from None
    if not isinstance(settings, dict) or not all(map(_is_sampling, settings.values())):
        raise StartError(
            f"INVALID_ARGUMENT: --sample_config_file={path}: expected an object of models, each with a number rate, a "
            f"text folder, and keep_days from 1 to {MAX_KEEP_DAYS:,}"
        )
    return settings


def _is_sampling(settings: Any) -> bool:
    return (
        isinstance(settings, dict)
        and isinstance(settings.get("rate"), int | float)
        and isinstance(settings.get("folder"), str)
        and isinstance(settings.get("keep_days"), int)
        and 1 <= settings["keep_days"] <= MAX_KEEP_DAYS
    )


def _read(path: str, kind: Any) -> Any:
    from models.serving.protocol import config_files

    return config_files.read(path, kind) if path else kind()
