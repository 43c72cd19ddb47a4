"""The text-proto files that TF Serving reads: model config, batching parameters, monitoring."""

from pathlib import Path
from typing import TypeVar

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf.message import Message
from tensorflow_serving.config import model_server_config_pb2

Kind = TypeVar("Kind", bound=Message)
ModelServerConfig = model_server_config_pb2.ModelServerConfig

_SCALARS = {
    "bool": descriptor_pb2.FieldDescriptorProto.TYPE_BOOL,
    "int64": descriptor_pb2.FieldDescriptorProto.TYPE_INT64,
    "string": descriptor_pb2.FieldDescriptorProto.TYPE_STRING,
}
# tensorflow-serving-api brings no stubs for these two. Field -> number and type; the others are added by hand.
# Source: session_bundle_config.proto and monitoring_config.proto of TensorFlow Serving.
_WRAPPED = {
    "int64": "google.protobuf.Int64Value",
    "bool": "google.protobuf.BoolValue",
    "string": "google.protobuf.StringValue",
}
_BATCHING = {
    "max_batch_size": (1, "int64"),
    "batch_timeout_micros": (2, "int64"),
    "num_batch_threads": (3, "int64"),
    "thread_pool_name": (4, "string"),
    "max_enqueued_batches": (5, "int64"),
    "pad_variable_length_inputs": (7, "plain bool"),
    "enable_large_batch_splitting": (8, "bool"),
    "max_execution_batch_size": (9, "int64"),
}


def _messages() -> tuple[type[Message], type[Message]]:
    """Returns the message classes BatchingParameters and MonitoringConfig, built from the field numbers above."""
    from google.protobuf import wrappers_pb2

    field = descriptor_pb2.FieldDescriptorProto
    pool = descriptor_pool.DescriptorPool()
    wrappers = descriptor_pb2.FileDescriptorProto()
    wrappers_pb2.DESCRIPTOR.CopyToProto(wrappers)
    pool.Add(wrappers)
    file = descriptor_pb2.FileDescriptorProto(
        name="headrace/serving_config.proto",
        package="tensorflow.serving",
        dependency=[wrappers.name],
        syntax="proto3",
    )
    batching = file.message_type.add(name="BatchingParameters")
    for name, (number, kind) in _BATCHING.items():
        batching_field = batching.field.add(name=name, number=number, label=field.LABEL_OPTIONAL)
        if kind.startswith("plain "):
            batching_field.type = _SCALARS[kind.removeprefix("plain ")]
        else:
            batching_field.type, batching_field.type_name = field.TYPE_MESSAGE, f".{_WRAPPED[kind]}"
    batching.field.add(name="allowed_batch_sizes", number=6, label=field.LABEL_REPEATED, type=field.TYPE_INT64)
    prometheus = file.message_type.add(name="PrometheusConfig")
    prometheus.field.add(name="enable", number=1, label=field.LABEL_OPTIONAL, type=field.TYPE_BOOL)
    prometheus.field.add(name="path", number=2, label=field.LABEL_OPTIONAL, type=field.TYPE_STRING)
    monitoring = file.message_type.add(name="MonitoringConfig")
    monitoring.field.add(
        name="prometheus_config",
        number=1,
        label=field.LABEL_OPTIONAL,
        type=field.TYPE_MESSAGE,
        type_name=".tensorflow.serving.PrometheusConfig",
    )
    pool.Add(file)
    classes = [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"tensorflow.serving.{name}"))
        for name in ("BatchingParameters", "MonitoringConfig")
    ]
    return classes[0], classes[1]


BatchingParameters, MonitoringConfig = _messages()


def read(path: str | Path, kind: type[Kind]) -> Kind:
    """Returns the message in a text-proto file.

    Raises:
        ValueError: The file cannot be read or parsed; the message is protobuf's.
    """
    try:
        return text_format.Parse(Path(path).read_text(encoding="utf-8"), kind())
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: {getattr(error, 'strerror', None) or error}") from None
    except text_format.ParseError as error:
        raise ValueError(f"Error parsing text-format {kind.DESCRIPTOR.full_name}: {error}") from None
