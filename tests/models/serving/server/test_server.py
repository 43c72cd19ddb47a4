"""How the server starts, stops, and what it does with its flags."""

import http.client
import signal
import socket
import subprocess
import sys
import threading

import grpc
import numpy as np
import pytest
import tensorflow as tf

from data.errors import ServingError
from data.spec import DatasetSpec, NumberFeature
from models.serving.deployment.process import ServerProcess, free_port, running
from models.serving.protocol import flags as flag_syntax
from models.serving.protocol import input_rules, warmup
from models.serving.rollout.rollouts import Rollout, config_list, config_text
from tests.conftest import ROOT
from tests.models.serving.conftest import ServerClient
from tests.models.serving.models import request, save, save_compiled, save_spinning
from tests.waiting import PATIENCE_S, until


def test_flags_are_parsed_in_tensorflows_syntax():
    flags, unknown = flag_syntax.parse(["--port=1", "--enable_batching", "-input_validation=false", "--x=3", "word"])

    assert (flags.port, flags.enable_batching, flags.input_validation) == (1, True, False)
    assert unknown == ["--x=3", "word"]


@pytest.mark.parametrize("argument", ["--input_validation=false", "--input_guard=false"])
def test_unit_files_that_have_the_old_name_of_input_validation_still_turn_it_off(argument):
    flags, unknown = flag_syntax.parse([argument])

    assert (flags.input_validation, unknown) == (False, [])


