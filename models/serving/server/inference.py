"""The engine of both APIs: Predict, Classify, Regress, MultiInference, GetModelMetadata; requests in, responses out."""

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
Answer = TypeVar("Answer")
Validator = Callable[[Servable, str, Mapping[str, np.ndarray]], None]


# What no client brings about, however it words its request.
OWN_FAULTS = (Code.INTERNAL, Code.UNKNOWN, Code.DATA_LOSS, Code.ABORTED)


@dataclass(frozen=True)
class Engine:
    """What answers requests; all calls below may come from any thread.

    Attributes:
        manager: Knows the versions.
        metrics: Counts.
        run: Runs a version, `(servable, feeds, fetches, timeout_ms) -> values`; batches where that is on.
        validate: Refuses what the training schema rules out, or None.
        sampler: Keeps a sample of requests and answers, or None.
        check_method_names: Whether a signature must have the method name that belongs to the call.
        as_content: Whether tensors are answered as `tensor_content`.
        max_rows: Most rows in a request; 0: no limit.
        max_bytes: Largest tensor that fewer values than it has room for may be filled up to; 0: TensorFlow's limit.
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
        """Returns what a signature says about the inputs.

        Raises:
            ServingStatus: The request cannot be answered.
        """
        return self._counted(_spec(request), lambda engine, servable: engine._predict(servable, request, timeout_ms))

    def _predict(
        self, servable: Servable, request: predict_pb2.PredictRequest, timeout_ms: int | None
    ) -> predict_pb2.PredictResponse:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._predicting_signature(servable, name)
        arrays = read_inputs(request.inputs, signature, self.max_bytes)
        outputs = select_outputs(request.output_filter, signature)
        values = self._run(servable, signature, arrays, outputs, timeout_ms)
        response = predict_pb2.PredictResponse()
        _name(response.model_spec, servable, name)
        for alias, value in zip(outputs, values, strict=True):
            fill(response.outputs[alias], value, as_content=self.as_content)
        return response

    def predict_json(self, spec: model_pb2.ModelSpec, body: bytes, timeout_ms: int | None = None) -> tuple[bytes, int]:
        """Returns the answer to a REST predict request as JSON, and the version; raises ServingStatus."""
        return self._counted(spec, lambda engine, servable: engine._predict_json(servable, body, timeout_ms))

    def _predict_json(self, servable: Servable, body: bytes, timeout_ms: int | None) -> tuple[bytes, int]:
        document = json_requests.parse(body)
        name = json_requests.signature_name(document) or DEFAULT_SIGNATURE
        if name not in servable.definitions:
            raise invalid(f'Serving signature name: "{name}" not found in signature def')
        inputs = servable.definitions[name].inputs
        if not inputs:
            raise invalid(f"Failed to get input map for signature: {name}")
        arrays, by_row = json_requests.read_inputs(document, inputs)
        signature = self._predicting_signature(servable, name)
        outputs = select_outputs((), signature)
        values = self._run(servable, signature, arrays, outputs, timeout_ms)
        write = json_responses.write_rows if by_row else json_responses.write_columns
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
        return self._counted(_spec(request), lambda engine, servable: engine._classify(servable, request, timeout_ms))

    def _classify(
        self, servable: Servable, request: classification_pb2.ClassificationRequest, timeout_ms: int | None
    ) -> classification_pb2.ClassificationResponse:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._example_signature(servable, name)
        outputs = classification_outputs(signature, check_method_name=self.check_method_names)
        examples = serialized_examples(request.input)
        values = self._run(servable, signature, {"inputs": examples}, outputs, timeout_ms)
        response = classification_pb2.ClassificationResponse()
        _name(response.model_spec, servable, name)
        fill_classifications(response.result, dict(zip(outputs, values, strict=True)), len(examples))
        return response

    def regress(
        self, request: regression_pb2.RegressionRequest, timeout_ms: int | None = None
    ) -> regression_pb2.RegressionResponse:
        """Returns the number for each example; raises ServingStatus."""
        return self._counted(_spec(request), lambda engine, servable: engine._regress(servable, request, timeout_ms))

    def _regress(
        self, servable: Servable, request: regression_pb2.RegressionRequest, timeout_ms: int | None
    ) -> regression_pb2.RegressionResponse:
        name = request.model_spec.signature_name or DEFAULT_SIGNATURE
        signature = self._example_signature(servable, name)
        regression_outputs(signature, check_method_name=self.check_method_names)
        examples = serialized_examples(request.input)
        values = self._run(servable, signature, {"inputs": examples}, ["outputs"], timeout_ms)
        response = regression_pb2.RegressionResponse()
        _name(response.model_spec, servable, name)
        fill_regressions(response.result, values[0], len(examples))
        return response

    def multi_inference(
        self, request: inference_pb2.MultiInferenceRequest, timeout_ms: int | None = None
    ) -> inference_pb2.MultiInferenceResponse:
        """Returns what several signatures of one version say about the same examples; raises ServingStatus."""
        spec = request.tasks[0].model_spec if request.tasks else model_pb2.ModelSpec()
        return self._counted(spec, lambda engine, servable: engine._multi_inference(servable, request, timeout_ms))

    def _multi_inference(
        self, servable: Servable, request: inference_pb2.MultiInferenceRequest, timeout_ms: int | None
    ) -> inference_pb2.MultiInferenceResponse:
        wanted = self._tasks(servable, request.tasks)
        examples = serialized_examples(request.input)
        if self.validate:
            for _, name, _, _ in wanted:
                self.validate(servable, name, {"inputs": examples})
        # One call of the session for all; of signatures that Keras exports each has an input tensor of its own.
        feeds = {signature.inputs["inputs"]: examples for _, _, signature, _ in wanted}
        handles = list(dict.fromkeys(one.outputs[alias] for _, _, one, aliases in wanted for alias in aliases))
        values = self._call(servable, feeds, handles, timeout_ms)
        found = dict(zip(handles, values, strict=True))
        response = inference_pb2.MultiInferenceResponse()
        for method, name, signature, aliases in wanted:
            result = response.results.add()
            _name(result.model_spec, servable, name)
            own = {alias: found[signature.outputs[alias]] for alias in aliases}
            if method == CLASSIFY:
                fill_classifications(result.classification_result, own, len(examples))
            else:
                fill_regressions(result.regression_result, own["outputs"], len(examples))
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
                outputs = classification_outputs(signature, check_method_name=self.check_method_names)
            elif task.method_name == REGRESS:
                outputs = regression_outputs(signature, check_method_name=self.check_method_names)
            else:
                raise ServingStatus(Code.UNIMPLEMENTED, f"Unsupported signature method_name: {task.method_name}")
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

    def _counted(self, spec: model_pb2.ModelSpec, answer: "Callable[[Engine, Servable], Answer]") -> Answer:
        """Returns the answer of the version that a request names, and counts for or against that version what it was.

        An error counts against a version only where no client can bring it about, or where another version answers the
        same request: else a client's bad input would take a canary back.

        Args:
            spec: Of the request.
            answer: Returns the answer of an engine and a version, or raises ServingStatus.
        """
        servable = self.manager.acquire(spec)
        begin = time.perf_counter()
        try:
            found = answer(self, servable)
            servable.recent.add(False, time.perf_counter() - begin)
            return found
        except Refusal:
            raise
        except ServingStatus as status:
            seconds = time.perf_counter() - begin
            if status.code in OWN_FAULTS or self._another_answers(servable, answer):
                servable.recent.add(True, seconds)
            raise
        except Exception:
            servable.recent.add(True, time.perf_counter() - begin)
            raise
        finally:
            servable.release()

    def _another_answers(self, servable: Servable, answer: "Callable[[Engine, Servable], Any]") -> bool:
        """Whether another live version of the same model answers a request."""
        other = self.manager.acquire_another(servable)
        if other is None:
            return False
        unseen = replace(self, metrics=Metrics(), run=Servable.run, validate=None, sampler=None)
        try:
            answer(unseen, other)
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
        """Returns the outputs of a signature in the order of `outputs`, once its inputs are validated."""
        if self.validate:
            self.validate(servable, signature.name, arrays)
        feeds = {signature.inputs[alias]: array for alias, array in arrays.items()}
        answer = self._call(servable, feeds, [signature.outputs[alias] for alias in outputs], timeout_ms)
        if self.sampler:
            self.sampler(servable, signature.name, arrays, dict(zip(outputs, answer, strict=True)))
        return answer

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
        # A string of no dimensions comes as bytes, of whose end numpy's own type for them cuts zeros off.
        return [np.asarray(value, object if isinstance(value, bytes) else None) for value in values]


def _spec(request) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid("Missing ModelSpec")
    return request.model_spec


def _name(spec: model_pb2.ModelSpec, servable: Servable, signature: str) -> None:
    spec.name = servable.name
    spec.signature_name = signature
    spec.version.value = servable.version
