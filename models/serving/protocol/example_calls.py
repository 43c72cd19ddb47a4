"""Classify and Regress: tf.train.Examples in, classes or numbers out. Error messages are TF Serving's."""

from collections.abc import Mapping

import numpy as np
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from models.serving.protocol.signatures import CLASSIFY, REGRESS, Signature
from models.serving.protocol.statuses import Code, ServingStatus, invalid
from models.serving.protocol.tensors import number_of, strings


def serialized_examples(examples: input_pb2.Input) -> np.ndarray:
    """Returns the serialized examples of a request, object `(examples,)`; raises ServingStatus if it has none."""
    kind = examples.WhichOneof("kind")
    if kind == "example_list_with_context":
        # Concatenated messages are parsed as one merged message: each example gets the context's features.
        context = examples.example_list_with_context.context.SerializeToString()
        serialized = [context + example.SerializeToString() for example in examples.example_list_with_context.examples]
    else:
        serialized = [example.SerializeToString() for example in examples.example_list.examples] if kind else []
    if not serialized:
        raise invalid("Input is empty.")
    return strings(serialized)


def classification_outputs(signature: Signature, *, check_method_name: bool) -> list[str]:
    """Returns which of `classes` and `scores` a signature outputs; raises ServingStatus if it is no classification."""
    method = signature.definition.method_name
    if check_method_name and method != CLASSIFY:
        raise invalid(f"Expected classification signature method_name to be {CLASSIFY}. Was: {method}")
    _check_input(signature, "classification")
    outputs = list(signature.outputs)
    if len(outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(outputs)}")
    aliases = [alias for alias in ("classes", "scores") if alias in outputs]
    if not aliases:
        raise ServingStatus(
            Code.FAILED_PRECONDITION,
            f'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {_text(signature)}",
        )
    return aliases


def regression_outputs(signature: Signature, *, check_method_name: bool) -> list[str]:
    """Returns `["outputs"]`; raises ServingStatus if the signature is no regression."""
    method = signature.definition.method_name
    if check_method_name and method != REGRESS:
        raise invalid(f"Expected regression signature method_name to be {REGRESS}. Was: {method}")
    _check_input(signature, "regression")
    outputs = list(signature.outputs)
    if len(outputs) != 1:
        raise invalid("Expected one output Tensor.")
    if outputs[0] != "outputs":
        raise ServingStatus(
            Code.FAILED_PRECONDITION, f"No regression outputs found in SignatureDef: {_text(signature)}"
        )
    return outputs


def _check_input(signature: Signature, kind: str) -> None:
    inputs = list(signature.definition.inputs)
    if len(inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if inputs[0] != "inputs":
        raise ServingStatus(Code.FAILED_PRECONDITION, f"No {kind} inputs found in SignatureDef: {_text(signature)}")


def _text(signature: Signature) -> str:
    return str(signature.definition).replace("\n", " ").strip()


def fill_classifications(
    result: classification_pb2.ClassificationResult, values: Mapping[str, np.ndarray], rows: int
) -> None:
    """Writes classes and scores into a result.

    Args:
        result: Message to add to.
        values: `classes`, strings `(rows, classes)`, and `scores`, float32 of the same shape; one may be missing.
        rows: Number of examples in the request.

    Raises:
        ServingStatus: A value has the wrong shape or dtype.
    """
    classes, scores = values.get("classes"), values.get("scores")
    _check_classifications(classes, scores, rows)
    for row in range(rows):
        target = result.classifications.add().classes
        labels = classes[row].tolist() if classes is not None else None
        numbers = scores[row].tolist() if scores is not None else None
        for index in range(len(labels if labels is not None else numbers)):
            target.add(
                label=labels[index].decode(errors="replace") if labels is not None else "",
                score=numbers[index] if numbers is not None else 0.0,
            )


def _check_classifications(classes: np.ndarray | None, scores: np.ndarray | None, rows: int) -> None:
    for name, value, dtype_kinds, expected_type in (
        ("classes", classes, "OSU", "DT_STRING"),
        ("scores", scores, "f", "DT_FLOAT"),
    ):
        if value is None:
            continue
        if value.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(value)}")
        if value.dtype.kind not in dtype_kinds or (dtype_kinds == "f" and value.dtype != np.float32):
            raise invalid(f"Expected {name} Tensor of {expected_type}. Got: {_type_name(value)}")
        if len(value) != rows:
            raise invalid(f"Expected {name} output batch size of {rows}. Got: {len(value)}")
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )


def fill_regressions(result: regression_pb2.RegressionResult, values: np.ndarray, rows: int) -> None:
    """Writes values, float32 `(rows,)` or `(rows, 1)`, into a result; raises ServingStatus for any other array."""
    if values.ndim not in (1, 2) or (values.ndim == 2 and values.shape[1] != 1):
        raise invalid(
            f"Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got {_shape(values)}"
        )
    if len(values) != rows:
        raise invalid(f"Input batch size did not match output batch size: {rows} vs. {len(values)}")
    if values.dtype != np.float32:
        raise invalid(f"Expected output Tensor of DT_FLOAT.  Got: {_type_name(values)}")
    for value in values.reshape(-1).tolist():
        result.regressions.add(value=value)


def _shape(value: np.ndarray) -> str:
    return f"[{','.join(map(str, value.shape))}]"


def _type_name(value: np.ndarray) -> str:
    return types_pb2.DataType.Name(number_of(value.dtype))
