"""Predict, Classify, Regress, MultiInference, GetModelMetadata: requests in, responses out, in TF Serving's words."""

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from google.protobuf import any_pb2
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    input_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from models.serving.protocol import json_answers, json_requests
from models.serving.protocol.statuses import Code, Refusal, ServingStatus, invalid
from models.serving.protocol.tensors import MAX_BYTES, data_type_name, fill, number_of, strings, to_array
from models.serving.server.manager import ModelManager
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable, Signature

DEFAULT_SIGNATURE = "serving_default"
PREDICT, CLASSIFY, REGRESS = (f"tensorflow/serving/{name}" for name in ("predict", "classify", "regress"))

Runner = Callable[[Servable, Mapping[object, np.ndarray], Sequence[object], int | None], list[np.ndarray]]
Guard = Callable[[Servable, str, Mapping[str, np.ndarray]], None]


class _Request:
    """A request on its way: its version is not unloaded meanwhile, and counts what came of it.

    Args:
        servable: The version, acquired.
    """

    __slots__ = ("_begin", "_servable")

    def __init__(self, servable: Servable):
        self._servable = servable

    def __enter__(self) -> Servable:
        self._begin = time.perf_counter()
        return self._servable

    def __exit__(self, kind: type[BaseException] | None, *_) -> None:
        self._servable.release()
        if kind is not Refusal:
            self._servable.recent.add(kind is not None, time.perf_counter() - self._begin)


