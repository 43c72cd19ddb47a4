"""Runs a preprocessing function's analyzers over the training split; writes what `tft.TFTransformOutput` reads."""

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

    Returns the labels of TFT's operations that needed Beam; mostly none.

    Args:
        function: From raw features by name to transformed ones; pickled for several workers.
        schema: Schema of the examples.
        files: TFRecord files of tf.train.Examples, in order.
        rows: Number of rows in the files.
        folder: Receives the three folders.
        beam_args: Options of Beam, for several workers.
    """
    raw = dataset_metadata.DatasetMetadata(schema)
    metadata_io.write_metadata(raw, str(folder / TFTransformOutput.RAW_METADATA_DIR))
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        traced = tracing.trace(function, schema_utils.schema_as_feature_spec(schema).feature_spec, Path(scratch))
        unknown = analysis.unknown(traced)
        if unknown:
            on_beam.analyze(function, schema, files, folder, Path(scratch))
        else:
            _move_outputs(analysis.analyze(traced, files, rows, beam_args), traced.assets, folder)
    return unknown


def _move_outputs(saved_model: Path, assets: dict[str, str], folder: Path) -> None:
    """Moves a SavedModel, and the metadata in it, to the folders that TFT reads."""
    metadata = folder / TFTransformOutput.TRANSFORMED_METADATA_DIR
    shutil.move(saved_model / impl_helper.METADATA_DIR_NAME, metadata)
    if assets:
        (metadata / TFTransformOutput.ASSET_MAP).write_text(json.dumps(assets))
    shutil.move(saved_model, folder / TFTransformOutput.TRANSFORM_FN_DIR)
