"""Command-line flags in TensorFlow's syntax, under TF Serving's names."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Flags:
    """The flags of `tensorflow_model_server`, followed by Headrace's own.

    Each attribute is a flag; its help text is in the field's metadata.
    """

    port: int = field(default=8500, metadata={"help": "TCP port of the gRPC API; 0: none"})
    grpc_socket_path: str = field(default="", metadata={"help": "Unix socket of the gRPC API"})
    rest_api_port: int = field(default=0, metadata={"help": "Port of the HTTP/REST API; 0: none"})
    rest_api_num_threads: int = field(
        default=0, metadata={"help": "Accepted without effect: one event loop serves REST"}
    )
    rest_api_timeout_in_ms: int = field(default=30000, metadata={"help": "Timeout of a REST call"})
    rest_api_enable_cors_support: bool = field(default=False, metadata={"help": "Respond with CORS headers"})
    grpc_channel_arguments: str = field(default="", metadata={"help": "gRPC's channel arguments, k=v,k=v"})
    grpc_max_threads: int = field(default=0, metadata={"help": "Threads for slow models; 0: 4 a core"})
    model_name: str = field(default="default", metadata={"help": "Name of the one model"})
    model_base_path: str = field(default="", metadata={"help": "Folder of the one model's versions"})
    model_config_file: str = field(default="", metadata={"help": "ModelServerConfig as text proto"})
    model_config_file_poll_wait_seconds: int = field(
        default=0, metadata={"help": "Seconds between reads of the file; 0: once"}
    )
    file_system_poll_wait_seconds: int = field(
        default=1, metadata={"help": "Seconds between scans for new versions; 0: once, <0: never"}
    )
    num_load_threads: int = field(default=0, metadata={"help": "Number of concurrent loads; 0: number of cores"})
    num_unload_threads: int = field(
        default=0, metadata={"help": "Accepted without effect: each unload has its own thread"}
    )
    max_num_load_retries: int = field(default=5, metadata={"help": "Number of retries of a failed load"})
    load_retry_interval_micros: int = field(default=60_000_000, metadata={"help": "Microseconds between retries"})
    enable_batching: bool = field(default=False, metadata={"help": "Merge requests into batches"})
    batching_parameters_file: str = field(default="", metadata={"help": "BatchingParameters as text proto"})
    enable_per_model_batching_parameters: bool = field(
        default=False, metadata={"help": "Read batching_params.pbtxt of each version"}
    )
    allow_version_labels_for_unavailable_models: bool = field(
        default=False, metadata={"help": "Allow labels of versions that are not loaded yet"}
    )
    monitoring_config_file: str = field(default="", metadata={"help": "MonitoringConfig as text proto"})
    enable_model_warmup: bool = field(default=True, metadata={"help": "Replay a version's warm-up requests"})
    num_request_iterations_for_warmup: int = field(
        default=1, metadata={"help": "Number of replays of each warm-up request"}
    )
    saved_model_tags: str = field(default="serve", metadata={"help": "Comma-separated tags of the MetaGraph"})
    enable_signature_method_name_check: bool = field(
        default=False, metadata={"help": "Require a signature's method name, which Keras models lack"}
    )
    enable_grpc_healthcheck_service: bool = field(default=False, metadata={"help": "Serve grpc.health.v1.Health"})
    enable_serialization_as_tensor_content: bool = field(
        default=False, metadata={"help": "Respond with tensor_content instead of typed fields"}
    )
    tensorflow_session_parallelism: int = field(default=0, metadata={"help": "Threads of a session; 0: auto"})
    tensorflow_intra_op_parallelism: int = field(default=0, metadata={"help": "Threads inside an op; 0: auto"})
    tensorflow_inter_op_parallelism: int = field(default=0, metadata={"help": "Threads between ops; 0: auto"})
    tensorflow_session_config_file: str = field(default="", metadata={"help": "ConfigProto as text proto"})
    per_process_gpu_memory_fraction: float = field(
        default=0.0, metadata={"help": "Share of GPU memory to allocate; 0: TensorFlow decides"}
    )
    xla_cpu_compilation_enabled: bool = field(
        default=False, metadata={"help": "Run functions that require XLA (jit_compile); without it they fail"}
    )
    xla_gpu_compilation_enabled: bool = field(default=False, metadata={"help": "The same"})
    flush_filesystem_caches: bool = field(default=True, metadata={"help": "Accepted without effect"})
    remove_unused_fields_from_bundle_metagraph: bool = field(default=True, metadata={"help": "Accepted without effect"})
    skip_initialize_tpu: bool = field(default=False, metadata={"help": "Accepted without effect"})
    enable_profiler: bool = field(
        default=True, metadata={"help": "Accepted without effect: there is no ProfilerService here"}
    )
    num_tflite_pools: int = field(default=0, metadata={"help": "Accepted without effect: there is no TFLite here"})
    num_tflite_interpreters_per_pool: int = field(
        default=0, metadata={"help": "Accepted without effect: there is no TFLite here"}
    )
    ssl_config_file: str = field(default="", metadata={"help": "Refused: there is no TLS here"})
    use_alts_credentials: bool = field(default=False, metadata={"help": "Refused: there is no TLS here"})
    platform_config_file: str = field(default="", metadata={"help": "Refused: there is one platform, tensorflow"})
    prefer_tflite_model: bool = field(default=False, metadata={"help": "Refused: there is no TFLite here"})
    thread_pool_factory_config_file: str = field(default="", metadata={"help": "Refused: there are no such pools here"})
    mixed_precision: str = field(
        default="", metadata={"help": "Refused: a model runs in the precision it was saved in"}
    )
    version: bool = field(default=False, metadata={"help": "Print the version and end"})
    host: str = field(default="127.0.0.1", metadata={"help": "Ours: address to listen on"})
    input_validation: bool = field(
        default=True, metadata={"help": "Ours: refuse values that the training schema does not allow"}
    )
    max_request_mib: int = field(default=64, metadata={"help": "Ours: maximum size of a request; 0: no limit"})
    max_batch_rows: int = field(default=100_000, metadata={"help": "Ours: maximum rows of a request; 0: no limit"})
    max_concurrency: int = field(default=1000, metadata={"help": "Ours: maximum concurrent requests; 0: no limit"})
    drain_seconds: float = field(default=10.0, metadata={"help": "Ours: seconds for running requests after SIGTERM"})
    default_label: str = field(
        default="", metadata={"help": "Ours: label of the newest version unless the config assigns it"}
    )
    sample_config_file: str = field(
        default="", metadata={"help": "Ours: JSON file with the share of requests to store, by model"}
    )
    allow_remote_reload: bool = field(
        default=False, metadata={"help": "Ours: accept HandleReloadConfigRequest from other machines"}
    )
    access_log: str = field(default="", metadata={"help": "Ours: file for one JSON line a request; -: stderr"})


# Ignoring these would serve something else than requested, or without encryption.
REFUSED = ("ssl_config_file", "use_alts_credentials", "platform_config_file", "prefer_tflite_model",
           "thread_pool_factory_config_file", "mixed_precision")  # fmt: skip
# Old name -> new name: unit files and scripts of older versions use the old ones.
RENAMED = {"input_guard": "input_validation"}
_FIELDS = {field.name: field for field in dataclasses.fields(Flags)}
_TRUE, _FALSE = ("true", "1", "t", "y", "yes"), ("false", "0", "f", "n", "no")


class BadFlag(ValueError):
    """A flag's value cannot be used."""


