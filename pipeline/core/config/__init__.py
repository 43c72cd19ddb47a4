"""The schema of run files, with `--set` overrides. Loads no TensorFlow, TFX or Beam."""

from pipeline.core.config.messages import unknown
from pipeline.core.config.named import NamedConfig, check_name, find, find_data, load, names
from pipeline.core.config.run_file import parse
from pipeline.core.config.settings import Email, Notify, json_schema, schema_class

__all__ = [
    "Email",
    "NamedConfig",
    "Notify",
    "check_name",
    "find",
    "find_data",
    "json_schema",
    "load",
    "names",
    "parse",
    "schema_class",
    "unknown",
]
