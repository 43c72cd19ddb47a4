"""Learns a task's preprocessing from the training split: the graph that training and the served model run."""

import json
from pathlib import Path

from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Schema, TransformGraph

from components.artifact_files import SCHEMA
from components.example_gen import read_summary, split_files
from data.spec import DatasetSpec
from models import progress, registry
from models.preprocessing.learning import learn


@component
def Transform(
    examples: InputArtifact[Examples],
    schema: InputArtifact[Schema],
    transform_graph: OutputArtifact[TransformGraph],
    task: Parameter[str],
    config: Parameter[str],
    spec: Parameter[str],
    beam_args: Parameter[str],
    fingerprint: Parameter[str],
):
    """Writes what TFX's Transform writes, but for the transformed examples: training runs the transform graph itself.

    `beam_args` are Beam's options as JSON.
    """
    provider, dataset_spec = registry.task(task), DatasetSpec.model_validate_json(spec)
    # A local: Beam's workers get the function pickled, and must not get `provider` with it.
    preprocessing_fn, settings = provider.preprocessing_fn, provider.config.model_validate_json(config)
    analyses_on_beam = learn(
        lambda raw: preprocessing_fn(raw, settings, dataset_spec),
        text_format.Parse(SCHEMA.path(schema.uri).read_text(), schema_pb2.Schema()),
        split_files(examples.uri, "train"),
        read_summary(examples.uri)["train"]["rows"],
        Path(transform_graph.uri),
        json.loads(beam_args),
    )
    if analyses_on_beam:
        progress.report(summary=f"on Beam, for {analyses_on_beam[0]}")
