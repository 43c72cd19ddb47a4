"""What a signature takes and gives: inputs and outputs of a Predict request, checked in TF Serving's words."""

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
        inputs: Alias -> the C API's handle of what is fed.
        outputs: Alias -> the same of what is fetched.
        dtypes: Alias -> DataType of an input.
        defaults: Alias -> value of an input that a request may leave out.
    """

    name: str
    definition: meta_graph_pb2.SignatureDef
    inputs: Mapping[str, object]
    outputs: Mapping[str, object]
    dtypes: Mapping[str, int]
    defaults: Mapping[str, np.ndarray]


def read_inputs(sent: Tensors, signature: Signature, max_bytes: int) -> dict[str, np.ndarray]:
    """Returns the arrays of a request by alias, those left out filled in with their defaults.

    Args:
        sent: Alias -> tensor.
        signature: Which is asked.
        max_bytes: Largest tensor that fewer values than it has room for may be filled up to; 0: TensorFlow's limit.

    Raises:
        ServingStatus: Inputs are missing, not known, damaged, or of another type.
    """
    _check_count(sent, signature)
    arrays = {}
    for alias in signature.inputs:
        if alias in sent:
            try:
                arrays[alias] = to_array(sent[alias], max_bytes or MAX_BYTES)
            except (ValueError, MemoryError):
                raise invalid(f"tensor parsing error: {alias}") from None
        else:
            arrays[alias] = _default(alias, signature)
    _check_names(sent, signature)
    _check_types(sent, signature)
    return arrays


def _check_count(sent: Tensors, signature: Signature) -> None:
    wanted = signature.inputs
    if len(sent) <= len(wanted) and (len(sent) == len(wanted) or signature.defaults):
        return
    names, needed = sorted(sent), sorted(wanted)
    extra, missing = sorted(set(names) - set(needed)), sorted(set(needed) - set(names))
    raise invalid(
        f"input size does not match signature: {len(names)}!={len(needed)} len({{{','.join(names)}}}) != "
        f"len({{{','.join(needed)}}}). Sent extra: {{{','.join(extra)}}}. Missing but required: "
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


def _check_names(sent: Tensors, signature: Signature) -> None:
    wanted = signature.inputs
    if len(sent) > sum(alias in sent for alias in wanted):
        extra = next(alias for alias in sorted(sent) if alias not in wanted)
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(set(sent) & set(wanted)))}, "
            f"request input: {extra}"
        )


def _check_types(sent: Tensors, signature: Signature) -> None:
    """TensorFlow finds wrong types too, but a batch of requests must not fail for one of them."""
    for index, alias in enumerate(signature.inputs):
        expected = signature.dtypes[alias]
        if alias in sent and (found := sent[alias].dtype) != expected:
            raise invalid(
                f"Expects arg[{index}] to be {data_type_name(expected)} but {data_type_name(found)} is provided"
            )


def select_outputs(output_filter: Sequence[str], signature: Signature) -> list[str]:
    """Returns the aliases to answer with: those of the filter, all without one; raises ServingStatus."""
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