@pytest.mark.parametrize(
    ("argument", "words"),
    [("--port=x", "--port: expected an integer, found 'x'"), ("--enable_batching=2", "expected true or false"),
     ("--model_name", "expected --model_name=VALUE")],
)  # fmt: skip
def test_a_value_of_another_type_is_refused(argument, words):
    with pytest.raises(flag_syntax.BadFlag, match=words):
        flag_syntax.parse([argument])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--port=x"], "--port: expected an integer"),
        ([], "Both server_options.model_base_path and server_options.model_config_file are empty!"),
        (["--port=0", "--model_base_path=/a"], "At least one of port or grpc_socket_path must be set."),
        (["--model_base_path=/a", "--batching_parameters_file=/b"], "batching_parameters_file is set without setting"),
        (["--model_base_path=/a", "--ssl_config_file=/b"], "the embedded server knows no --ssl_config_file"),
    ],
)
def test_invalid_flags_are_reported_on_standard_output(arguments, words):
    done = subprocess.run(
        [sys.executable, "-m", "models.serving.server", *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip

    assert done.returncode == 255
    assert words in done.stdout


@pytest.mark.slow
def test_protobufs_message_about_a_config_is_written_to_standard_error(tmp_path):
    (tmp_path / "models").write_text("model_config_list { config { nam: 1 } }")
    done = subprocess.run(
        [sys.executable, "-m", "models.serving.server", f"--model_config_file={tmp_path / 'models'}"],
        cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE_S,
    )  # fmt: skip

    assert done.returncode == 255
    assert "Error parsing text-format tensorflow.serving.ModelServerConfig: 1:30" in done.stderr
    assert done.stdout.startswith("Failed to start server. Error: ")


@pytest.mark.slow
def test_a_malformed_config_stops_the_server_with_protobufs_message(tmp_path):
    (tmp_path / "models").write_text("model_config_list { config { nam: 1 } }")
    server = ServerProcess([f"--model_config_file={tmp_path / 'models'}"], tmp_path / "log")

    with pytest.raises(ServingError, match=r"Error parsing text-format tensorflow\.serving\.ModelServerConfig: 1:30"):
        server.start() or server.wait(PATIENCE_S)
    assert server.process.returncode == 255


@pytest.mark.slow
def test_labels_in_the_first_config_are_refused_unless_early_labels_are_allowed(tmp_path):
    save(tmp_path / "m" / "1")
    (tmp_path / "models").write_text(config_text("m", tmp_path / "m", Rollout(1)))
    flags = [f"--model_config_file={tmp_path / 'models'}"]

    with (
        pytest.raises(ServingError, match="Request to assign label to version 1 of model m, which is not currently"),
        running(ServerProcess(flags, tmp_path / "log")),
    ):
        pass
    early = ServerProcess([*flags, "--allow_version_labels_for_unavailable_models"], tmp_path / "log")
    with running(early):
        status, _, _ = ServerClient(early).http("/v1/models/m/labels/stable:predict", {"instances": [[1, 2]]})
    assert status == 200


@pytest.mark.slow
def test_a_model_that_does_not_load_ends_the_server_with_the_reason(tmp_path):
    (tmp_path / "m" / "1").mkdir(parents=True)
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0"]

    with (
        pytest.raises(ServingError, match=r"1 servable\(s\) did not become available.*Could not find SavedModel"),
        running(ServerProcess(flags, tmp_path / "log")),
    ):
        pass


@pytest.mark.slow
def test_warm_up_requests_are_replayed_and_one_that_fails_fails_the_load(tmp_path):
    model = save(tmp_path / "m" / "1")
    inputs, outputs = {"x": np.float32([[1, 2]])}, {"y": np.float32([[1.5, 2.5]])}
    warmup.write(model, [("serving_default", inputs, outputs)])
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0"]
    with running(ServerProcess(flags, tmp_path / "log")):
        pass

    warmup.write(model, [("nope", inputs, outputs)])
    with (
        pytest.raises(ServingError, match='FAILED_PRECONDITION: Serving signature key "nope" not found'),
        running(ServerProcess(flags, tmp_path / "log")),
    ):
        pass
    (model / warmup.FILE).write_bytes(b"this is no record" * 9)
    with (
        pytest.raises(ServingError, match=r"DATA_LOSS: .*Please verify your warmup data is in TFRecord format"),
        running(ServerProcess(flags, tmp_path / "log")),
    ):
        pass


@pytest.mark.slow
def test_a_model_that_requires_xla_fails_as_in_tf_serving(tmp_path):
    model = save_compiled(tmp_path / "m" / "1")
    warmup.write(model, [("serving_default", {"x": np.float32([1])}, {"y": np.float32([2])})])
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_num_load_retries=0"]

    with (
        pytest.raises(ServingError, match="XLA compilation disabled"),
        running(ServerProcess(flags, tmp_path / "log")),
    ):
        pass
    with running(ServerProcess([*flags, "--xla_cpu_compilation_enabled"], tmp_path / "log")):
        pass


@pytest.mark.slow
def test_batched_predictions_equal_single_ones_and_a_unix_socket_works(tmp_path):
    save(tmp_path / "m" / "1")
    (tmp_path / "batching").write_text(
        "max_batch_size { value: 16 } batch_timeout_micros { value: 20000 } num_batch_threads { value: 2 }"
    )
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--enable_batching",
             f"--batching_parameters_file={tmp_path / 'batching'}", f"--grpc_socket_path={tmp_path / 's'}",
             "--rest_api_enable_cors_support", "--enable_serialization_as_tensor_content"]  # fmt: skip
    server = ServerProcess(flags, tmp_path / "log")
    with running(server):
        client = ServerClient(server)
        futures = [
            client.prediction.Predict.future(request("m", x=np.float32([[number, number]])), timeout=PATIENCE_S)
            for number in range(40)
        ]
        for number, future in enumerate(futures):
            output = tf.make_ndarray(future.result().outputs["y"])
            assert output.tolist() == [[number + 0.5, number + 0.5]]
            assert future.result().outputs["y"].tensor_content
        _, _, headers = client.http("/v1/models/m:predict", {"instances": [[1, 2]]})
        assert headers["Access-Control-Allow-Origin"] == "*"
        client.channel.close()
        with grpc.insecure_channel(f"unix:{tmp_path / 's'}") as channel:
            call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
            assert call(request("m", x=np.float32([[1, 2]])).SerializeToString(), timeout=PATIENCE_S)


def _terminate(server: ServerProcess) -> int:
    """Returns the exit code, however long the server takes."""
    server.process.send_signal(signal.SIGTERM)
    return server.process.wait(PATIENCE_S)


def _wait_until_idle(client: ServerClient, model: str) -> None:
    until(lambda: client.http(f"/v1/models/{model}")[0] == 200)


def _on_its_way(client: ServerClient, model: str, steps: int, timeout: float):
    """Returns a call that a server with --max_concurrency=1 is running; None where it ends too soon for that."""
    call = client.prediction.Predict.future(request(model, steps=np.int32(steps)), timeout=timeout)
    while not call.done():
        if client.http(f"/v1/models/{model}")[0] == 429:
            return call
    return None


@pytest.mark.slow
def test_sigterm_lets_a_running_request_finish(tmp_path):
    save_spinning(tmp_path / "m" / "1")
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}", "--max_concurrency=1",
             f"--drain_seconds={PATIENCE_S}"]  # fmt: skip
    server = ServerProcess(flags, tmp_path / "log")
    with running(server):
        client, steps = ServerClient(server), 1000
        while (call := _on_its_way(client, "m", steps, PATIENCE_S)) is None:
            steps *= 4
        call.cancel()
        _wait_until_idle(client, "m")
        # Of one that another request has met on its way, a hundred times as long is on its way when the signal comes.
        call = None
        while call is None:  # refused itself where it comes beside a request for the status
            call = _on_its_way(client, "m", 100 * steps, PATIENCE_S)
        code = _terminate(server)

    assert code == 0
    assert call.result().outputs["n"].int_val == [100 * steps]


