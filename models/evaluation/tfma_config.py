"""Our metrics as TFMA's config, for those that TFMA has too: tests and `evaluate.tfma` hold our numbers against it."""

import json
from collections.abc import Iterable, Sequence

from tensorflow_model_analysis.proto import config_pb2

from models.evaluation.metrics import Metric, PerClass

AREA_THRESHOLDS = 100_000  # TFMA's area under the curve is by thresholds, ours by sorting


def eval_config(
    measured: Iterable[Metric | PerClass], slice_by: Sequence[str], *, weighted: bool = False
) -> config_pb2.EvalConfig:
    """Returns TFMA's config of metrics of columns `label`, `prediction` and, where rows are weighted, `weight`.

    Args:
        measured: The metrics; those that TFMA does not have are left out.
        slice_by: Columns by whose values everything is broken down.
        weighted: Whether rows have weights.
    """
    names = [one for one in measured if isinstance(one, Metric) and one.tfma]
    whole = [_config(one) for one in names if not one.of_second_class]
    of_second = [_config(one) for one in names if one.of_second_class]
    count = config_pb2.MetricConfig(class_name="ExampleCount", config='{"name": "example_count"}')
    specs = [config_pb2.MetricsSpec(metrics=[*whole, count])]
    if of_second:
        options = config_pb2.BinarizationOptions(class_ids={"values": [1]})
        specs.append(config_pb2.MetricsSpec(metrics=of_second, binarize=options))
    weights = {"example_weight_key": "weight"} if weighted else {}
    return config_pb2.EvalConfig(
        model_specs=[config_pb2.ModelSpec(label_key="label", prediction_key="prediction", **weights)],
        metrics_specs=specs,
        slicing_specs=[config_pb2.SlicingSpec(), *(config_pb2.SlicingSpec(feature_keys=[name]) for name in slice_by)],
    )


def _config(metric: Metric) -> config_pb2.MetricConfig:
    assert metric.tfma
    class_name, settings = metric.tfma
    if class_name == "AUC":
        settings = settings | {"num_thresholds": AREA_THRESHOLDS}
    return config_pb2.MetricConfig(class_name=class_name, config=json.dumps(settings))
