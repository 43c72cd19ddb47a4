"""Asks a published model about files, rows of files, or texts."""

import functools
import itertools
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import ConfigError
from data.files.links import without_signs
from data.spec import DatasetSpec, LabelFeature
from models.serving.protocol import input_rules
from models.serving.rollout import rollouts
from models.serving.rollout.versions import read_manifest, versions
from pipeline.core.screen import redirected
from pipeline.history import pipelines
from pipeline.live import serving
from pipeline.live.answers import Answer, Columns
from pipeline.live.questions import Question, Reader, place
from pipeline.live.rest_client import InputRefused, ServedModel

BATCH_ROWS = 1024
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
    questions: Iterator[Question]
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

    def __iter__(self) -> Iterator[list[Answer]]:
        """Yields the answers in the order of the questions; what cannot be used has an error in its place.

        Raises:
            ServingError: The server does not answer.
        """
        for batch in _batches(self.questions):
            outputs = iter(_ask(self.model, [question.content for question in batch if not question.error]))
            yield [_answer(question, outputs) for question in batch]


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

    def predict(self, contents: Sequence[bytes]) -> tuple[list[dict[str, Any]], int]:
        """Returns the outputs by name for each content, and the version; raises InputRefused."""
        signature = self._model.signatures[self._name]
        with redirected(Path(os.devnull)):
            import tensorflow as tf

            try:
                found = signature(**{self._input_key: tf.constant(contents)})
            except tf.errors.InvalidArgumentError as error:
                # Above the reason stands which node failed, below it the node once more.
                reason = error.message.partition("\n\t [[")[0].splitlines()[-1]
                raise InputRefused(reason[:200]) from None
        arrays = {name: value.numpy() for name, value in found.items()}
        return [{name: array[row] for name, array in arrays.items()} for row in range(len(contents))], int(
            self._folder.name
        )


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


def _batches(questions: Iterator[Question]) -> Iterator[list[Question]]:
    """Yields the questions, as many at a time as a model is asked at once."""
    for first in questions:
        batch, size = [first], len(first.content)
        for question in itertools.islice(questions, BATCH_ROWS - 1):
            batch.append(question)
            size += len(question.content)
            if size >= BATCH_BYTES:
                break
        yield batch


def _ask(model: LoadedModel | ServedModel, contents: Sequence[bytes]) -> list[tuple[dict[str, Any], int | None, str]]:
    """Returns outputs, version and, where the model refuses it, why, of each content.

    One that is refused costs itself: what was asked with it is asked again in halves.
    """
    if not contents:
        return []
    try:
        outputs, version = model.predict(contents)
        return [(one, version, "") for one in outputs]
    except InputRefused as error:
        if len(contents) == 1:
            reason = str(error).replace("row 0, ", "").rstrip(".")  # of the request, which is this one
            return [({}, None, f"the model refuses it: {reason}")]
        half = len(contents) // 2
        return _ask(model, contents[:half]) + _ask(model, contents[half:])


def _answer(question: Question, outputs: Iterator[tuple[dict[str, Any], int | None, str]]) -> Answer:
    if question.error:
        return Answer(question.key, None, {}, question.error)
    found, version, error = next(outputs)
    return Answer(question.key, version, found, f"{place(question.key)}: {error}" if error else "")


def _version_folder(destination: Path, name: str, version: int | None) -> Path:
    """Returns the folder of a version; raises ConfigError when it is not there."""
    found = versions(destination)
    if not found:
        home = destination.parents[1]
        raise ConfigError(
            f"Pipeline {name} has no published version in {destination}{serving.why_unpublished(home, name)}."
        )
    if version is not None and version not in found:
        raise ConfigError(f"Pipeline {name} has no version {version}; published are {', '.join(map(str, found))}.")
    return destination / str(version or rollouts.read(destination).stable or found[-1])
