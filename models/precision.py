"""The arithmetic that a model computes in, and the tolerance between predictions of one model that follows from it."""

from collections.abc import Sequence
from pathlib import Path

import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import saved_model_pb2

FLOAT32, TENSOR_FLOAT_32, FLOAT16, BFLOAT16 = "float32", "TensorFloat-32", "float16", "bfloat16"
UNIT_ROUNDOFFS = {FLOAT32: 2**-24, TENSOR_FLOAT_32: 2**-11, FLOAT16: 2**-11, BFLOAT16: 2**-8}
TOLERANCES = {FLOAT32: 1e-5} | {name: 16 * UNIT_ROUNDOFFS[name] for name in (TENSOR_FLOAT_32, FLOAT16, BFLOAT16)}
"""Greatest difference of two predictions, relative for values beyond 1, by the least precise arithmetic.

Kernels differ in the order of summation, and each layer may round to either neighbour.
"""
_STORED = {types_pb2.DT_BFLOAT16: BFLOAT16, types_pb2.DT_HALF: FLOAT16}


def gpu_capabilities() -> list[tuple[int, int]]:
    """Returns the CUDA compute capability of each GPU of this machine."""
    details = map(tf.config.experimental.get_device_details, tf.config.list_physical_devices("GPU"))
    return [detail.get("compute_capability", (0, 0)) for detail in details]


def precision_of(saved_model: Path, capabilities: Sequence[tuple[int, int]] | None = None) -> str:
    """Returns the least precise arithmetic that a SavedModel computes in on this machine, a key of `TOLERANCES`.

    Args:
        saved_model: Its folder.
        capabilities: CUDA compute capability of each GPU; by default of those of this machine.

    Raises:
        OSError: There is no SavedModel.
    """
    precisions = {_STORED[dtype] for dtype in _dtypes(saved_model) & _STORED.keys()} or {FLOAT32}
    capabilities = gpu_capabilities() if capabilities is None else capabilities
    # TensorFlow multiplies float32 matrices in it from 8.0 (Ampere) on, unless that is switched off.
    if max(capabilities, default=(0, 0)) >= (8, 0) and tf.config.experimental.tensor_float_32_execution_enabled():
        precisions.add(TENSOR_FLOAT_32)
    return max(precisions, key=UNIT_ROUNDOFFS.__getitem__)


def _dtypes(saved_model: Path) -> set[int]:
    """Returns the dtypes that the operations of a SavedModel name."""
    saved = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    graphs = [graph.graph_def for graph in saved.meta_graphs]
    nodes = [node for graph in graphs for node in graph.node]
    nodes += [node for graph in graphs for function in graph.library.function for node in function.node_def]
    return {value.type for node in nodes for value in node.attr.values() if value.WhichOneof("value") == "type"}
