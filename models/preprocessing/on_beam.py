"""TFT's analyzers on Beam, for those that `analysis` cannot run."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import apache_beam as beam
import pyarrow as pa
import tensorflow_transform.beam as tft_beam
from tensorflow_metadata.proto.v0 import schema_pb2
from tfx_bsl.coders.example_coder import ExamplesToRecordBatchDecoder
from tfx_bsl.tfxio.tf_example_record import TFExampleBeamRecord

from data.columnar.file_batches import FileBatches
from models.preprocessing.batches import BATCH_ROWS
from models.preprocessing.tracing import PreprocessingFn

# In this process, whatever `beam.workers` says: results of several workers are merged in the order of their end.
OPTIONS = ["--runner=FnApiRunner", "--direct_running_mode=in_memory"]


def analyze(
    function: PreprocessingFn, schema: schema_pb2.Schema, files: Sequence[str], folder: Path, scratch: Path
) -> None:
    """Writes `transform_fn` and `transformed_metadata` below a folder.

    Args:
        function: The preprocessing function.
        schema: Schema of the examples.
        files: TFRecord files of tf.train.Examples.
        folder: Receives both folders.
        scratch: Folder for temporary files.
    """
    source = TFExampleBeamRecord(physical_format="inmem", telemetry_descriptors=["headrace"], schema=schema)
    with beam.Pipeline(argv=OPTIONS) as pipeline, tft_beam.Context(temp_dir=str(scratch)):
        data = (
            pipeline
            | beam.Create(list(files), reshuffle=False)
            | beam.FlatMap(_batches, FileBatches(files, BATCH_ROWS), schema.SerializeToString())
        )
        transform_fn = (data, source.TensorAdapterConfig()) | tft_beam.AnalyzeDataset(function)
        transform_fn | tft_beam.WriteTransformFn(str(folder))


def _batches(file: str, batches_of: FileBatches, schema: bytes) -> Iterator[pa.RecordBatch]:
    decoder = ExamplesToRecordBatchDecoder(schema)
    for serialized in batches_of(file):
        yield decoder.DecodeBatch(serialized.numpy().tolist())
