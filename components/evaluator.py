"""Evaluates an exported model on the test split with TFMA."""

import json
import math
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import apache_beam as beam
import numpy as np
import tensorflow_model_analysis as tfma
from apache_beam.options.pipeline_options import PipelineOptions
from google.protobuf import text_format
from tensorflow_model_analysis.proto import config_pb2
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.types.standard_artifacts import Examples, Model, ModelEvaluation

from components import predictions
from components.artifact_files import METRICS, OVERALL, saved_model_folder
from components.example_gen import read_summary
from data.spec import DatasetSpec, LabelFeature
from data.texts import to_json
from models import progress, registry
from models.evaluation.metrics import confusion_matrix
from models.serving.deployment import standby

ASIDE = "features_aside"  # in TFMA's extracts


@component
def TestEvaluator(
    examples: InputArtifact[Examples],
    model: InputArtifact[Model],
    evaluation: OutputArtifact[ModelEvaluation],
    eval_config: Parameter[str],
    spec: Parameter[str],
    task: Parameter[str],
    beam_args: Parameter[str],
    fingerprint: Parameter[str],
):
    """Writes TFMA's results, and a plain metrics.json and the answers beside them, for the model on the test split.

    The metrics carry what identifies the test split, `data_digest`.
    """
    standby.begin()  # for the serving check: it imports on the core that TFMA leaves alone
    facts = DatasetSpec.model_validate_json(spec)
    saved_model = saved_model_folder(model.uri)
    folder = Path(evaluation.uri)
    with ThreadPoolExecutor(1) as beside:  # TensorFlow's own code, beside TFMA's in Python
        answers = beside.submit(predictions.write, folder, saved_model, examples.uri, facts, registry.task(task))
        metrics = evaluate(saved_model, examples.uri, eval_config, facts, json.loads(beam_args), evaluation.uri)
        answers.result()
    metrics["data_digest"] = read_summary(examples.uri)["test"]["digest"]
    METRICS.path(folder).write_text(to_json(metrics, indent=1))
    overall = {name: value for name, value in metrics["slices"][OVERALL].items() if "@" not in name}
    progress.report(**overall)


def evaluate(
    saved_model: str,
    examples_uri: str,
    eval_config: str,
    spec: DatasetSpec,
    beam_args: list[str],
    output_folder: str | None = None,
) -> dict:
    """Returns the metrics of a SavedModel on the test split.

    Args:
        saved_model: Folder of the SavedModel.
        examples_uri: Folder of the examples, with `Split-test` below it.
        eval_config: tfma.EvalConfig as text proto.
        spec: The data set's facts, for the names of classes.
        beam_args: Beam's pipeline options.
        output_folder: Receives TFMA's own files; None keeps none.

    Returns:
        `slices`: slice name (`overall`, `label=Shirt`) -> metric name -> value, a metric of one class as
        `recall@Shirt`; `confusion_matrix`: rows of counts, true class by predicted class, where the config asks for
        it; `eval_config`: the config they were made with.
    """
    config = text_format.Parse(eval_config, config_pb2.EvalConfig())
    result = _run_tfma(saved_model, examples_uri, config, beam_args, output_folder)
    metrics = {
        "slices": {_slice_name(key, spec): _flatten(values) for key, values in result.slicing_metrics},
        "eval_config": eval_config,
    }
    if plots_confusion_matrix(config):
        _, label = spec.only(LabelFeature)
        counts = _confusion_matrix(result, len(label.classes))
        # A metric of the second class of two, such as the area under its ROC curve, is that of the whole.
        for values in metrics["slices"].values():
            values |= {name.removesuffix("@1"): values.pop(name) for name in list(values) if name.endswith("@1")}
        metrics["slices"][OVERALL] |= per_class(counts, label.classes)
        metrics["confusion_matrix"] = counts.tolist()
    return metrics


def _run_tfma(
    saved_model: str,
    examples_uri: str,
    config: config_pb2.EvalConfig,
    beam_args: list[str],
    output_folder: str | None,
) -> tfma.EvalResult:
    model = tfma.default_eval_shared_model(saved_model, eval_config=config)
    return tfma.run_model_analysis(
        eval_shared_model=model,
        eval_config=config,
        extractors=tfma.default_extractors(
            eval_shared_model=model, eval_config=config, custom_predict_extractor=_predictions(model, config)
        ),
        data_location=str(Path(examples_uri) / "Split-test" / "*.tfrecord"),
        output_path=output_folder,
        pipeline_options=PipelineOptions(beam_args),
    )


