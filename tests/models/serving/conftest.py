"""A server of a tiny model in its own process, shared by all tests that only send requests."""

import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field

import grpc
import pytest

from models.serving.deployment.manifests import MONITORING
from models.serving.deployment.process import ServerProcess, running
from tests.waiting import PATIENCE_S


@dataclass
class ServerClient:
    """Clients of both APIs of a running server."""

    process: ServerProcess
    channel: grpc.Channel = field(init=False)

    def __post_init__(self):
        from tensorflow_serving.apis import model_service_pb2_grpc, prediction_service_pb2_grpc

        self.channel = grpc.insecure_channel(f"127.0.0.1:{self.process.port}")
        self.prediction = prediction_service_pb2_grpc.PredictionServiceStub(self.channel)
        self.model = model_service_pb2_grpc.ModelServiceStub(self.channel)

    def refusal(self, call, request, **options) -> tuple[str, str]:
        """Returns the status code and message of a call that must fail."""
        with pytest.raises(grpc.RpcError) as error:
            call(request, timeout=PATIENCE_S, **options)
        return error.value.code().name, error.value.details()

    def http(self, path: str, body=None, method: str | None = None, **headers) -> tuple[int, str, dict]:
        """Returns status, text and headers; a body other than bytes is sent as JSON."""
        content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
        url = f"http://127.0.0.1:{self.process.rest_port}{path}"
        request = urllib.request.Request(
            url, content, {k.replace("_", "-"): v for k, v in headers.items()}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
                return reply.status, reply.read().decode(errors="replace"), dict(reply.headers)
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode(errors="replace"), dict(error.headers)

    def predict(self, body, model: str = "tiny") -> dict:
        """Returns the response to a REST predict request; its status must be 200."""
        status, text, _ = self.http(f"/v1/models/{model}:predict", body)
        assert status == 200, text
        return json.loads(text)

    def error(self, body, verb: str = "predict", model: str = "tiny") -> tuple[int, str]:
        """Returns status and error text of a REST request that must fail."""
        status, text, _ = self.http(f"/v1/models/{model}:{verb}", body)
        return status, json.loads(text)["error"]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """The folder of a SavedModel, to be copied or linked."""
    from tests.models.serving.models import save

    return save(tmp_path_factory.mktemp("tiny") / "model")


@pytest.fixture(scope="session")
def server(tiny_model, tmp_path_factory):
    """A client of a server with the models `tiny`, version 7, and `spinning`, version 1."""
    import shutil

    from models.serving.rollout.rollouts import Rollout, config_list
    from tests.models.serving.models import save_spinning

    folder = tmp_path_factory.mktemp("server")
    shutil.copytree(tiny_model, folder / "tiny" / "7")
    save_spinning(folder / "spinning" / "1")
    (folder / "models").write_text(config_list({"tiny": Rollout(), "spinning": Rollout()}, folder))
    (folder / "monitoring").write_text(MONITORING)
    flags = [
        f"--model_config_file={folder / 'models'}",
        f"--monitoring_config_file={folder / 'monitoring'}",
        f"--access_log={folder / 'access.jsonl'}",
        "--max_request_mib=1",
        "--enable_grpc_healthcheck_service",
        "--no_such_flag=3",
    ]
    process = ServerProcess(flags, folder / "log")
    with running(process):
        client = ServerClient(process)
        yield client
        client.channel.close()