@pytest.mark.slow
def test_a_port_in_use_is_reported(tmp_path):
    save(tmp_path / "m" / "1")
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}"]
    with socket.create_server(("127.0.0.1", 0)) as taken:
        server = ServerProcess(flags, tmp_path / "log", port=taken.getsockname()[1], rest_port=free_port())
        with (
            pytest.raises(ServingError, match=r"Error starting gRPC server: 127\.0\.0\.1:[0-9]+ is taken"),
            running(server),
        ):
            pass


@pytest.mark.slow
def test_input_validation_is_on_and_one_flag_turns_it_off(tmp_path):
    model = save(tmp_path / "m" / "1")
    spec = DatasetSpec(name="", title="", licence="", features={"age": NumberFeature(min=0, max=10)})
    input_rules.write(model, spec, {"two": {"a": "age"}})
    flags = ["--model_name=m", f"--model_base_path={tmp_path / 'm'}"]
    body = {"signature_name": "two", "inputs": {"a": [3, 11, 4], "b": [1, 2, 3]}}
    validated = ServerProcess(flags, tmp_path / "log")
    with running(validated):
        client = ServerClient(validated)
        words = "Input validation: row 1, age: expected at most 10, found 11."
        assert client.error(body, model="m") == (400, words)
        wrong = request("m", "two", a=np.float32([3, 11]), b=np.int32([1, 2]))
        assert client.refusal(client.prediction.Predict, wrong) == ("INVALID_ARGUMENT", words)
    open_ = ServerProcess([*flags, "--input_guard=false"], tmp_path / "log")  # its old name
    with running(open_):
        assert ServerClient(open_).predict(body, "m")["outputs"]["sum"] == [4.0, 13.0, 7.0]


@pytest.mark.slow
def test_rows_and_concurrent_calls_are_limited(tmp_path):
    save(tmp_path / "m" / "1")
    save_spinning(tmp_path / "s" / "1")
    (tmp_path / "models").write_text(config_list({"m": Rollout(), "s": Rollout()}, tmp_path))
    flags = [f"--model_config_file={tmp_path / 'models'}", "--max_batch_rows=3", "--max_concurrency=1"]
    server = ServerProcess(flags, tmp_path / "log")
    with running(server):
        client = ServerClient(server)
        status, words = client.error({"instances": [[1, 2]] * 4}, model="m")
        assert (status, words) == (400, "Request of 4 rows; at most 3 are taken (--max_batch_rows).")
        slow = None
        while slow is None:  # refused itself where it comes beside another
            slow = _on_its_way(client, "s", 2_000_000_000, timeout=5)
        assert slow.exception().code() is grpc.StatusCode.DEADLINE_EXCEEDED
        _wait_until_idle(client, "m")
        client.channel.close()


def _send_until_it_fails(ask) -> list:
    """Returns what each of six clients, which ask as fast as they can, got last: an error that is not an answer."""
    last = []

    def run():
        try:
            call = ask()
            while True:
                call()
        except Exception as error:
            last.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    return threads, last


@pytest.mark.slow
def test_sigterm_cancels_no_request_of_clients_that_never_pause(tmp_path):
    save(tmp_path / "m" / "1")
    server = ServerProcess(["--model_name=m", f"--model_base_path={tmp_path / 'm'}"], tmp_path / "log")
    responses = []

    def by_grpc():
        channel = grpc.insecure_channel(f"127.0.0.1:{server.port}", [("grpc.use_local_subchannel_pool", 1)])
        call = channel.unary_unary("/tensorflow.serving.PredictionService/Predict")
        content = request("m", x=np.float32([[1, 2]])).SerializeToString()
        return lambda: responses.append(call(content, timeout=PATIENCE_S))

    def by_rest():
        connection = http.client.HTTPConnection("127.0.0.1", server.rest_port, timeout=PATIENCE_S)

        def send():
            connection.request("POST", "/v1/models/m:predict", '{"instances": [[1, 2]]}')
            reply = connection.getresponse()
            responses.append(reply.read())

        return send

    with running(server):
        clients = [_send_until_it_fails(by_grpc), _send_until_it_fails(by_rest)]
        until(lambda: len(responses) >= 500, pause_s=0.01)
        code = _terminate(server)
        for threads, _ in clients:
            for thread in threads:
                thread.join()

    (_, by_grpc_last), (_, by_rest_last) = clients
    assert code == 0
    assert [error.code().name for error in by_grpc_last] == ["UNAVAILABLE"] * 6
    # Connections are closed with an answer that says so, and nobody listens after it.
    assert [type(error) for error in by_rest_last] == [ConnectionRefusedError] * 6