def _predictions(model: tfma.EvalSharedModel, config: config_pb2.EvalConfig) -> tfma.extractors.Extractor:
    """Returns TFMA's extractor of predictions, that sees no features: it asks by serialized examples then.

    It would feed the signature's input, `inputs`, with a column of that name.
    """
    extractor = tfma.extractors.PredictionsExtractor(eval_shared_model=model, eval_config=config)
    return extractor._replace(ptransform=_without_features(extractor.ptransform))


@beam.ptransform_fn
def _without_features(extracts: beam.PCollection, transform: beam.PTransform) -> beam.PCollection:
    alone = extracts | "SetFeaturesAside" >> beam.Map(_set_aside).with_output_types(tfma.Extracts)
    transformed = alone | transform
    return transformed | "PutFeaturesBack" >> beam.Map(_put_back).with_output_types(tfma.Extracts)


def _set_aside(extracts: tfma.Extracts) -> tfma.Extracts:
    return {**extracts, tfma.FEATURES_KEY: {}, ASIDE: extracts[tfma.FEATURES_KEY]}


def _put_back(extracts: tfma.Extracts) -> tfma.Extracts:
    kept = {key: value for key, value in extracts.items() if key != ASIDE}
    return {**kept, tfma.FEATURES_KEY: extracts[ASIDE]}


def plots_confusion_matrix(eval_config: config_pb2.EvalConfig) -> bool:
    """Returns whether a config asks for the confusion matrix of classes."""
    metrics = [metric.class_name for metrics_spec in eval_config.metrics_specs for metric in metrics_spec.metrics]
    return "MultiClassConfusionMatrixPlot" in metrics


def per_class(counts: np.ndarray, classes: tuple[str, ...]) -> dict[str, float]:
    """Returns precision, recall and F1 of each class; 0 for a class that was never predicted, or is not there.

    Args:
        counts: int64 `(classes, classes)`, row = true class, column = predicted class.
        classes: Names, in the order of the rows.
    """
    right = np.diag(counts)
    precision = right / np.maximum(counts.sum(axis=0), 1)
    recall = right / np.maximum(counts.sum(axis=1), 1)
    f1 = 2 * right / np.maximum(counts.sum(axis=0) + counts.sum(axis=1), 1)
    named = {"precision": precision, "recall": recall, "f1": f1}
    return {
        f"{metric}@{name}": float(value)
        for metric, values in named.items()
        for name, value in zip(classes, values, strict=True)
    }


def _slice_name(key: tuple, spec: DatasetSpec) -> str:
    words = []
    for column, value in key:
        feature = spec.features.get(column)
        words.append(f"{column}={feature.classes[int(value)] if isinstance(feature, LabelFeature) else value}")
    return ",".join(words) or OVERALL


def _flatten(outputs: dict) -> dict[str, float]:
    """Returns name -> value from TFMA's output -> sub key -> name -> typed value; leaves out what is not a number."""
    flat = {}
    for sub_keys in outputs.values():
        for sub_key, values in sub_keys.items():
            suffix = "@" + sub_key.split(":")[-1] if sub_key else ""
            for name, value in values.items():
                number = value.get("doubleValue") if isinstance(value, dict) else None
                if number is not None and math.isfinite(float(number)):
                    # Keras's metrics are float32: 0.9 comes as 0.89999998 and would miss a threshold of 0.9.
                    flat[name + suffix] = float(f"{float(number):.7g}")
    return dict(sorted(flat.items()))


def _confusion_matrix(result, num_classes: int) -> np.ndarray:
    """Returns what TFMA counted over all examples, int64 `(classes, classes)`; it leaves out zeros, class 0 as well."""
    ((_, sub_keys),) = next(outputs for key, outputs in result.plots if not key).items()
    ((_, plots),) = sub_keys.items()
    entries = plots["multiClassConfusionMatrixAtThresholds"]["matrices"][0]["entries"]
    keys = ("actualClassId", "predictedClassId", "numWeightedExamples")
    cells = np.rint([[float(entry.get(key, 0)) for key in keys] for entry in entries]).astype(np.int64)
    return confusion_matrix(cells[:, 0], cells[:, 1], num_classes, cells[:, 2])
