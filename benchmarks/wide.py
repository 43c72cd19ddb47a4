"""A wide table, numbers and categories: our statistics, data gate and Transform, and TFDV and TFT called directly.

Both have the preprocessing of the task on tables, which takes one analyzer for all numbers and one for all categories.

`wide.py ROWS COLUMNS` prints JSON.
"""

import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import apache_beam as beam
import numpy as np
import pyarrow as pa
import tensorflow as tf
import tensorflow_data_validation as tfdv
import tensorflow_transform.beam as tft_beam
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx.dsl.components.common.importer import Importer
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline
from tfx.types.standard_artifacts import Examples
from tfx_bsl.coders.example_coder import RecordBatchToExamplesEncoder
from tfx_bsl.public import tfxio

from components.artifact_files import SUMMARY
from components.data_gate import DataGate
from components.schema import CuratedSchema, schema_text
from components.statistics import OPTIONS, SplitStatistics
from components.transform import Transform
from data.config import DriftCheck
from data.spec import SPLITS, CategoryFeature, DatasetSpec, LabelFeature, NumberFeature
from models import registry
from pipeline.running.beam_runner import run_pipeline
from pipeline.running.graph import BEAM_ARGS
from pipeline.running.home_paths import HomePaths

BATCH = 10_000
TASK = "tabular_classification"


def spec_of(columns: int) -> DatasetSpec:
    features = {f"n{i}": NumberFeature() for i in range(columns // 2)}
    features |= {f"t{i}": CategoryFeature() for i in range(columns // 2)}
    features["label"] = LabelFeature(classes=("no", "yes"))
    return DatasetSpec(name="wide", title="made up", licence="none", features=features)


def write(folder: Path, rows: int, spec: DatasetSpec) -> None:
    """Writes `rows` training rows, and 100 of each other split."""
    generator = np.random.default_rng(0)
    folder.mkdir(parents=True)
    SUMMARY.path(folder).write_text(json.dumps({"train": {"rows": rows}}))
    texts = np.array([f"value {i}" for i in range(500)])
    for split in SPLITS:
        (folder / f"Split-{split}").mkdir()
        with tf.io.TFRecordWriter(str(folder / f"Split-{split}" / "data-00000.tfrecord")) as writer:
            for begin in range(0, rows if split == "train" else 100, BATCH):
                count = min(BATCH, (rows if split == "train" else 100) - begin)
                offsets = np.arange(count + 1, dtype=np.int32)
                arrays = []
                for feature in spec.features.values():
                    if isinstance(feature, NumberFeature):
                        values = generator.normal(size=count).astype(np.float32)
                    elif isinstance(feature, LabelFeature):
                        values = generator.integers(0, 2, count)
                    else:
                        values = pa.array(generator.choice(texts, count).tolist(), pa.binary())
                    arrays.append(pa.ListArray.from_arrays(offsets, values))
                for serialized in RecordBatchToExamplesEncoder().encode(
                    pa.RecordBatch.from_arrays(arrays, list(spec.features))
                ):
                    writer.write(serialized)


def directly(examples: Path, spec: DatasetSpec, scratch: Path) -> None:
    schema = text_format.Parse(schema_text(spec), schema_pb2.Schema())
    options = PipelineOptions(BEAM_ARGS)
    for split in SPLITS:
        statistics = tfdv.generate_statistics_from_tfrecord(
            str(examples / f"Split-{split}" / "*"), stats_options=OPTIONS, pipeline_options=options
        )
        assert not tfdv.validate_statistics(statistics, schema).anomaly_info
    source = tfxio.TFExampleRecord(str(examples / "Split-train" / "*"), schema=schema, telemetry_descriptors=["bench"])
    task = registry.task(TASK)
    with beam.Pipeline(options=options) as pipeline, tft_beam.Context(temp_dir=str(scratch / "tmp")):
        data = pipeline | source.BeamSource()
        function = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(
            lambda inputs: task.preprocessing_fn(inputs, task.config(), spec)
        )
        _ = function | tft_beam.WriteTransformFn(str(scratch / "transform"))


def ours(examples: Path, spec: DatasetSpec, scratch: Path) -> None:
    read = Importer(
        source_uri=str(examples), artifact_type=Examples, properties={"split_names": json.dumps(list(SPLITS))}
    ).with_id("examples")
    rows = read.outputs["result"]
    facts = spec.model_dump_json()
    statistics = SplitStatistics(examples=rows, spec=facts, beam_args="[]", fingerprint="").with_id("statistics")
    schema = CuratedSchema(text=schema_text(spec), fingerprint="").with_id("schema")
    gate = DataGate(
        statistics=statistics.outputs["statistics"],
        schema=schema.outputs["schema"],
        spec=facts,
        drift=DriftCheck().model_dump_json(),
        accepted=str(scratch / "accepted.npz"),
        profiles=str(scratch / "profiles"),
        destination=str(scratch / "serving"),
        run="bench",
    ).with_id("data_gate")
    transform = Transform(
        examples=rows,
        schema=schema.outputs["schema"],
        task=TASK,
        config=registry.config_class(TASK)().model_dump_json(),
        spec=facts,
        beam_args="[]",
        fingerprint="",
    ).with_id("transform")
    transform.add_upstream_node(gate)
    run_pipeline(
        Pipeline(
            pipeline_name="wide",
            pipeline_root="artifacts",
            components=[read, statistics, schema, gate, transform],
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(scratch / "metadata.db")),
            beam_pipeline_args=BEAM_ARGS,
        ),
        "bench",
        SimpleNamespace(observe=lambda stage, launch: launch()),
        HomePaths(scratch, scratch, scratch, BEAM_ARGS),
    )


def main() -> None:
    rows, columns = map(int, sys.argv[1:])
    spec, seconds = spec_of(columns), {}
    with tempfile.TemporaryDirectory() as folder:
        examples = Path(folder) / "examples"
        write(examples, rows, spec)
        for name, function in (("directly", directly), ("ours", ours)):
            scratch = Path(folder) / name
            scratch.mkdir()
            started = time.perf_counter()
            function(examples, spec, scratch)
            seconds[name] = time.perf_counter() - started
    print(json.dumps(seconds))


if __name__ == "__main__":
    main()
