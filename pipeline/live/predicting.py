"""Asks a published model about files, rows of files, or texts."""

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
from pipeline.live.answers import Answers, Columns
from pipeline.live.batches import Questions, batches, error_column, place
from pipeline.live.questions import Reader
from pipeline.live.rest_client import InputRefused, ServedModel

BATCH_BYTES = 4 * 1024 * 1024  # about; pictures are of any size each


@dataclass(frozen=True)
class Predictions:
    """The answers of one published model, in batches, as they are needed.

    Attributes:
        model: Who is asked; loaded, or reached, when it is asked for the first time.
        questions: What is asked.
        top_k: How many of the answers, best first, a person is shown.
        key: Which entries say what an answer is about: `file` and `row`, `text`, or both.
        classes: Names of the classes; empty where there are none.
    """

    model: "LoadedModel | ServedModel"
    questions: Iterator[Questions]
    top_k: int
    key: tuple[str, ...]
    classes: tuple[str, ...]

    @property
    def loads(self) -> str:
        """The version that is loaded in this process, which takes a while; empty where a server is asked."""
        return self.model.version if isinstance(self.model, LoadedModel) else ""

    def columns(self) -> Columns:
        """Returns the columns of a table of the answers; raises ServingError when the model does not answer."""
        return Columns(self.key, self.model.outputs, self.classes, self.top_k)

    def __iter__(self) -> Iterator[Answers]:
        """Yields the answers in the order of the questions; what cannot be used has an error in its place.

        Raises:
            ServingError: The server does not answer.
        """
        for batch in batches(self.questions, self.model.batch_rows, BATCH_BYTES):
            yield _answers(self.model, batch)


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
    """Returns the answers of a published version: of a server, where one runs on this home, else loaded here.

    Args:
        pipeline: Name of the pipeline, or its run file.
        files: What to ask about: pictures, texts, tables with the columns of the training data, folders of those.
        home: Folder with `serving/` below it.
        version: Published version; None for the one that is live.
        texts: Texts, or names such as a user's, to ask about.
        server: URL of a server's REST API; None for the one that runs on this home, if any.
        reading: Settings of `data` for these files in the place of the training data's: `format`, `delimiter`,
            `decimal`, `thousands`.
        out: Where the answers will be written: in a folder of files it is left out.
        note: Called with a sentence about what a person may not expect of these files.

    Raises:
        ConfigError: Nothing is published, or a file cannot be read or is not what the model takes.
    """
    name = pipelines.name_of(pipeline, home)
    folder = _version_folder(home.resolve() / "serving" / name, name, version)
    manifest = read_manifest(folder)
    query = _query(folder, manifest)
    questions = Reader.of(name, query, manifest, reading or {}, note).questions(files, texts, out)
    model: LoadedModel | ServedModel = LoadedModel(folder, query["signature"], query["input_key"])
    url = server or _running_here(home, name)
    if url is not None:
        label = "stable" if version is None and rollouts.read(folder.parent).stable is not None else ""
        url = url if "://" in url else f"http://{url}"
        model = ServedModel(url, name, query["signature"], query["input_key"], version, label)
    key = ("file", "row") * bool(files) + ("text",) * bool(texts)
    return Predictions(model, questions, query.get("top_k", 3), key, _classes(manifest))


class LoadedModel:
    """A published version that is asked in this process.

    Args:
        folder: The version.
        signature: Which of its signatures is asked.
        input_key: The signature's one input, a string.
    """

    batch_rows: ClassVar[int] = 4096

    def __init__(self, folder: Path, signature: str, input_key: str):
        self._folder, self._name, self._input_key = folder, signature, input_key

    @property
    def version(self) -> str:
        """Its number."""
        return self._folder.name

    @functools.cached_property
    def _model(self) -> Any:
        with redirected(Path(os.devnull)), without_signs(self._folder) as reached:  # what TensorFlow says
            import tensorflow as tf

            return tf.saved_model.load(str(reached))

    @property
    def outputs(self) -> dict[str, str]:
        """The signature's outputs: name -> dtype."""
        specs = self._model.signatures[self._name].structured_outputs
        return {name: spec.dtype.name for name, spec in sorted(specs.items())}

    def predict(self, contents: Sequence[bytes] | np.ndarray) -> tuple[dict[str, np.ndarray], int]:
        """Returns the outputs by name, each `(rows, ...)`, for contents `(rows,)`, and the version.

        Raises:
            InputRefused: It cannot use one of the contents.
        """
        signature = self._model.signatures[self._name]
        with redirected(Path(os.devnull)):
            import tensorflow as tf

            try:
                found = signature(**{self._input_key: tf.constant(contents)})
            except tf.errors.InvalidArgumentError as error:
                # Above the reason stands which node failed, below it the node once more.
                reason = error.message.partition("\n\t [[")[0].splitlines()[-1]
                raise InputRefused(reason[:200]) from None
        return {name: _array(value) for name, value in found.items()}, int(self._folder.name)