@dataclass(frozen=True)
class Engine:
    """What answers requests; all calls below may come from any thread.

    Attributes:
        manager: Knows the versions.
        metrics: Counts.
        run: Runs a version, `(servable, feeds, fetches, timeout_ms) -> values`; batches where that is on.
        guard: Refuses what the training schema rules out, or None.
        sampler: Keeps a sample of requests and answers, or None.
        check_method_names: Whether a signature must have the method name that belongs to the call.
        as_content: Whether tensors are answered as `tensor_content`.
        max_rows: Most rows in a request; 0: no limit.
        max_bytes: Largest tensor that fewer values than it has room for may be filled up to; 0: TensorFlow's limit.
    """

    manager: ModelManager
    metrics: Metrics
    run: Runner
    guard: Guard | None = None
    sampler: Callable[..., None] | None = None
    check_method_names: bool = False
    as_content: bool = False
    max_rows: int = 0
    max_bytes: int = 0

    def predict(
        self, request: predict_pb2.PredictRequest, timeout_ms: int | None = None
    ) -> predict_pb2.PredictResponse:
        """Returns what a signature says about the inputs.

        Raises:
            ServingStatus: The request cannot be answered.
        """
        with _Request(self.manager.acquire(_spec(request))) as servable:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = self._predicting_signature(servable, name)
            arrays = _inputs(request.inputs, signature, self.max_bytes)
            outputs = _wanted_outputs(request.output_filter, signature)
            values = self._run(servable, name, signature, arrays, outputs, timeout_ms)
            response = predict_pb2.PredictResponse()
            _name(response.model_spec, servable, name)
            for alias, value in zip(outputs, values, strict=True):
                fill(response.outputs[alias], value, as_content=self.as_content)
            return response

    def predict_json(self, spec: model_pb2.ModelSpec, body: bytes, timeout_ms: int | None = None) -> tuple[bytes, int]:
        """Returns the answer to a REST predict request as JSON, and the version; raises ServingStatus."""
        with _Request(self.manager.acquire(spec)) as servable:
            document = json_requests.parse(body)
            name = json_requests.signature_name(document) or DEFAULT_SIGNATURE
            if name not in servable.definitions:
                raise invalid(f'Serving signature name: "{name}" not found in signature def')
            inputs = servable.definitions[name].inputs
            if not inputs:
                raise invalid(f"Failed to get input map for signature: {name}")
            arrays, by_row = json_requests.read_inputs(document, inputs)
            signature = self._predicting_signature(servable, name)
            outputs = _wanted_outputs((), signature)
            values = self._run(servable, name, signature, arrays, outputs, timeout_ms)
            write = json_answers.write_rows if by_row else json_answers.write_columns
            return write(dict(zip(outputs, values, strict=True))), servable.version

    def _predicting_signature(self, servable: Servable, name: str) -> Signature:
        signature = servable.signatures.get(name)
        if signature is None:
            raise ServingStatus(Code.FAILED_PRECONDITION, f'Serving signature key "{name}" not found.')
        method = signature.definition.method_name
        if self.check_method_names and method not in (PREDICT, CLASSIFY, REGRESS):
            raise ServingStatus(
                Code.INTERNAL,
                f"Expected prediction signature method_name to be one of {{{PREDICT}, {CLASSIFY}, {REGRESS}}}. "
                f"Was: {method}",
            )
        return signature

    def classify(
        self, request: classification_pb2.ClassificationRequest, timeout_ms: int | None = None
    ) -> classification_pb2.ClassificationResponse:
        """Returns classes and scores of each example; raises ServingStatus."""
        with _Request(self.manager.acquire(_spec(request))) as servable:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = self._example_signature(servable, name)
            outputs = _classification_outputs(signature, check=self.check_method_names)
            examples = serialized(request.input)
            values = self._run(servable, name, signature, {"inputs": examples}, outputs, timeout_ms)
            response = classification_pb2.ClassificationResponse()
            _name(response.model_spec, servable, name)
            _classifications(response.result, dict(zip(outputs, values, strict=True)), len(examples))
            return response

    def regress(
        self, request: regression_pb2.RegressionRequest, timeout_ms: int | None = None
    ) -> regression_pb2.RegressionResponse:
        """Returns the number for each example; raises ServingStatus."""
        with _Request(self.manager.acquire(_spec(request))) as servable:
            name = request.model_spec.signature_name or DEFAULT_SIGNATURE
            signature = self._example_signature(servable, name)
            _regression_output(signature, check=self.check_method_names)
            examples = serialized(request.input)
            values = self._run(servable, name, signature, {"inputs": examples}, ["outputs"], timeout_ms)
            response = regression_pb2.RegressionResponse()
            _name(response.model_spec, servable, name)
            _regressions(response.result, values[0], len(examples))
            return response

    def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, timeout_ms: int | None = None
    ) -> inference_pb2.MultiInferenceResponse:
        """Returns what several signatures of one version say about the same examples; raises ServingStatus."""
        tasks = request.tasks
        with _Request(self.manager.acquire(tasks[0].model_spec if tasks else model_pb2.ModelSpec())) as servable:
            wanted = self._tasks(servable, tasks)
            examples = serialized(request.input)
            # One call of the session for all: they share their input.
            _, name, signature, _ = wanted[0]
            handles = list(dict.fromkeys(one.outputs[alias] for _, _, one, aliases in wanted for alias in aliases))
            values = self._run(servable, name, signature, {"inputs": examples}, (), timeout_ms, handles)
            found = dict(zip(handles, values, strict=True))
            response = inference_pb2.MultiInferenceResponse()
            for method, name, signature, aliases in wanted:
                result = response.results.add()
                _name(result.model_spec, servable, name)
                own = {alias: found[signature.outputs[alias]] for alias in aliases}
                if method == CLASSIFY:
                    _classifications(result.classification_result, own, len(examples))
                else:
                    _regressions(result.regression_result, own["outputs"], len(examples))
            return response

    def _tasks(self, servable: Servable, tasks) -> list[tuple[str, str, Signature, list[str]]]:
        """Returns method, signature and outputs of each task of a MultiInference; raises ServingStatus."""
        wanted: list[tuple[str, str, Signature, list[str]]] = []
        for task in tasks:
            name = task.model_spec.signature_name or DEFAULT_SIGNATURE
            if not task.model_spec.name:
                raise invalid("Found ModelSpec with an empty model name.")
            if task.model_spec.name != tasks[0].model_spec.name:
                raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
            if any(name == seen for _, seen, _, _ in wanted):
                raise invalid(f"Duplicate evaluation of signature: {name}")
            signature = servable.signatures.get(name)
            if signature is None:
                raise invalid(f"Requested signature not found in model graph: {name}")
            if task.method_name == CLASSIFY:
                outputs = _classification_outputs(signature, check=self.check_method_names)
            elif task.method_name == REGRESS:
                outputs = _regression_output(signature, check=self.check_method_names)
            else:
                raise ServingStatus(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
            if wanted and wanted[0][2].definition.inputs["inputs"].name != signature.definition.inputs["inputs"].name:
                raise invalid("Input tensor must be the same for all Signatures.")
            wanted.append((task.method_name, name, signature, outputs))
        return wanted

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a version; raises ServingStatus."""
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for one in request.metadata_field:
            if one != "signature_def":
                raise invalid(f"Metadata field {one} is not supported")
        servable = self.manager.acquire(spec)
        try:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            _name(response.model_spec, servable, "")
            signatures = get_model_metadata_pb2.SignatureDefMap()
            for name, definition in servable.definitions.items():
                signatures.signature_def[name].CopyFrom(definition)
            packed = any_pb2.Any()
            packed.Pack(signatures)
            response.metadata["signature_def"].CopyFrom(packed)
            return response
        finally:
            servable.release()

    def status(
        self, request: get_model_status_pb2.GetModelStatusRequest
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Returns the states of a model's versions, the newest first; raises ServingStatus."""
        spec = _spec(request)
        version = spec.version.value if spec.WhichOneof("version_choice") == "version" else None
        response = get_model_status_pb2.GetModelStatusResponse()
        for number, one in self.manager.statuses(spec.name, version):
            found = response.model_version_status.add(version=number, state=one.state)
            found.status.error_code = one.error.code.value[0] if one.error else 0
            found.status.error_message = one.error.message if one.error else ""
        return response

    def _example_signature(self, servable: Servable, name: str) -> Signature:
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f"No signature was found with the name: {name}")
        return signature

    def _run(
        self,
        servable: Servable,
        name: str,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        outputs: Iterable[str],
        timeout_ms: int | None,
        handles: list | None = None,
    ) -> list[np.ndarray]:
        rows = 1
        for array in arrays.values():
            if array.ndim and len(array) > rows:
                rows = len(array)
        if self.max_rows and rows > self.max_rows:
            raise Refusal(f"Request of {rows} rows; at most {self.max_rows} are taken (--max_batch_rows).")
        if self.guard:
            self.guard(servable, name, arrays)
        feeds = {signature.inputs[alias]: array for alias, array in arrays.items()}
        begin = time.perf_counter()
        values = self.run(servable, feeds, handles or [signature.outputs[alias] for alias in outputs], timeout_ms)
        self.metrics.ran(servable.name, rows, time.perf_counter() - begin)
        answer = [np.asarray(value) for value in values]
        if self.sampler and not handles:
            self.sampler(servable, name, arrays, dict(zip(outputs, answer, strict=True)))
        return answer


