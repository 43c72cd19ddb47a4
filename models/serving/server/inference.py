"""The inference engine of both APIs: Predict, Classify, Regress, MultiInference, GetModelMetadata, GetModelStatus."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np
from google.protobuf import any_pb2
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)

from models.serving.protocol import json_requests, json_responses
from models.serving.protocol.example_calls import (
    classification_outputs,
    fill_classifications,
    fill_regressions,
    regression_outputs,
    serialized_examples,
)
from models.serving.protocol.signatures import (
    CLASSIFY,
    DEFAULT_SIGNATURE,
    PREDICT,
    REGRESS,
    Signature,
    read_inputs,
    select_outputs,
)
from models.serving.protocol.statuses import Code, Refusal, ServingStatus, invalid
from models.serving.protocol.tensors import fill
from models.serving.server.manager import ModelManager
from models.serving.server.monitoring import Metrics
from models.serving.server.servable import Servable

Runner = Callable[[Servable, Mapping[object, np.ndarray], Sequence[object], int | None], list[np.ndarray]]
Response = TypeVar("Response")
Validator = Callable[[Servable, str, Mapping[str, np.ndarray]], None]


# Errors that no request of a client can cause.
SERVER_ERRORS = (Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS, Code.ABORTED)


@dataclass(frozen=True)
class Engine:
    """Answers requests; its methods may be called from any thread.

    Attributes:
        manager: Holds the live versions.
        metrics: Counts requests and durations.
        run: Runs a version, `(servable, feeds, fetches, timeout_ms) -> values`: with or without batching.
        validate: Input validation, `(servable, signature name, arrays)`; None: off.
        sampler: Stores a sample of requests and predictions; None: off.
        check_method_names: Whether a signature must have the method name that belongs to the call.
        as_content: Whether responses hold tensors as `tensor_content`.
        max_rows: Maximum number of rows in a request; 0: no limit.
        max_bytes: Size limit of a tensor that has fewer values than its shape and is filled up; 0: TensorFlow's.
    """

    manager: ModelManager
    metrics: Metrics
    run: Runner
    validate: Validator | None = None
    sampler: Callable[..., None] | None = None
    check_method_names: bool = False
    as_content: bool = False
    max_rows: int = 0
    max_bytes: int = 0

    def predict(
        self, request: predict_pb2.PredictRequest, timeout_ms: int | None = None
    ) -> predict_pb2.PredictResponse:
        """Returns the outputs of a signature for the inputs of the request.

        Args:
            request: The request.
            timeout_ms: Milliseconds after which the call fails; None: no limit.

        Raises:
            ServingStatus: The request is invalid, or the call failed.
        """
        return self._answer(_spec(request), lambda engine, servable: engine._predict(servable, request, timeout_ms))

    def _predict(
        self, servable: Servable, request: predict_pb2.PredictRequest, timeout_ms: int | None
    ) -> predict_pb2.PredictResponse:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._predict_signature(servable, name)
        arrays = read_inputs(request.inputs, signature, self.max_bytes)
        outputs = select_outputs(request.output_filter, signature)
        values = self._run(servable, signature, arrays, outputs, timeout_ms)
        response = predict_pb2.PredictResponse()
        _set_spec(response.model_spec, servable, name)
        for alias, value in zip(outputs, values, strict=True):
            fill(response.outputs[alias], value, as_content=self.as_content)
        return response

    def predict_json(self, spec: model_pb2.ModelSpec, body: bytes, timeout_ms: int | None = None) -> tuple[bytes, int]:
        """Returns the JSON response to a REST predict request, and the version; raises ServingStatus."""
        return self._answer(spec, lambda engine, servable: engine._predict_json(servable, body, timeout_ms))

    def _predict_json(self, servable: Servable, body: bytes, timeout_ms: int | None) -> tuple[bytes, int]:
        document = json_requests.parse(body)
        name = json_requests.signature_name(document) or DEFAULT_SIGNATURE
        if name not in servable.definitions:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        inputs = servable.definitions[name].inputs
        if not inputs:
            raise invalid(f"Failed to get input map for signature: {name}")
        arrays, by_row = json_requests.read_inputs(document, inputs)
        signature = self._predict_signature(servable, name)
        outputs = select_outputs((), signature)
        values = self._run(servable, signature, arrays, outputs, timeout_ms)
        write = json_responses.write_rows if by_row else json_responses.write_columns
        return write(dict(zip(outputs, values, strict=True))), servable.version

    def _predict_signature(self, servable: Servable, name: str) -> Signature:
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
        return self._answer(_spec(request), lambda engine, servable: engine._classify(servable, request, timeout_ms))

    def _classify(
        self, servable: Servable, request: classification_pb2.ClassificationRequest, timeout_ms: int | None
    ) -> classification_pb2.ClassificationResponse:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._example_signature(servable, name)
        outputs = classification_outputs(signature, check_method_name=self.check_method_names)
        examples = serialized_examples(request.input)
        values = self._run(servable, signature, {"inputs": examples}, outputs, timeout_ms)
        response = classification_pb2.ClassificationResponse()
        _set_spec(response.model_spec, servable, name)
        fill_classifications(response.result, dict(zip(outputs, values, strict=True)), len(examples))
        return response

    def regress(
        self, request: regression_pb2.RegressionRequest, timeout_ms: int | None = None
    ) -> regression_pb2.RegressionResponse:
        """Returns the number for each example; raises ServingStatus."""
        return self._answer(_spec(request), lambda engine, servable: engine._regress(servable, request, timeout_ms))

    def _regress(
        self, servable: Servable, request: regression_pb2.RegressionRequest, timeout_ms: int | None
    ) -> regression_pb2.RegressionResponse:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._example_signature(servable, name)
        regression_outputs(signature, check_method_name=self.check_method_names)
        examples = serialized_examples(request.input)
        values = self._run(servable, signature, {"inputs": examples}, ["outputs"], timeout_ms)
        response = regression_pb2.RegressionResponse()
        _set_spec(response.model_spec, servable, name)
        fill_regressions(response.result, values[0], len(examples))
        return response

    def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, timeout_ms: int | None = None
    ) -> inference_pb2.MultiInferenceResponse:
        """Returns the outputs of several signatures of one version for the same examples; raises ServingStatus."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        return self._answer(spec, lambda engine, servable: engine._multi_inference(servable, request, timeout_ms))

    def _multi_inference(
        self, servable: Servable, request: inference_pb2.MultiInferenceRequest, timeout_ms: int | None
    ) -> inference_pb2.MultiInferenceResponse:
        tasks = self._tasks(servable, request.tasks)
        examples = serialized_examples(request.input)
        if self.validate:
            for _, name, _, _ in tasks:
                self.validate(servable, name, {"inputs": examples})
        # One call of the session for all tasks; each signature that Keras exports has its own input tensor.
        feeds = {signature.inputs["inputs"]: examples for _, _, signature, _ in tasks}
        handles = list(
            dict.fromkeys(signature.outputs[alias] for _, _, signature, aliases in tasks for alias in aliases)
        )
        values = self._call(servable, feeds, handles, timeout_ms)
        values_by_handle = dict(zip(handles, values, strict=True))
        response = inference_pb2.MultiInferenceResponse()
        for method, name, signature, aliases in tasks:
            result = response.results.add()
            _set_spec(result.model_spec, servable, name)
            outputs = {alias: values_by_handle[signature.outputs[alias]] for alias in aliases}
            if method == CLASSIFY:
                fill_classifications(result.classification_result, outputs, len(examples))
            else:
                fill_regressions(result.regression_result, outputs["outputs"], len(examples))
        return response

    def _tasks(self, servable: Servable, tasks) -> list[tuple[str, str, Signature, list[str]]]:
        """Returns method, signature and outputs of each task of a MultiInference; raises ServingStatus."""
        parsed: list[tuple[str, str, Signature, list[str]]] = []
        for task in tasks:
            name = task.model_spec.signature_name or DEFAULT_SIGNATURE
            if not task.model_spec.name:
                raise invalid("Found ModelSpec with an empty model name.")
            if task.model_spec.name != tasks[0].model_spec.name:
                raise invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name.")
            if any(name == other for _, other, _, _ in parsed):
                raise invalid(f"Duplicate evaluation of signature: {name}")
            signature = servable.signatures.get(name)
            if signature is None:
                raise invalid(f"Requested signature not found in model graph: {name}")
            if task.method_name == CLASSIFY:
                outputs = classification_outputs(signature, check_method_name=self.check_method_names)
            elif task.method_name == REGRESS:
                outputs = regression_outputs(signature, check_method_name=self.check_method_names)
            else:
                raise ServingStatus(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
            parsed.append((task.method_name, name, signature, outputs))
        return parsed

    def metadata(
        self, request: get_model_metadata_pb2.GetModelMetadataRequest
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Returns the signatures of a version; raises ServingStatus."""
        spec = _spec(request)
        if not request.metadata_field:
            raise invalid("GetModelMetadataRequest must specify at least one metadata_field")
        for name in request.metadata_field:
            if name != "signature_def":
                raise invalid(f"Metadata field {name} is not supported")
        servable = self.manager.acquire(spec)
        try:
            response = get_model_metadata_pb2.GetModelMetadataResponse()
            _set_spec(response.model_spec, servable, "")
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
        for number, version_state in self.manager.statuses(spec.name, version):
            status = response.model_version_status.add(version=number, state=version_state.state).status
            status.error_code = version_state.error.code.value[0] if version_state.error else 0
            status.error_message = version_state.error.message if version_state.error else ""
        return response

    def _answer(self, spec: model_pb2.ModelSpec, call: "Callable[[Engine, Servable], Response]") -> Response:
        """Returns the response of the version that a request names, and records the latency or error of that version.

        An error is recorded only if no request can cause it, or if another version answers the same request: otherwise
        invalid requests of a client would end a canary.

        Args:
            spec: The request's model, version and label.
            call: Returns the response of an engine and a version, or raises ServingStatus.

        Raises:
            ServingStatus: There is no such version, or `call` raised it.
        """
        servable = self.manager.acquire(spec)
        begin = time.perf_counter()
        try:
            response = call(self, servable)
            servable.recent.add(False, time.perf_counter() - begin)
            return response
        except Refusal:
            raise
        except ServingStatus as status:
            seconds = time.perf_counter() - begin
            if status.code in SERVER_ERRORS or self._another_succeeds(servable, call):
                servable.recent.add(True, seconds)
            raise
        except Exception:
            servable.recent.add(True, time.perf_counter() - begin)
            raise
        finally:
            servable.release()

    def _another_succeeds(self, servable: Servable, call: "Callable[[Engine, Servable], Any]") -> bool:
        """Whether another live version of the same model answers the same request without an error."""
        other = self.manager.acquire_another(servable)
        if other is None:
            return False
        plain_engine = replace(self, metrics=Metrics(), run=Servable.run, validate=None, sampler=None)
        try:
            call(plain_engine, other)
            return True
        except ServingStatus:
            return False
        finally:
            other.release()

    def _example_signature(self, servable: Servable, name: str) -> Signature:
        signature = servable.signatures.get(name)
        if signature is None:
            raise invalid(f"No signature was found with the name: {name}")
        return signature

    def _run(
        self,
        servable: Servable,
        signature: Signature,
        arrays: Mapping[str, np.ndarray],
        outputs: Sequence[str],
        timeout_ms: int | None,
    ) -> list[np.ndarray]:
        """Validates the inputs and returns the values of `outputs`, in their order."""
        if self.validate:
            self.validate(servable, signature.name, arrays)
        feeds = {signature.inputs[alias]: array for alias, array in arrays.items()}
        values = self._call(servable, feeds, [signature.outputs[alias] for alias in outputs], timeout_ms)
        if self.sampler:
            self.sampler(servable, signature.name, arrays, dict(zip(outputs, values, strict=True)))
        return values

    def _call(
        self, servable: Servable, feeds: Mapping[object, np.ndarray], fetches: Sequence[object], timeout_ms: int | None
    ) -> list[np.ndarray]:
        rows = 1
        for array in feeds.values():
            if array.ndim and len(array) > rows:
                rows = len(array)
        if self.max_rows and rows > self.max_rows:
            raise Refusal(f"Request of {rows} rows; at most {self.max_rows} are taken (--max_batch_rows).")
        begin = time.perf_counter()
        values = self.run(servable, feeds, fetches, timeout_ms)
        self.metrics.ran(servable.name, rows, time.perf_counter() - begin)
        # A scalar string comes as bytes; numpy's fixed-width type would drop its trailing zero bytes.
        return [np.asarray(value, object if isinstance(value, bytes) else None) for value in values]


def _spec(request) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _set_spec(spec: model_pb2.ModelSpec, servable: Servable, signature: str) -> None:
    spec.name = servable.name
    spec.signature_name = signature
    spec.version.value = servable.version
