"""The traced preprocessing function: its graph, its analyzers, the SavedModel that applies it."""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf
from tensorflow.python.eager.wrap_function import VariableHolder, WrappedFunction
from tensorflow_transform import analyzer_nodes, annotators, graph_context, impl_helper, nodes, tf2_utils
from tensorflow_transform.beam import analysis_graph_builder
from tensorflow_transform.tf_metadata import metadata_io

PreprocessingFn = Callable[[Mapping[str, Any]], Mapping[str, Any]]
_TRACING = threading.Lock()  # TFT traces one function at a time, while a worker of Beam takes files in several threads
Operation = tuple[nodes.OperationDef, tuple[nodes.OperationDef, ...]]  # an operation, and those whose outputs it takes


@dataclass(frozen=True)
class Traced:
    """A preprocessing function after TFT has traced it.

    Attributes:
        function: From raw features by name to transformed ones.
        feature_spec: How raw features are parsed, see `tf.io.parse_example`.
        type_specs: Types of the raw features' tensors.
        graph: TensorFlow's graph of the function.
        inputs: The raw features' tensors in the graph.
        result: Output of TFT's last operation, the folder of a SavedModel; it depends on all others.
        operations: All of TFT's operations, each after its inputs.
        assets: Name of a vocabulary -> its file name.
        scratch: Folder for temporary files.
    """

    function: PreprocessingFn
    feature_spec: dict[str, Any]
    type_specs: dict[str, tf.TypeSpec]
    graph: tf.Graph
    inputs: dict[str, Any]
    result: nodes.ValueNode
    operations: list[Operation]
    assets: dict[str, str]
    scratch: Path


def trace(function: PreprocessingFn, feature_spec: dict[str, Any], scratch: Path) -> Traced:
    """Returns a preprocessing function with its graph and TFT's operations.

    Args:
        function: The function.
        feature_spec: How raw features are parsed.
        scratch: Folder that receives temporary files.
    """
    type_specs = impl_helper.get_type_specs_from_feature_specs(feature_spec)
    graph, inputs, outputs = impl_helper.trace_preprocessing_function(
        function, type_specs, use_tf_compat_v1=False, base_temp_dir=str(scratch)
    )
    assets = annotators.get_asset_annotations(graph)
    result, _, _ = analysis_graph_builder.build(graph, inputs, outputs)
    visitor = _Operations()
    nodes.Traverser(visitor).visit_value_node(result)
    return Traced(function, feature_spec, type_specs, graph, inputs, result, visitor.operations, assets, scratch)


class _Operations(nodes.Visitor):
    """Lists the operations of a graph."""

    def __init__(self):
        self.operations: list[Operation] = []

    def visit(self, operation, inputs):
        self.operations.append((operation, inputs))
        return (operation,) * operation.num_outputs

    def validate_value(self, value):
        pass


