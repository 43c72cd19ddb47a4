"""Inputs and outputs of a signature: checks of a Predict request, with TF Serving's error messages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from models.serving.protocol.statuses import invalid
from models.serving.protocol.tensors import MAX_BYTES, data_type_name, to_array

DEFAULT_SIGNATURE = "serving_default"
PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))

Tensors = Mapping[str, tensor_pb2.TensorProto]


@dataclass(frozen=True)
class Signature:
    """A signature, ready to be run.

    Attributes:
        name: Its key in the SavedModel.
        definition: The SignatureDef.
        inputs: Alias -> the C API's handle of the tensor to feed.
        outputs: Alias -> the C API's handle of the tensor to fetch.
        dtypes: Alias -> DataType number of an input.
        defaults: Alias -> default value of an optional input.
    """

    name: str
    definition: meta_graph_pb2.SignatureDef
    inputs: Mapping[str, object]
    outputs: Mapping[str, object]
    dtypes: Mapping[str, int]
    defaults: Mapping[str, np.ndarray]


def read_inputs(tensors: Tensors, signature: Signature, max_bytes: int) -> dict[str, np.ndarray]:
    """Returns the arrays of a request by alias; missing optional inputs get their default.

    Args:
        tensors: Alias -> tensor.
        signature: The requested signature.
        max_bytes: Size limit of a tensor that has fewer values than its shape and is filled up; 0: TensorFlow's.

    Raises:
        ServingStatus: An input is missing, unknown, malformed, or of the wrong dtype.
    """
    _check_count(tensors, signature)
    arrays = {}
    for alias in signature.inputs:
        if alias in tensors:
            try:
                arrays[alias] = to_array(tensors[alias], max_bytes or MAX_BYTES)
            except (ValueError, MemoryError):
                raise invalid(f"tensor parsing error: {alias}") from None
        else:
            arrays[alias] = _default(alias, signature)
    _check_names(tensors, signature)
    _check_types(tensors, signature)
    return arrays


def _check_count(tensors: Tensors, signature: Signature) -> None:
    expected = signature.inputs
    if len(tensors) <= len(expected) and (len(tensors) == len(expected) or signature.defaults):
        return
    sent_names, expected_names = sorted(tensors), sorted(expected)
    extra, missing = sorted(set(sent_names) - set(expected_names)), sorted(set(expected_names) - set(sent_names))
    raise invalid(
        f"input size does not match signature: {len(tensors)}!={len(expected)} len({{{','.join(sent_names)}}}) != "
        f"len({{{','.join(expected_names)}}}). Sent extra: {{{','.join(extra)}}}. Missing but required: "
        f"{{{','.join(missing)}}}."
    )


def _default(alias: str, signature: Signature) -> np.ndarray:
    if alias in signature.defaults:
        return signature.defaults[alias]
    feed = signature.definition.inputs[alias].name
    raise invalid(
        f"Signature input alias: {alias}(feed name: {feed}) not found in request and no default value "
        f"provided. Inputs expected to be in the request {{{','.join(sorted(signature.inputs))}}}, or default input "
        f"alias set: {','.join(sorted(signature.defaults))}"
    )


def _check_names(tensors: Tensors, signature: Signature) -> None:
    expected = signature.inputs
    if len(tensors) > sum(alias in tensors for alias in expected):
        extra = next(alias for alias in sorted(tensors) if alias not in expected)
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(set(tensors) & set(expected)))}, "
            f"request input: {extra}"
        )


def _check_types(tensors: Tensors, signature: Signature) -> None:
    """Checks dtypes before the session does: else one wrong request would fail all requests of its batch."""
    for index, alias in enumerate(signature.inputs):
        expected = signature.dtypes[alias]
        if alias in tensors and (dtype := tensors[alias].dtype) != expected:
            raise invalid(
                f"Expects arg[{index}] to be {data_type_name(expected)} but {data_type_name(dtype)} is provided"
            )


def select_outputs(output_filter: Sequence[str], signature: Signature) -> list[str]:
    """Returns the output aliases: those of the filter, or all if it is empty; raises ServingStatus for unknown ones."""
    if not output_filter:
        return list(signature.outputs)
    for position, alias in enumerate(output_filter):
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{','.join(sorted(signature.outputs))}}}."
            )
        if alias in output_filter[:position]:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return list(output_filter)
