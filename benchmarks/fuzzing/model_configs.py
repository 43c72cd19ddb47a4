"""Files and flags of the model server: an input is a byte for the kind, and the text."""

import tempfile
from pathlib import Path

from benchmarks.fuzzing.findings import Finding

MODULES = (
    "google.protobuf.text_format",
    "models.serving.protocol.config_files",
    "models.serving.protocol.model_configs",
    "models.serving.protocol.flags",
    "models.serving.server.options",
    "models.serving.server.model_state",
)
MODELS, BATCHING, MONITORING, SESSION, FLAGS, SAMPLING = range(6)
WORDS = (
    "model_config_list", "config", "name:", "base_path:", "model_platform:", "model_version_policy", "specific",
    "latest", "all", "versions:", "version_labels", "key:", "value:", "logging_config", "custom_model_config",
    "max_batch_size", "allowed_batch_sizes:", "batch_timeout_micros", "num_batch_threads", "max_enqueued_batches",
    "prometheus_config", "enable: true", "path:", "--port=", "--enable_batching", "--max_request_mib=", "true",
    "[type.googleapis.com/tensorflow.serving.ModelConfig]", "9223372036854775807", "-1", "0x7f", "1e400", "nan",
    "inf", "'\\xff'", "\\u0000", "# ", "<", ">", "{{{{", "[[[[",
)  # fmt: skip
TEXTS = [
    (MODELS, 'model_config_list { config { name: "a" base_path: "/a" model_platform: "tensorflow" '
     "model_version_policy { specific { versions: 1 versions: 3 } } "
     'version_labels { key: "stable" value: 1 } } config { name: "b" base_path: "gs://b" } }'),
    (MODELS, 'model_config_list: { config: [{ name: "a", base_path: "/a", model_version_policy: { latest: {} } }] }'),
    (BATCHING, "max_batch_size { value: 8 } allowed_batch_sizes: 4 allowed_batch_sizes: 8 "
     "batch_timeout_micros { value: 10 } num_batch_threads { value: 2 } pad_variable_length_inputs: true"),
    (MONITORING, 'prometheus_config { enable: true path: "/a" }'),
    (SESSION, "intra_op_parallelism_threads: 2 gpu_options { allow_growth: true } "
     "device_count { key: 'CPU' value: 1 }"),
    (FLAGS, "--port=8500\n--rest_api_port=8501\n--model_base_path=/a\n--enable_batching\n--drain_seconds=1e1\n-x=3"),
    (SAMPLING, '{"tiny": {"rate": 0.5, "folder": "/a", "keep_days": 3}}'),
]  # fmt: skip


def seeds() -> list[bytes]:
    """Returns valid texts of each kind."""
    return [bytes([kind]) + text.encode() for kind, text in TEXTS]


class Target:
    """Reads files as the server does at its start; only its documented errors may be raised."""

    def __init__(self):
        self._file = Path(tempfile.mkdtemp(dir="/dev/shm" if Path("/dev/shm").is_dir() else None)) / "file"

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, content: bytes) -> None:
        """Reads one file, or flags."""
        from models.serving.protocol.flags import BadFlag
        from models.serving.protocol.statuses import ServingStatus
        from models.serving.server.options import StartError

        kind, text = (content[0] % 6 if content else 0), content[1:]
        try:
            if kind == FLAGS:
                self._flags(text.decode(errors="replace").split("\n"))
            else:
                self._file.write_bytes(text)
                self._read(kind)
        except (BadFlag, ServingStatus, StartError) as error:
            str(error).encode()

    def _flags(self, arguments: list[str]) -> None:
        from models.serving.protocol import flags
        from models.serving.server import options

        parsed, unknown = flags.parse(arguments)
        if len(unknown) > len(arguments):
            raise Finding("more unknown flags than there are")
        options.check(parsed)

    def _read(self, kind: int) -> None:
        """Reads the file as the flag of its kind does."""
        from models.serving.protocol.flags import Flags
        from models.serving.server import options
        from models.serving.server.options import StartError

        path = str(self._file)
        readers = {
            MODELS: lambda: _models(options.model_config(Flags(model_config_file=path))),
            BATCHING: lambda: options.batching_parameters(Flags(enable_batching=True, batching_parameters_file=path)),
            MONITORING: lambda: options.metrics_path(Flags(monitoring_config_file=path)),
            SESSION: lambda: options.session_options(Flags(tensorflow_session_config_file=path)),
            SAMPLING: lambda: [
                sampling["rate"] > 0 and Path(sampling["folder"])
                for sampling in options.sampling(Flags(sample_config_file=path)).values()
            ],
        }
        try:
            readers[kind]()
        except ValueError as error:
            # Only the documented ValueError, of a file that cannot be used, is expected.
            if not str(error).startswith((path, "Error parsing text-format")):
                raise
            raise StartError(str(error)) from None


def _models(config) -> None:
    """Selects the versions of each model, as if versions 1 to 3 existed."""
    from google.protobuf import text_format

    from models.serving.protocol import model_configs

    if text_format.Parse(text_format.MessageToString(config), type(config)()) != config:
        raise Finding("a model config does not survive a round trip")
    existing = {number: Path(str(number)) for number in (1, 2, 3)}
    for model_config in model_configs.models_of(config).values():
        if not set(model_configs.wanted_versions(model_config, existing)) <= set(existing):
            raise Finding("a version is wanted that does not exist")
        model_configs.missing_versions(model_config, existing)
