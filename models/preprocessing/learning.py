"""Learns a preprocessing from the training split and writes it as TFX's Transform does, for `tft.TFTransformOutput`."""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tensorflow_metadata.proto.v0 import schema_pb2
from tensorflow_transform import TFTransformOutput, impl_helper
from tensorflow_transform.tf_metadata import dataset_metadata, metadata_io, schema_utils

from models.preprocessing import analysis, on_beam, tracing
from models.preprocessing.tracing import PreprocessingFn


def learn(
    function: PreprocessingFn,
    schema: schema_pb2.Schema,
    files: Sequence[str],
    rows: int,
    folder: Path,
    beam_args: Sequence[str] = (),
) -> list[str]:
    """Writes `transform_fn`, `transformed_metadata` and `metadata`; the same files give the same tensors and assets.

    Returns the labels of TFT's operations for which Beam was needed, none mostly.

    Args:
        function: Raw features by name to transformed ones; pickled for several workers.
        schema: Of the examples.
        files: TFRecord files of tf.train.Examples, in order.
        rows: How many they hold.
        folder: Receives the three folders.
        beam_args: Beam's options, where several workers go through the files.
    """
    raw = dataset_metadata.DatasetMetadata(schema)
    metadata_io.write_metadata(raw, str(folder / TFTransformOutput.RAW_METADATA_DIR))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        traced = tracing.trace(function, schema_utils.schema_as_feature_spec(schema).feature_spec, Path(scratch))
        unknown = analysis.unknown(traced)
        if unknown:
            on_beam.analyze(function, schema, files, folder, Path(scratch))
        else:
            _publish(analysis.analyze(traced, files, rows, beam_args), traced.assets, folder)
    return unknown


def _publish(saved_model: Path, assets: dict[str, str], folder: Path) -> None:
    """Moves a SavedModel and the metadata in it to where TFT's readers look for them."""
    metadata = folder / TFTransformOutput.TRANSFORMED_METADATA_DIR
    shutil.move(saved_model / impl_helper.METADATA_DIR_NAME, metadata)
    if assets:
        (metadata / TFTransformOutput.ASSET_MAP).write_text(json.dumps(assets))
    shutil.move(saved_model, folder / TFTransformOutput.TRANSFORM_FN_DIR)