class Outputs:
    """A function from serialized tf.train.Examples, string `(batch,)`, to tensors of the preprocessing graph.

    Only what those tensors need is parsed and computed. A call of the preprocessing function would compute
    the rest as well, such as an assertion. Once pickled it is traced again by the process that calls it.

    Args:
        traced: The preprocessing function.
        values: Results of analyzers that replace tensors, by the name of the tensor.
        names: Key -> name of a tensor.
        counted: Key of a tensor that is replaced by its distinct values -> key of their counts.
    """

    def __init__(
        self, traced: Traced, values: dict[str, tf.Tensor], names: Mapping[str, str], counted: Mapping[str, str]
    ):
        self._function, self._feature_spec, self._scratch = traced.function, traced.feature_spec, traced.scratch
        self._values, self._names, self._counted = values, dict(names), dict(counted)
        self._graph = None if values else (traced.graph, traced.inputs)
        self._operations: list[str] | None = None  # of the graph, in the process that pickled this
        self._compute: Callable[[tf.Tensor], dict[str, tf.Tensor]] | None = None

    def __call__(self, serialized: tf.Tensor) -> dict[str, tf.Tensor]:
        """Returns the tensors by key."""
        self._compute = self._compute or self._build()
        return self._compute(serialized)

    def __getstate__(self) -> dict[str, Any]:
        if self._operations is None:
            self._graph = self._graph or self._bound()
            self._operations = _operation_names(self._graph[0])
        return self.__dict__ | {"_graph": None, "_compute": None}

    def _bound(self) -> tuple[tf.Graph, dict[str, Any]]:
        """Returns graph and inputs of the preprocessing function, with the results of analyzers in it."""
        type_specs = impl_helper.get_type_specs_from_feature_specs(self._feature_spec)
        context = graph_context.TFGraphContext(tf.Module(), str(self._scratch), self._values)
        with _TRACING, annotators.object_tracker_scope(annotators.ObjectTracker()):
            function = impl_helper.get_traced_transform_fn(self._function, type_specs, context)
            graph = function.get_concrete_function().graph
        # In another graph the names would be those of other tensors.
        if self._operations and self._operations != _operation_names(graph):
            raise RuntimeError("The preprocessing function has another graph in each process; set beam.workers to 1.")
        return graph, tf2_utils.get_structured_inputs_from_func_graph(graph)

    def _build(self) -> Callable[[tf.Tensor], dict[str, tf.Tensor]]:
        self._graph = self._graph or self._bound()
        graph, inputs = self._graph
        fetches = {key: graph.get_tensor_by_name(name) for key, name in self._names.items()}
        needed = _needed(inputs, fetches.values())
        spec = {name: self._feature_spec[name] for name in needed}
        pruned = WrappedFunction(graph, VariableHolder()).prune(_components(needed.values()), fetches)

        @tf.function(input_signature=[tf.TensorSpec((None,), tf.string)], autograph=False)
        def outputs(serialized):
            raw = tf.io.parse_example(serialized, spec) if spec else {}
            tensors = dict(pruned(*_components(raw[name] for name in needed)))
            for key, count in self._counted.items():
                tensors[key], _, tensors[count] = tf.unique_with_counts(tf.reshape(tensors[key], [-1]))
            return tensors

        return outputs


def _operation_names(graph: tf.Graph) -> list[str]:
    """Returns type and name of each operation of a graph, in order of creation.

    A constant in the graph has a number for its name, which differs between processes, and is left out.
    """
    types_and_names = [(operation.type, operation.name.rpartition("/")) for operation in graph.get_operations()]
    return [f"{kind} {scope}/{'' if name.isdigit() else name}" for kind, (scope, _, name) in types_and_names]


def _needed(inputs: dict[str, Any], tensors: Iterable[tf.Tensor]) -> dict[str, Any]:
    """Returns the inputs that tensors depend on."""
    queue, visited = [tensor.op for tensor in tensors], set()
    while queue:
        operation = queue.pop()
        if operation.name not in visited:
            visited.add(operation.name)
            queue += [*(tensor.op for tensor in operation.inputs), *operation.control_inputs]
    return {
        name: feature
        for name, feature in inputs.items()
        if any(part.op.name in visited for part in _components([feature]))
    }


def _components(features: Iterable[Any]) -> Sequence[tf.Tensor]:
    """Returns the tensors that features consist of, those of sparse ones included."""
    return tf.nest.flatten(list(features), expand_composites=True)


def write(traced: Traced, values: dict[str, tf.Tensor], folder: Path) -> None:
    """Writes the SavedModel of a preprocessing function with the results of all analyzers in it, as TFT does.

    TFT's own function compares fingerprints of the analyzers as well, which takes 12 s for 2,000 columns.
    """
    scratch = str(traced.scratch)
    concrete = impl_helper._trace_and_write_transform_fn(
        str(folder), traced.function, traced.type_specs, scratch, values, None, None
    )
    if concrete.graph.get_collection(analyzer_nodes.TENSOR_REPLACEMENTS):
        raise RuntimeError("The preprocessing function has other analyzers each time it is traced; give them names.")
    inputs = tf2_utils.get_structured_inputs_from_func_graph(concrete.graph)
    metadata = impl_helper._trace_and_get_metadata(concrete, inputs, traced.function, scratch, values)
    metadata_io.write_metadata(metadata, str(folder / impl_helper.METADATA_DIR_NAME))
