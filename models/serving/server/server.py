"""The embedded server: `python -m models.serving.server FLAGS` stands in for tensorflow_model_server.

Differences, all on the safe side: it listens on 127.0.0.1 unless --host says otherwise, SIGTERM lets requests on their
way end, and values that the training schema rules out are refused unless --input_guard=false.
"""

import asyncio
import contextlib
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from models.serving.protocol import flags as flag_syntax
from models.serving.protocol.flags import Flags

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
FAILED = 255
SWITCH_SECONDS = 0.001  # Python's 5 ms between threads would show in the latency of quick calls

logger = logging.getLogger("headrace.serving")


class StartError(Exception):
    """Why the server does not start."""


def main(arguments: Sequence[str]) -> int:
    """Runs the server until SIGTERM or SIGINT and returns the exit code."""
    try:
        flags, unknown = flag_syntax.parse(arguments)
    except flag_syntax.BadFlag as error:
        print(f"{error}\nusage: server\nFlags:\n{flag_syntax.usage()}")
        return FAILED
    for one in unknown:
        print(f"unknown argument: {one}")
    if unknown:
        print(f"usage: server\nFlags:\n{flag_syntax.usage()}", flush=True)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname).1s %(message)s", stream=sys.stderr, force=True
    )
    if flags.version:
        import tensorflow as tf

        print(f"Headrace embedded model server\nTensorFlow Library: {tf.__version__}")
        return 0
    import uvloop

    try:
        server = Server(flags)
        server.load()
    except StartError as error:
        print(f"Failed to start server. Error: {error}", flush=True)
        return FAILED
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        uvloop.run(server.serve())
    except StartError as error:
        print(f"Failed to start server. Error: {error}", flush=True)
        return FAILED
    return 0