def parse(arguments: Sequence[str]) -> tuple[Flags, list[str]]:
    """Returns the flags, and the arguments that are no known flag: TF Serving warns about those and goes on.

    Raises:
        BadFlag: A value is not of its flag's type.
    """
    flags, unknown = Flags(), []
    for argument in arguments:
        name, equals, text = argument.lstrip("-").partition("=")
        name = RENAMED.get(name, name)
        flag = _FIELDS.get(name)
        if flag is None or not argument.startswith("-"):
            unknown.append(argument)
        else:
            setattr(flags, name, _value(name, flag.type, text if equals else None))
    return flags, unknown


def _value(name: str, kind: Any, text: str | None) -> Any:
    if kind is bool:
        lowered = "true" if text is None else text.lower()
        if lowered not in _TRUE + _FALSE:
            raise BadFlag(f"--{name}: expected true or false, found {text!r}")
        return lowered in _TRUE
    if text is None:
        raise BadFlag(f"--{name}: expected --{name}=VALUE")
    try:
        return kind(text)
    except ValueError:
        expected = "an integer" if kind is int else "a number"
        raise BadFlag(f"--{name}: expected {expected}, found {text!r}") from None


def usage() -> str:
    """Returns the help: one line a flag, with its default."""
    return "\n".join(
        f"\t--{flag.name}={str(flag.default).lower() if flag.type is bool else flag.default}\t{flag.metadata['help']}"
        for flag in _FIELDS.values()
    )
