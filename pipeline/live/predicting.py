"""Predicts files, rows of files, or texts with a published model."""

import functools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.errors import ConfigError
from data.files.links import without_signs
from data.spec import DatasetSpec, LabelFeature
from models.serving.protocol import input_rules
from models.serving.rollout import rollouts
from models.serving.rollout.versions import read_manifest, versions
from pipeline.core.screen import redirected
from pipeline.history import pipelines
from pipeline.live import serving
from pipeline.live.batches import ExampleBatch, error_column, location, rebatch
from pipeline.live.predictions import Columns, PredictionBatch
from pipeline.live.reader import Reader
from pipeline.live.rest_client import InputRefused, ServedModel

BATCH_BYTES = 4 * 1024 * 1024  # approximate, as each picture may be of any size


@dataclass(frozen=True)
class Predictions:
    """The predictions of one published model, an iterable of batches that are computed as they are read.

    Attributes:
        model: The model; it is loaded, or its server is called, at the first prediction.
        examples: What is predicted.
        top_k: Number of classes or items, best first, that a person is shown.
        key: Entries of the keys that name an example: `file` and `row`, with `id` where the model's data has one,
            `text`, or all.
        classes: Names of the classes; empty where there are none.
    """

    model: "LoadedModel | ServedModel"
    examples: Iterator[ExampleBatch]
    top_k: int
    key: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def loads(self) -> str:
        """The version that is loaded in this process, which takes some seconds; empty where a server is used."""
        return self.model.version if isinstance(self.model, LoadedModel) else ""

    def columns(self) -> Columns:
        """Returns the columns of a table of the predictions; raises ServingError when the server does not answer."""
        return Columns(self.key, self.model.outputs, self.classes, self.top_k)

    def __iter__(self) -> Iterator[PredictionBatch]:
        """Yields the predictions in the order of the examples; an example that cannot be used has an error.

        Raises:
            ServingError: The server does not answer.
        """
        for batch in rebatch(self.examples, self.model.batch_rows, BATCH_BYTES):
            yield _predict_batch(self.model, batch)


def predict(
    pipeline: str,
    files: Sequence[Path],
    home: Path,
    version: int | None = None,
    texts: Sequence[str] = (),
    server: str | None = None,
    *,
    reading: Mapping[str, Any] | None = None,
    out: Path | None = None,
    note: Callable[[str], None] = print,
) -> Predictions:
    """Returns the predictions of a published version, by the server that runs on this home, else in this process.

    Args:
        pipeline: Name of the pipeline, or its run file.
        files: What to predict: pictures, texts, tables with the columns of the training data, folders of those.
        home: Folder with `serving/` below it.
        version: Published version; None for the live version.
        texts: Texts, or names such as a user's, to predict.
        server: URL of a server's REST API; None for the server that runs on this home, if any.
        reading: Settings of `data` that replace those of the training data for these files: `format`, `delimiter`,
            `decimal`, `thousands`.
        out: The file to which the predictions will be written; it is skipped in a folder of files.
        note: Called with a sentence about what a person may not expect of these files.

    Raises:
        ConfigError: Nothing is published, or a file cannot be read or is not what the model takes.
    """
    name = pipelines.name_of(pipeline, home)
    folder = _version_folder(home.resolve() / "serving" / name, name, version)
    manifest = read_manifest(folder)
    query = _query(folder, manifest)
    examples = Reader.of(name, query, manifest, reading or {}, note).read(files, texts, out)
    model: LoadedModel | ServedModel = LoadedModel(folder, query["signature"], query["input_key"])
    url = server or _running_url(home, name)
    if url is not None:
        label = "stable" if version is None and rollouts.read(folder.parent).stable is not None else ""
        url = url if "://" in url else f"http://{url}"
        model = ServedModel(url, name, query["signature"], query["input_key"], version, label)
    has_ids = bool(manifest.get("spec", {}).get("id_column"))
    key = ("file", "row") * bool(files) + ("id",) * bool(files and has_ids) + ("text",) * bool(texts)
    return Predictions(model, examples, query.get("top_k", 3), key, _classes(manifest))


class LoadedModel:
    """A published version that predicts in this process.

    Args:
        folder: Folder of the version.
        signature: Name of the signature.
        input_key: Name of the signature's one input, a string tensor `(rows,)`.
    """

    batch_rows: ClassVar[int] = 4096

    def __init__(self, folder: Path, signature: str, input_key: str):
        self._folder, self._name, self._input_key = folder, signature, input_key

    @property
    def version(self) -> str:
        """Number of the version."""
        return self._folder.name

    @functools.cached_property
    def _model(self) -> Any:
        with redirected(Path(os.devnull)), without_signs(self._folder) as safe_path:  # TensorFlow logs while it loads
            import tensorflow as tf

            return tf.saved_model.load(str(safe_path))

    @property
    def outputs(self) -> dict[str, str]:
        """The signature's outputs: name -> dtype."""
        specs = self._model.signatures[self._name].structured_outputs
        return {name: spec.dtype.name for name, spec in sorted(specs.items())}

    def predict(self, contents: Sequence[bytes] | np.ndarray) -> tuple[dict[str, np.ndarray], int]:
        """Returns the outputs by name, each `(rows, ...)`, for contents `(rows,)`, and the version.

        Raises:
            InputRefused: The model cannot use one of the contents.
        """
        signature = self._model.signatures[self._name]
        with redirected(Path(os.devnull)):
            import tensorflow as tf

            try:
                outputs = signature(**{self._input_key: tf.constant(contents)})
            except tf.errors.InvalidArgumentError as error:
                # The message names the failed node before and after the reason.
                reason = error.message.partition("\n\t [[")[0].splitlines()[-1]
                raise InputRefused(reason[:200]) from None
        return {name: _array(value) for name, value in outputs.items()}, int(self._folder.name)