def _spec(request) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _name(spec: model_pb2.ModelSpec, servable: Servable, signature: str) -> None:
    spec.name = servable.name
    spec.signature_name = signature
    spec.version.value = servable.version


def _inputs(sent: Mapping[str, object], signature: Signature, max_bytes: int) -> dict[str, np.ndarray]:
    """Returns the arrays by alias, defaults filled in; raises ServingStatus as TF Serving does."""
    wanted, defaults = signature.inputs, signature.defaults
    if len(sent) > len(wanted) or (len(sent) < len(wanted) and not defaults):
        names, needed = sorted(sent), sorted(wanted)
        extra, missing = sorted(set(names) - set(needed)), sorted(set(needed) - set(names))
        raise invalid(
            f"input size does not match signature: {len(names)}!={len(needed)} len({{{','.join(names)}}}) != "
            f"len({{{','.join(needed)}}}). Sent extra: {{{','.join(extra)}}}. Missing but required: "
            f"{{{','.join(missing)}}}."
        )
    arrays = {}
    for alias in wanted:
        if alias in sent:
            try:
                arrays[alias] = to_array(sent[alias], max_bytes or MAX_BYTES)
            except (ValueError, MemoryError):
                raise invalid(f"tensor parsing error: {alias}") from None
        elif alias in defaults:
            arrays[alias] = defaults[alias]
        else:
            feed = signature.definition.inputs[alias].name
            raise invalid(
                f"Signature input alias: {alias}(feed name: {feed}) not found in request and no default value "
                f"provided. Inputs expected to be in the request {{{','.join(sorted(wanted))}}}, or default input "
                f"alias set: {','.join(sorted(defaults))}"
            )
    if len(sent) > sum(alias in sent for alias in wanted):
        extra = next(alias for alias in sorted(sent) if alias not in wanted)
        raise invalid(
            f"Inputs contains invalid name. Used request inputs: {','.join(sorted(set(sent) & set(wanted)))}, "
            f"request input: {extra}"
        )
    # TensorFlow finds wrong types too, but a batch of requests must not fail for one of them.
    for index, alias in enumerate(wanted):
        expected = signature.dtypes[alias]
        if alias in sent and (found := sent[alias].dtype) != expected:
            raise invalid(
                f"Expects arg[{index}] to be {data_type_name(expected)} but {data_type_name(found)} is provided"
            )
    return arrays


