"""TFT's analyzers without Beam.

TFT turns a preprocessing function into a graph of operations: run the traced function over the data, accumulate, merge,
put the results into the function as constants. On Beam the size of a batch depends on the time that batches take, so
that two runs differ in the last digit, and each value of a vocabulary is an element of its own. Here the operations
that the tasks use run in a loop over batches of a fixed number of rows; `unknown` returns those that need Beam.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_transform import analyzer_nodes, analyzers, nodes

from data.columnar.workers import accumulate
from models.preprocessing import tracing, vocabulary
from models.preprocessing.batches import Accumulators, Combined, batches
from models.preprocessing.tracing import Traced

FINAL = "CreateSavedModel"  # TFT's label of the operation that writes the function with all results in it


def unknown(traced: Traced) -> list[str]:
    """Returns the labels of the operations that `analyze` cannot run."""
    return [operation.label for operation, _ in traced.operations if not _is_known(operation)]


def analyze(traced: Traced, files: Sequence[str], rows: int, beam_args: Sequence[str] = ()) -> Path:
    """Returns the folder of the SavedModel that applies the analyzers' results; the same files give the same bits.

    Args:
        traced: The preprocessing function.
        files: TFRecord files of tf.train.Examples.
        rows: Number of rows in the files, for the progress.
        beam_args: Options of Beam, for several workers.
    """
    return nodes.Traverser(_Run(traced, files, rows, beam_args)).visit_value_node(traced.result)


def _is_known(operation: nodes.OperationDef) -> bool:
    if isinstance(operation, analyzer_nodes.VocabularyAccumulate):
        return operation.vocab_ordering_type == analyzers._VocabOrderingType.FREQUENCY
    if isinstance(operation, analyzer_nodes.VocabularyPrune):
        return operation.key_fn is None
    if isinstance(operation, analyzer_nodes.VocabularyOrderAndWrite):
        is_list = operation.file_format == "text" and not operation.store_frequency
        return is_list and not operation.fingerprint_shuffle
    return hasattr(_Run, type(operation).__name__)


@dataclass(frozen=True)
class _Unwritten:
    """In place of the SavedModel that Beam would write: analyzers' results by tensor, and the output tensors."""

    values: dict[str, tf.Tensor]
    outputs: Mapping[str, tf.Tensor]


class _Run(nodes.Visitor):
    """Runs the operations of a graph: each method is named as TFT's operation, and maps inputs to outputs."""

    def __init__(self, traced: Traced, files: Sequence[str], rows: int, beam_args: Sequence[str]):
        self._traced, self._files, self._rows, self._beam_args = traced, files, rows, beam_args

    def visit(self, operation, inputs):
        return getattr(self, type(operation).__name__)(operation, *inputs)

    def validate_value(self, value):
        pass

    def ExtractInputForSavedModel(self, operation):
        return (self._files,)

    def CreateSavedModel(self, operation, *bindings):
        values = {name: value for binding in bindings for name, value in binding.items()}
        if operation.label != FINAL:
            return (_Unwritten(values, operation.output_signature),)
        folder = self._traced.scratch / "transform_fn"
        tracing.write(self._traced, values, folder)
        return (folder,)

    def ApplySavedModel(self, operation, model, files):
        """Passes over the data once, for all accumulators of this application; returns their results by label."""
        combiners, vocabularies = self._accumulated(operation)
        counts = {key: f"count of {key}" for key in vocabularies.values()}
        names = {key: tensor.name for key, tensor in model.outputs.items()}
        function = tracing.Outputs(self._traced, model.values, names, counts)

        def make() -> Accumulators:
            parts = {label: vocabulary.ValueCounts(key, counts[key]) for label, key in vocabularies.items()}
            return Accumulators(parts | {label: Combined(combiner, keys) for label, combiner, keys in combiners})

        return (accumulate(files, batches(function, files, self._rows), make, self._beam_args).result(),)

    def _accumulated(self, application):
        """Returns the accumulators of one application of the function.

        Label, combiner and keys of its tensors for each of TFT's combiners; and label -> key of the values for each
        vocabulary.
        """
        combiners, vocabularies = [], {}
        extractions = {
            id(extraction): extraction
            for extraction, inputs in self._traced.operations
            if inputs and inputs[0] is application
        }
        for operation, inputs in self._traced.operations:
            if isinstance(operation, analyzer_nodes.PackedCombineAccumulate) and inputs[0] is application:
                combiners += [(packed.label, packed.combiner, packed.keys) for packed in operation.combiners]
            elif isinstance(operation, analyzer_nodes.CacheableCombineAccumulate) and id(inputs[0]) in extractions:
                combiners.append((operation.label, operation.combiner, inputs[0].keys))
            elif isinstance(operation, analyzer_nodes.VocabularyAccumulate) and id(inputs[0]) in extractions:
                (vocabularies[operation.label],) = inputs[0].keys
        return combiners, vocabularies

    def ExtractFromDict(self, operation, values):
        # Several keys are those of an application of the function, whose outputs are accumulated already.
        return (values if isinstance(operation.keys, tuple) else values[operation.keys],)

    def PackedCombineAccumulate(self, operation, results):
        return (results,)

    def CacheableCombineAccumulate(self, operation, results):
        return (results[operation.label],)

    def CacheableCombineMerge(self, operation, accumulated):
        return (operation.combiner.extract_output(accumulated),)

    def ExtractCombineMergeOutputs(self, operation, outputs):
        return tuple(outputs)

    def AddKey(self, operation, value):
        return ({operation.key: value},)

    def Flatten(self, operation, *values):
        return ({key: value for part in values for key, value in part.items()},)

    def PackedCombineMerge(self, operation, values):
        return (
            {packed.label: packed.combiner.extract_output(values[packed.keys[0]]) for packed in operation.combiners},
        )

    def ExtractPackedCombineMergeOutputs(self, operation, outputs):
        return tuple(outputs)

    def VocabularyAccumulate(self, operation, results):
        return (results[operation.label],)

    def VocabularyMerge(self, operation, counts):
        return (counts,)

    def VocabularyPrune(self, operation, counts):
        min_count, top_k = operation.frequency_threshold, operation.top_k
        return (vocabulary.kept(counts, min_count=min_count, top_k=top_k, dtype=operation.input_dtype),)

    def VocabularyCount(self, operation, counts):
        return (np.int64(max(len(counts), 1)),)

    def VocabularyOrderAndWrite(self, operation, counts):
        path = self._traced.scratch / operation.vocab_filename
        vocabulary.write(counts, path)
        return (np.array(str(path)),)

    def CreateTensorBinding(self, operation, value):
        return ({operation.tensor_name: tf.constant(value, tf.dtypes.as_dtype(operation.dtype_enum))},)