def _array(value: Any) -> np.ndarray:
    """Returns a tensor as an array; where all rows hold the same strings, as with class names, only one row is copied.

    Otherwise 4,096 rows of 100 names would become 400,000 Python objects.
    """
    import tensorflow as tf

    first = value[:1]
    is_same = value.dtype == tf.string and value.shape.rank == 2 and bool(tf.reduce_all(tf.equal(value, first)))
    return np.broadcast_to(first.numpy(), value.shape) if is_same else value.numpy()


def _query(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns the signature, input and column for predictions; raises ConfigError where the manifest has none."""
    # Manifests written when there was only one kind do not name it.
    query = {"kind": "image", **(manifest["file_query"] or {})}
    if "signature" not in query:
        raise ConfigError(
            f"Version {folder.name} of {folder.parent.name} does not say how it is asked; publish it anew."
        )
    if (folder / input_rules.FILE).is_file():
        signatures = json.loads((folder / input_rules.FILE).read_text())["signatures"]
        query["column"] = signatures.get(query["signature"], {}).get(query["input_key"])
    return query


def _classes(manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """Returns the names of the classes; none where the model predicts no classes or the manifest has no spec."""
    features = DatasetSpec.model_validate(manifest["spec"]).features.values() if "spec" in manifest else ()
    return next((feature.classes for feature in features if isinstance(feature, LabelFeature)), ())


def _running_url(home: Path, name: str) -> str | None:
    """Returns the URL of the REST API of the server that runs on this home; None where there is none."""
    server = serving.find_server(home, name)
    return server.rest if server else None


@dataclass(frozen=True)
class _Result:
    """The result of consecutive contents: outputs by name and the version, or the error why the model refuses them."""

    rows: int
    outputs: Mapping[str, np.ndarray]
    version: int = 0
    error: str = ""


def _predict_batch(model: LoadedModel | ServedModel, examples: ExampleBatch) -> PredictionBatch:
    """Returns the predictions for a batch; an example that is unusable, or that the model refuses, has an error."""
    usable_rows = np.flatnonzero(examples.contents.is_valid())
    results = _predict_or_split(model, examples.contents.drop_null().to_numpy(zero_copy_only=False))
    versions = np.zeros(len(examples), np.int64)
    versions[usable_rows] = np.repeat([result.version for result in results], [result.rows for result in results])
    begins = np.cumsum([0, *(result.rows for result in results)]).tolist()
    refused = {
        int(usable_rows[begin]): result.error for begin, result in zip(begins, results, strict=False) if result.error
    }
    errors = examples.errors
    if refused:
        refused = {row: f"{location(examples.key(row))}: {error}" for row, error in refused.items()}
        errors = pc.coalesce(errors, error_column(refused, len(examples)))
    outputs = [result.outputs for result in results if not result.error]
    joined = {name: np.concatenate([part[name] for part in outputs]) for name in (outputs[0] if outputs else ())}
    return PredictionBatch(examples.keys, pa.array(versions, mask=versions == 0), errors, joined, examples.share)


def _predict_or_split(model: LoadedModel | ServedModel, contents: Sequence[bytes] | np.ndarray) -> list[_Result]:
    """Returns the results of contents `(rows,)`, in order.

    Where the model refuses one of the contents, halves are predicted apart, until only that one has an error.
    """
    if not len(contents):
        return []
    try:
        return [_Result(len(contents), *model.predict(contents))]
    except InputRefused as error:
        if len(contents) == 1:
            reason = str(error).replace("row 0, ", "").rstrip(".")  # the request has one row only
            return [_Result(1, {}, error=f"the model refuses it: {reason}")]
        half = len(contents) // 2
        return _predict_or_split(model, contents[:half]) + _predict_or_split(model, contents[half:])


def _version_folder(destination: Path, name: str, version: int | None) -> Path:
    """Returns the folder of a version, of the live one where it is None; raises ConfigError when there is none."""
    published = versions(destination)
    if not published:
        home = destination.parents[1]
        raise ConfigError(
            f"Pipeline {name} has no published version in {destination}{serving.why_unpublished(home, name)}."
        )
    if version is not None and version not in published:
        raise ConfigError(f"Pipeline {name} has no version {version}; published are {', '.join(map(str, published))}.")
    return destination / str(version or rollouts.live_version(destination))