def _wanted_outputs(asked: Sequence[str], signature: Signature) -> list[str]:
    if not asked:
        return list(signature.outputs)
    for position, alias in enumerate(asked):
        if alias not in signature.outputs:
            raise invalid(
                f"output tensor alias not found in signature: {alias} Outputs expected to be in the set "
                f"{{{','.join(sorted(signature.outputs))}}}."
            )
        if alias in asked[:position]:
            raise invalid(f"duplicate output tensor alias: {alias}")
    return list(asked)


def serialized(sent: input_pb2.Input) -> np.ndarray:
    """Returns the examples of a request serialized, object `(examples,)`; raises ServingStatus without any."""
    kind = sent.WhichOneof("kind")
    if kind == "example_list_with_context":
        # Concatenated messages are merged ones: the context's features stand in each example.
        context = sent.example_list_with_context.context.SerializeToString()
        found = [context + example.SerializeToString() for example in sent.example_list_with_context.examples]
    else:
        found = [example.SerializeToString() for example in sent.example_list.examples] if kind else []
    if not found:
        raise invalid("Input is empty.")
    return strings(found)


def _one_input(signature: Signature, kind: str) -> None:
    inputs = list(signature.definition.inputs)
    if len(inputs) != 1:
        raise invalid("Expected one input Tensor.")
    if inputs[0] != "inputs":
        text = str(signature.definition).replace("\n", " ").strip()
        raise invalid(f"No {kind} inputs found in SignatureDef: {text}")


def _classification_outputs(signature: Signature, *, check: bool) -> list[str]:
    method = signature.definition.method_name
    if check and method != CLASSIFY:
        raise invalid(f"Expected classification signature method_name to be {CLASSIFY}. Was: {method}")
    _one_input(signature, "classification")
    outputs = list(signature.outputs)
    if len(outputs) not in (1, 2):
        raise invalid(f"Expected one or two output Tensors, found {len(outputs)}")
    found = [alias for alias in ("classes", "scores") if alias in outputs]
    if not found:
        text = str(signature.definition).replace("\n", " ").strip()
        raise invalid(
            f'Expected classification signature outputs to contain at least one of "classes" or "scores". '
            f"Signature was: {text}"
        )
    return found


def _regression_output(signature: Signature, *, check: bool) -> list[str]:
    method = signature.definition.method_name
    if check and method != REGRESS:
        raise invalid(f"Expected regression signature method_name to be {REGRESS}. Was: {method}")
    _one_input(signature, "regression")
    outputs = list(signature.outputs)
    if len(outputs) != 1:
        raise invalid(f"Expected one output Tensor, found {len(outputs)}")
    if outputs[0] != "outputs":
        text = str(signature.definition).replace("\n", " ").strip()
        raise invalid(f"No regression outputs found in SignatureDef: {text}")
    return outputs


def _classifications(
    result: classification_pb2.ClassificationResult, values: Mapping[str, np.ndarray], rows: int
) -> None:
    classes, scores = values.get("classes"), values.get("scores")
    for name, value, kind, word in (("classes", classes, "OSU", "DT_STRING"), ("scores", scores, "f", "DT_FLOAT")):
        if value is None:
            continue
        if value.ndim != 2:
            raise invalid(f"Expected Tensor shape: [batch_size num_classes] but got {_shape(value)}")
        if value.dtype.kind not in kind or (kind == "f" and value.dtype != np.float32):
            raise invalid(f"Expected {name} Tensor of {word}. Got: {_type_name(value)}")
        if len(value) != rows:
            raise invalid(f"Expected {name} output batch size of {rows}. Got: {len(value)}")
    if classes is not None and scores is not None and classes.shape[1] != scores.shape[1]:
        raise invalid(
            f"Tensors class and score should match in dim_size(1). Got {classes.shape[1]} vs. {scores.shape[1]}"
        )
    for row in range(rows):
        found = result.classifications.add().classes
        labels = classes[row].tolist() if classes is not None else None
        numbers = scores[row].tolist() if scores is not None else None
        for index in range(len(labels if labels is not None else numbers)):
            found.add(
                label=labels[index].decode(errors="replace") if labels is not None else "",
                score=numbers[index] if numbers is not None else 0.0,
            )


def _regressions(result: regression_pb2.RegressionResult, values: np.ndarray, rows: int) -> None:
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