class Server:
    """The server of one set of flags.

    Args:
        flags: As on the command line.

    Raises:
        StartError: They contradict, or a file they name cannot be used.
    """

    def __init__(self, flags: Flags):
        _check(flags)
        # After the flags: importing TensorFlow takes seconds.
        from models.serving.protocol import config_files
        from models.serving.protocol.statuses import ServingStatus
        from models.serving.server.batching import Batcher, Parameters
        from models.serving.server.inference import Engine
        from models.serving.server.input_validation import InputGuard
        from models.serving.server.manager import ModelManager
        from models.serving.server.monitoring import PATH, Metrics
        from models.serving.server.sampling import Sampler
        from models.serving.server.servable import Servable

        self._flags = flags
        if not (flags.xla_cpu_compilation_enabled or flags.xla_gpu_compilation_enabled):
            without_xla()
        self._metrics = Metrics()
        self._guard = InputGuard(self._metrics) if flags.input_guard else None
        self._sampler = Sampler(_sampled(flags.sample_config_file)) if flags.sample_config_file else None
        self._batching: Mapping[Path, Parameters] = {}
        self._batcher: Batcher | None = None
        try:
            self._session = _session(flags)
            monitoring = _read(flags.monitoring_config_file, config_files.MonitoringConfig)
            self._metrics_path = ""
            if monitoring.prometheus_config.enable:
                self._metrics_path = monitoring.prometheus_config.path or PATH
            if flags.enable_batching:
                common = Parameters.of(_read(flags.batching_parameters_file, config_files.BatchingParameters))
                self._batcher = Batcher(
                    lambda servable: self._batching.get(servable.path, common), common.num_batch_threads,
                    self._metrics.batched,
                )  # fmt: skip
        except (ValueError, ServingStatus) as error:
            raise StartError(str(error)) from None
        self._manager = ModelManager(
            self._load,
            max_retries=flags.max_num_load_retries,
            retry_seconds=flags.load_retry_interval_micros / 1e6,
            early_labels=flags.allow_version_labels_for_unavailable_models,
            on_unload=self._unloaded,
        )
        self.engine = Engine(
            self._manager,
            self._metrics,
            self._batcher.run if self._batcher else Servable.run,
            guard=self._guard,
            sampler=self._sampler,
            check_method_names=flags.enable_signature_method_name_check,
            as_content=flags.enable_serialization_as_tensor_content,
            max_rows=flags.max_batch_rows,
            max_bytes=flags.max_request_mib * 2**20,
        )

    def load(self) -> None:
        """Loads the models that are configured; the ports are opened only after that.

        Raises:
            StartError: The config cannot be used, or a model does not load.
        """
        from models.serving.protocol.statuses import ServingStatus

        gc.freeze()  # what was imported stays: looking for garbage among it would hold requests up
        try:
            # Labels are looked at before there is a version they could point to: as in TF Serving, a config that has
            # some is refused at the start, unless labels may come early.
            new = self._manager.configure(self._config())
        except (ValueError, ServingStatus) as error:
            raise StartError(str(error)) from None
        self._manager.start(self._flags.file_system_poll_wait_seconds)
        failed = self._manager.wait_for(new)
        if failed:
            raise StartError(f"UNKNOWN: {len(failed)} servable(s) did not become available: {{{', '.join(failed)}}}")

    def _config(self):
        """Returns the ModelServerConfig of the flags; raises ValueError when the file cannot be used."""
        from models.serving.protocol import config_files

        if self._flags.model_config_file:
            return config_files.read(self._flags.model_config_file, config_files.ModelServerConfig)
        config = config_files.ModelServerConfig()
        config.model_config_list.config.add(
            name=self._flags.model_name,
            base_path=str(Path(self._flags.model_base_path).resolve()),
            model_platform="tensorflow",
        )
        return config

    def _load(self, name: str, number: int, path: Path):
        """Returns a version that is warmed up; raises ServingStatus."""
        from models.serving.protocol import config_files, warmup
        from models.serving.protocol.statuses import ServingStatus, invalid
        from models.serving.server.batching import Parameters
        from models.serving.server.inference import Engine
        from models.serving.server.live import OneVersion
        from models.serving.server.monitoring import Metrics
        from models.serving.server.servable import Servable

        flags = self._flags
        own = path / "batching_params.pbtxt"
        if self._batcher and flags.enable_per_model_batching_parameters and own.exists():
            try:
                parameters = Parameters.of(config_files.read(own, config_files.BatchingParameters))
            except ValueError as error:
                raise invalid(str(error)) from None
            self._batching = {**self._batching, path: parameters}
        servable = Servable(name, number, path, flags.saved_model_tags, self._session)
        if not flags.enable_model_warmup:
            return servable
        alone: Any = OneVersion(name, servable)
        status, seconds = "OK", 0.0
        try:
            engine = Engine(alone, Metrics(), Servable.run)  # warm-up requests are nobody's
            seconds = warmup.replay(path, engine, flags.num_request_iterations_for_warmup)
            servable.recent.clear()
        except ServingStatus as error:
            status = error.code.name
            servable.close()
            raise
        finally:
            self._metrics.warmed_up(str(path), status, seconds)
        return servable

    def _unloaded(self, servable: Any) -> None:
        if self._guard:
            self._guard.forget(servable)
        if self._sampler:
            self._sampler.forget(servable)
        self._batching = {path: one for path, one in self._batching.items() if path != servable.path}

    async def serve(self) -> None:
        """Opens the ports and answers until SIGTERM or SIGINT; then takes no more, and ends what is on its way."""
        from models.serving.server.api import grpc_api, rest_api
        from models.serving.server.api.calls import AccessLog, Caller

        flags = self._flags
        # Slow models release the interpreter while they run; four a core keep the cores busy.
        threads = ThreadPoolExecutor(flags.grpc_max_threads or 4 * (os.cpu_count() or 1), "call")
        caller = Caller(self.engine, threads, AccessLog(flags.access_log), bool(self._batcher), flags.max_concurrency)
        max_bytes = flags.max_request_mib * 2**20
        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        addresses = [f"{flags.host}:{flags.port}"] if flags.port else []
        if flags.grpc_socket_path:
            addresses.append(f"unix:{flags.grpc_socket_path}")
        try:
            grpc_server = await grpc_api.start(
                caller,
                addresses,
                max_bytes=max_bytes or -1,
                arguments=flags.grpc_channel_arguments,
                check_health=flags.enable_grpc_healthcheck_service,
            )
        except OSError as error:
            raise StartError(f"UNKNOWN: Error starting gRPC server: {error}") from None
        logger.info("Running gRPC ModelServer at %s ...", ", ".join(addresses))
        rest = None
        if flags.rest_api_port and flags.rest_api_port == flags.port:
            logger.error("--rest_api_port cannot be same as --port. Please use a different port for HTTP/REST API. "
                         "Skipped exporting HTTP/REST API.")  # fmt: skip
        elif flags.rest_api_port:
            api = rest_api.RestApi(
                caller,
                timeout_ms=flags.rest_api_timeout_in_ms,
                cors=flags.rest_api_enable_cors_support,
                metrics_path=self._metrics_path,
                max_bytes=max_bytes,
            )
            try:
                rest = await rest_api.start(api, flags.host, flags.rest_api_port, max_bytes, flags.drain_seconds)
            except OSError as error:
                await grpc_api.stop(grpc_server, 0)
                raise StartError(f"UNKNOWN: Failed to start HTTP Server at {flags.host}:{flags.rest_api_port} "
                                 f"({error.strerror})") from None  # fmt: skip
            logger.info("Exporting HTTP/REST API at:%s:%d ...", flags.host, flags.rest_api_port)
        poller = asyncio.create_task(self._poll_config()) if flags.model_config_file else None
        await stopped.wait()
        logger.info("Stopping; requests on their way have %g s", flags.drain_seconds)
        if poller:
            poller.cancel()
        await asyncio.gather(grpc_api.stop(grpc_server, flags.drain_seconds), *([rest.cleanup()] if rest else []))
        if self._batcher:
            self._batcher.stop()
        if flags.grpc_socket_path:
            with contextlib.suppress(OSError):
                os.unlink(flags.grpc_socket_path)
        logger.info("Stopped")
        # A version that is just being loaded would be waited for; nobody needs it any more.
        sys.stderr.flush()
        os._exit(0)

    async def _poll_config(self) -> None:
        """Reads the model config file again and again; what is wrong with it is logged once and left alone."""
        seconds = self._flags.model_config_file_poll_wait_seconds
        last = None
        while seconds > 0:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(lambda: self._manager.configure(self._config()))
                last = None
            except Exception as error:
                if str(error) != last:
                    logger.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error)
                last = str(error)