def _array(value: Any) -> np.ndarray:
    """Returns a tensor as an array; where each row has the same texts, as names of classes, only the first is copied.

    4,096 rows of 100 names are 400,000 objects of Python.
    """
    import tensorflow as tf

    first = value[:1]
    is_same = value.dtype == tf.string and value.shape.rank == 2 and bool(tf.reduce_all(tf.equal(value, first)))
    return np.broadcast_to(first.numpy(), value.shape) if is_same else value.numpy()


def _query(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """Returns which signature, input and column a version is asked by; raises ConfigError where it does not say."""
    # Versions of before there was more than one kind do not tell it.
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
    features = DatasetSpec.model_validate(manifest["spec"]).features.values() if "spec" in manifest else ()
    return next((feature.classes for feature in features if isinstance(feature, LabelFeature)), ())


def _running_here(home: Path, name: str) -> str | None:
    here = serving.running(home, name)
    return here.rest if here else None


@dataclass(frozen=True)
class _Answered:
    """What came of some contents, one after the other: the outputs by name and the version, or why they are refused."""

    rows: int
    outputs: Mapping[str, np.ndarray]
    version: int = 0
    error: str = ""


def _answers(model: LoadedModel | ServedModel, questions: Questions) -> Answers:
    """Returns the answers to a batch; what cannot be used, or the model refuses, has an error in its place."""
    asked = np.flatnonzero(questions.contents.is_valid())
    found = _ask(model, questions.contents.drop_null().to_numpy(zero_copy_only=False))
    versions = np.zeros(len(questions), np.int64)
    versions[asked] = np.repeat([one.version for one in found], [one.rows for one in found])
    begins = np.cumsum([0, *(one.rows for one in found)]).tolist()
    refused = {int(asked[begin]): one.error for begin, one in zip(begins, found, strict=False) if one.error}
    errors = questions.errors
    if refused:
        refused = {row: f"{place(questions.key(row))}: {error}" for row, error in refused.items()}
        errors = pc.coalesce(errors, error_column(refused, len(questions)))
    outputs = [one.outputs for one in found if not one.error]
    joined = {name: np.concatenate([one[name] for one in outputs]) for name in (outputs[0] if outputs else ())}
    return Answers(questions.keys, pa.array(versions, mask=versions == 0), errors, joined, questions.share)


def _ask(model: LoadedModel | ServedModel, contents: Sequence[bytes] | np.ndarray) -> list[_Answered]:
    """Returns what came of contents, in order.

    One that is refused costs itself: what was asked with it is asked again in halves.
    """
    if not len(contents):
        return []
    try:
        return [_Answered(len(contents), *model.predict(contents))]
    except InputRefused as error:
        if len(contents) == 1:
            reason = str(error).replace("row 0, ", "").rstrip(".")  # of the request, which is this one
            return [_Answered(1, {}, error=f"the model refuses it: {reason}")]
        half = len(contents) // 2
        return _ask(model, contents[:half]) + _ask(model, contents[half:])


def _version_folder(destination: Path, name: str, version: int | None) -> Path:
    """Returns the folder of a version, of the live one without one; raises ConfigError when it is not there."""
    found = versions(destination)
    if not found:
        home = destination.parents[1]
        raise ConfigError(
            f"Pipeline {name} has no published version in {destination}{serving.why_unpublished(home, name)}."
        )
    if version is not None and version not in found:
        raise ConfigError(f"Pipeline {name} has no version {version}; published are {', '.join(map(str, found))}.")
    return destination / str(version or rollouts.live_version(destination))
