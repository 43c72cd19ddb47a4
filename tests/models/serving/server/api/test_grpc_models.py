"""Metadata, status and reload by gRPC."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_management_pb2,
)

from models.serving.protocol import config_files
from tests.models.serving.models import request
from tests.waiting import PATIENCE_S

pytestmark = pytest.mark.slow

X = request("tiny", x=np.float32([[1.0, 2.0]]))


def test_metadata_shows_all_signatures(server):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    message.model_spec.name = "tiny"

    response = server.prediction.GetModelMetadata(message, timeout=PATIENCE_S)

    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert {"serving_default", "two", "__saved_model_init_op"} <= set(signatures.signature_def)
    assert (response.model_spec.signature_name, response.model_spec.version.value) == ("", 7)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ([], "GetModelMetadataRequest must specify at least one metadata_field"),
        (["x"], "Metadata field x is not supported"),
    ],
)
def test_metadata_refuses_with_tf_servings_message(server, fields, words):
    message = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    message.model_spec.name = "tiny"

    assert server.refusal(server.prediction.GetModelMetadata, message) == ("INVALID_ARGUMENT", words)


def test_status_shows_existing_versions(server):
    message = get_model_status_pb2.GetModelStatusRequest()
    message.model_spec.name = "tiny"

    (version,) = server.model.GetModelStatus(message, timeout=PATIENCE_S).model_version_status

    assert (version.version, version.state, version.status.error_code) == (7, 30, 0)
    message.model_spec.version.value = 8
    assert server.refusal(server.model.GetModelStatus, message) == (
        "NOT_FOUND",
        "Could not find version 8 of model tiny",
    )
    message.model_spec.name = "other"
    message.model_spec.ClearField("version")
    assert server.refusal(server.model.GetModelStatus, message) == (
        "NOT_FOUND",
        "Could not find any versions of model other",
    )


def test_a_reload_returns_the_increase_of_counters_and_accepts_lists_of_models_only(server):
    message = model_management_pb2.ReloadConfigRequest(metric_names=["/tensorflow/serving/request_count", "/none"])
    file = next(flag for flag in server.process.flags if flag.startswith("--model_config_file=")).partition("=")[2]
    message.config.CopyFrom(config_files.read(file, config_files.ModelServerConfig))

    response = server.model.HandleReloadConfigRequest(message, timeout=PATIENCE_S)

    assert response.status.error_code == 0
    assert [(one.name, one.int64_value_increase) for one in response.metric] == [
        ("/tensorflow/serving/request_count", 0),
        ("/none", 0),
    ]
    assert server.prediction.Predict(X, timeout=PATIENCE_S).outputs["y"].float_val == [1.5, 2.5]
    message.config.custom_model_config.SetInParent()
    assert server.refusal(server.model.HandleReloadConfigRequest, message)[0] == "INVALID_ARGUMENT"
    code, words = server.refusal(server.model.HandleReloadConfigRequest, model_management_pb2.ReloadConfigRequest())
    assert (code, words.partition(".")[0]) == (
        "INVALID_ARGUMENT",
        "ServerModelConfig type not supported by HandleReloadConfigRequest",
    )


def test_a_reload_with_a_model_without_versions_ends_at_the_clients_deadline(server, tmp_path):
    file = next(flag for flag in server.process.flags if flag.startswith("--model_config_file=")).partition("=")[2]
    message = model_management_pb2.ReloadConfigRequest(config=config_files.read(file, config_files.ModelServerConfig))
    before = model_management_pb2.ReloadConfigRequest.FromString(message.SerializeToString())

    for number in range(4 * os.cpu_count() + 1):  # one more than there are threads to wait in
        empty = tmp_path / str(number)
        empty.mkdir()
        message.config.model_config_list.config.add(name=empty.name, base_path=str(empty), model_platform="tensorflow")
        with pytest.raises(grpc.RpcError) as error:
            server.model.HandleReloadConfigRequest(message, timeout=0.2)
        assert error.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED

    assert server.model.HandleReloadConfigRequest(before, timeout=PATIENCE_S).status.error_code == 0
    assert server.prediction.Predict(X, timeout=PATIENCE_S).outputs["y"].float_val == [1.5, 2.5]


@pytest.mark.parametrize(
    ("peer", "expected"),
    [("ipv4:127.0.0.1:5000", True), ("ipv6:%5B::1%5D:5000", True), ("unix:", True), ("unix:/tmp/s", True),
     ("ipv6:%5B::ffff:127.0.0.1%5D:5000", True), ("ipv4:10.0.0.7:5000", False), ("ipv6:%5Bfe80::1%5D:5000", False),
     ("", False)],
)  # fmt: skip
def test_clients_on_this_machine_are_recognized(peer, expected):
    from models.serving.server.api.grpc_api import is_local_peer

    assert is_local_peer(peer) == expected


@pytest.mark.parametrize(("allowed", "code"), [(False, "PERMISSION_DENIED"), (True, "INVALID_ARGUMENT")])
def test_another_machine_may_replace_the_config_only_where_a_flag_allows_it(allowed, code):
    from types import SimpleNamespace

    from models.serving.server.api.calls import AccessLog, Caller
    from models.serving.server.api.grpc_api import MODEL_SERVICE, handlers
    from models.serving.server.monitoring import Metrics

    class Refused(Exception):
        pass

    class Context:
        def time_remaining(self):
            return None

        def peer(self):
            return "ipv4:10.0.0.7:5000"

        async def abort(self, status, message):
            raise Refused(status.name, message)

    engine = SimpleNamespace(manager=SimpleNamespace(is_quick=lambda name: True), metrics=Metrics(), sampler=None)
    for name in ("predict", "classify", "regress", "multi_inference", "metadata", "status"):
        setattr(engine, name, None)
    with ThreadPoolExecutor(1) as threads:
        (service,) = [
            one
            for one in handlers(Caller(engine, threads, AccessLog("")), remote_reload=allowed)
            if one.service_name() == MODEL_SERVICE
        ]
        details = SimpleNamespace(method=f"/{MODEL_SERVICE}/HandleReloadConfigRequest", invocation_metadata=())
        with pytest.raises(Refused) as error:
            asyncio.run(service.service(details).unary_unary(b"", Context()))

    assert error.value.args[0] == code