def _read(path: str, kind: Any) -> Any:
    from models.serving.protocol import config_files

    return config_files.read(path, kind) if path else kind()


def _session(flags: Flags) -> Any:
    """Returns the ConfigProto of each version's session; raises ValueError when its file cannot be used."""
    from tensorflow.core.protobuf import config_pb2

    found = _read(flags.tensorflow_session_config_file, config_pb2.ConfigProto)
    both = flags.tensorflow_session_parallelism
    for name, threads in (
        ("intra_op_parallelism_threads", flags.tensorflow_intra_op_parallelism or both),
        ("inter_op_parallelism_threads", flags.tensorflow_inter_op_parallelism or both),
    ):
        if threads:
            setattr(found, name, threads)
    if flags.per_process_gpu_memory_fraction:
        found.gpu_options.per_process_gpu_memory_fraction = flags.per_process_gpu_memory_fraction
    return found


def _check(flags: Flags) -> None:
    """Raises StartError for flags that contradict, in TF Serving's words."""
    if not flags.port and not flags.grpc_socket_path:
        raise StartError("INVALID_ARGUMENT: At least one of port or grpc_socket_path must be set.")
    if not flags.model_base_path and not flags.model_config_file:
        raise StartError(
            "INVALID_ARGUMENT: Both server_options.model_base_path and server_options.model_config_file are empty!"
        )
    if flags.batching_parameters_file and not flags.enable_batching:
        raise StartError(
            "INVALID_ARGUMENT: server_options.batching_parameters_file is set without setting "
            "server_options.enable_batching to true."
        )
    for name in flag_syntax.REFUSED:
        if getattr(flags, name):
            raise StartError(
                f"UNIMPLEMENTED: the embedded server knows no --{name}; leave it out, put a proxy in front, or use "
                "tensorflow_model_server."
            )


def _sampled(path: str) -> dict[str, Any]:
    """Returns what a sampling file says; raises StartError where it cannot be read."""
    try:
        return json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        raise StartError(f"INVALID_ARGUMENT: --sample_config_file={path} cannot be read ({error})") from None


def without_xla() -> None:
    """Has functions that insist on XLA (`jit_compile`) fail, as in TF Serving, which comes with XLA switched off.

    Without this a model would pass the serving check that no TF Serving runs by default.
    """
    import ctypes

    import tensorflow as tf

    library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    try:
        library._ZN10tensorflow21DisableXlaCompilationEv()
    except AttributeError:  # TensorFlow promises no name of its C++ functions
        logger.warning("XLA cannot be switched off: models that insist on it work here, and not under TF Serving")


def without_keras() -> None:
    """Keeps Keras out: TensorFlow imports it, and it scikit-learn, half of the start and a quarter of the memory."""
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
