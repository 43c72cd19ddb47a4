"""The embedded server: `python -m models.serving.server FLAGS` replaces tensorflow_model_server.

Differences, for safety: it listens on 127.0.0.1 unless --host says otherwise, finishes running requests after SIGTERM,
and refuses values that the training schema does not allow unless --input_validation=false.
"""

import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.serving.protocol import flags as flag_syntax
from models.serving.protocol.flags import Flags
from models.serving.server import options
from models.serving.server.options import UNPARSED, StartError

if TYPE_CHECKING:
    from models.serving.server.api.calls import Caller
    from models.serving.server.batching import Batcher, Parameters
    from models.serving.server.inference import Engine
    from models.serving.server.manager import ModelManager
    from models.serving.server.servable import Servable

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
# The server allocates only the GPU memory that its models need, as training does.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
FAILED = 255
MIB = 2**20
CLOSING_SECONDS = 0.05  # after which both ports are closing
FLUSH_SECONDS = 2.0  # limit for writing logs and samples at the end
SWITCH_SECONDS = 0.001  # thread switch interval; Python's 5 ms would add to the latency of quick calls

logger = logging.getLogger("headrace.serving")


def main(arguments: Sequence[str]) -> int:
    """Runs the server until SIGTERM or SIGINT and returns the exit code."""
    try:
        flags, unknown = flag_syntax.parse(arguments)
    except flag_syntax.BadFlag as error:
        print(f"{error}\nusage: server\nFlags:\n{flag_syntax.usage()}")
        return FAILED
    for argument in unknown:
        print(f"unknown argument: {argument}")
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
        return _failed(error)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        uvloop.run(server.serve())
    except StartError as error:
        return _failed(error)
    return 0


def _failed(error: StartError) -> int:
    """Prints why the server does not start, and returns the exit code."""
    if str(error).startswith(UNPARSED):  # TF Serving, too, writes protobuf's message to standard error
        print(error, file=sys.stderr, flush=True)
    print(f"Failed to start server. Error: {error}", flush=True)
    return FAILED


class Server:
    """The embedded server with its models and ports.

    Args:
        flags: Command-line flags.

    Attributes:
        engine: Answers requests.

    Raises:
        StartError: The flags contradict each other, or a file that they name cannot be used.
    """

    def __init__(self, flags: Flags):
        options.check(flags)
        # After the flags: importing TensorFlow takes seconds.
        from models.serving.protocol.statuses import ServingStatus
        from models.serving.server.input_validation import InputValidator
        from models.serving.server.monitoring import Metrics
        from models.serving.server.sampling import Sampler

        self._flags = flags
        if not (flags.xla_cpu_compilation_enabled or flags.xla_gpu_compilation_enabled):
            disable_xla()
        self._metrics = Metrics()
        self._input_validator = InputValidator(self._metrics) if flags.input_validation else None
        sampling = options.sampling(flags)
        self._sampler = Sampler(sampling) if sampling is not None else None
        self._batching: dict[Path, Parameters] = {}  # of versions with their own parameters
        try:
            self._session_options = options.session_options(flags)
            self._metrics_path = options.metrics_path(flags)
            self._batcher = self._new_batcher(options.batching_parameters(flags))
        except (ValueError, ServingStatus) as error:
            raise StartError(str(error)) from None
        self._manager = self._new_manager()
        self.engine = self._new_engine()

    def _new_batcher(self, common: "Parameters | None") -> "Batcher | None":
        if common is None:
            return None
        from models.serving.server.batching import Batcher

        return Batcher(
            lambda servable: self._batching.get(servable.path, common), common.num_batch_threads, self._metrics.batched
        )

    def _new_manager(self) -> "ModelManager":
        from models.serving.server.manager import ModelManager

        return ModelManager(
            self._load,
            max_retries=self._flags.max_num_load_retries,
            retry_seconds=self._flags.load_retry_interval_micros / 1e6,
            early_labels=self._flags.allow_version_labels_for_unavailable_models,
            on_unload=self._unloaded,
            num_load_threads=self._flags.num_load_threads,
            default_label=self._flags.default_label,
        )

    def _new_engine(self) -> "Engine":
        from models.serving.server.inference import Engine
        from models.serving.server.servable import Servable

        return Engine(
            self._manager,
            self._metrics,
            self._batcher.run if self._batcher else Servable.run,
            validate=self._input_validator,
            sampler=self._sampler,
            check_method_names=self._flags.enable_signature_method_name_check,
            as_content=self._flags.enable_serialization_as_tensor_content,
            max_rows=self._flags.max_batch_rows,
            max_bytes=self._flags.max_request_mib * MIB,
        )

    def load(self) -> None:
        """Loads the configured models; the ports are opened only after that.

        Raises:
            StartError: The config cannot be used, or a model does not load.
        """
        from models.serving.protocol.statuses import ServingStatus

        gc.freeze()  # imported modules stay: the collector must not scan them while requests wait
        try:
            # As in TF Serving, labels are assigned before any version is loaded: a config with labels is refused at the
            # start, unless --allow_version_labels_for_unavailable_models is set.
            new = self._manager.configure(options.model_config(self._flags))
        except (ValueError, ServingStatus) as error:
            raise StartError(str(error)) from None
        self._manager.start(self._flags.file_system_poll_wait_seconds)
        failed = self._manager.wait_for(new)
        if failed:
            raise StartError(f"UNKNOWN: {len(failed)} servable(s) did not become available: {{{', '.join(failed)}}}")

    def _load(self, name: str, number: int, path: Path) -> "Servable":
        """Returns a loaded and warmed-up version; raises ServingStatus if that fails."""
        from models.serving.server.servable import Servable

        parameters = options.own_batching_parameters(path, self._flags)
        if parameters:
            self._batching[path] = parameters
        servable = Servable(name, number, path, self._flags.saved_model_tags, self._session_options)
        if self._flags.enable_model_warmup:
            self._warm_up(servable)
        return servable

    def _warm_up(self, servable: "Servable") -> None:
        """Replays a version's warm-up requests; if one fails, closes the version and raises ServingStatus."""
        from models.serving.protocol import warmup
        from models.serving.protocol.statuses import ServingStatus
        from models.serving.server.inference import Engine
        from models.serving.server.live import OneVersion
        from models.serving.server.monitoring import Metrics
        from models.serving.server.servable import Servable

        manager: Any = OneVersion(servable.name, servable)
        engine = Engine(manager, Metrics(), Servable.run)  # warm-up requests do not count in the metrics
        status, seconds = "OK", 0.0
        try:
            seconds = warmup.replay(servable.path, engine, self._flags.num_request_iterations_for_warmup)
            servable.recent.clear()
        except ServingStatus as error:
            status = error.code.name
            servable.close()
            raise
        finally:
            self._metrics.warmed_up(str(servable.path), status, seconds)

    def _unloaded(self, servable: "Servable") -> None:
        if self._input_validator:
            self._input_validator.forget(servable)
        if self._sampler:
            self._sampler.forget(servable)
        self._batching.pop(servable.path, None)

    async def serve(self) -> None:
        """Opens the ports and serves until SIGTERM or SIGINT; then finishes running requests and ends the process.

        Raises:
            StartError: A port is in use.
        """
        from models.serving.server.api import grpc_api

        stopped = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stopped.set)
        caller = self._new_caller()
        grpc_server = await self._start_grpc(caller)
        try:
            rest = await self._start_rest(caller)
        except StartError:
            await grpc_api.stop(grpc_server, 0)
            raise
        poller = asyncio.create_task(self._poll_config()) if self._flags.model_config_file else None
        await stopped.wait()
        logger.info("Stopping; requests on their way have %g s", self._flags.drain_seconds)
        if poller:
            poller.cancel()
        await self._drain(caller, grpc_server, rest)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.to_thread(self._flush, caller), FLUSH_SECONDS)
        self._end()

    async def _drain(self, caller: "Caller", grpc_server: Any, rest: Any) -> None:
        """Closes the ports; calls that have arrived get `--drain_seconds` to be answered."""
        from models.serving.server.api import grpc_api, rest_api

        seconds = self._flags.drain_seconds
        await caller.hold_responses(seconds)
        drained = asyncio.gather(grpc_api.stop(grpc_server, seconds), *([rest_api.stop(rest, seconds)] if rest else []))
        await asyncio.sleep(CLOSING_SECONDS)
        caller.release_responses()
        await drained

    def _new_caller(self) -> "Caller":
        from models.serving.server.api.calls import AccessLog, Caller

        flags = self._flags
        # Slow models release the interpreter while they run; four a core keep the cores busy.
        threads = ThreadPoolExecutor(flags.grpc_max_threads or 4 * (os.cpu_count() or 1), "call")
        return Caller(self.engine, threads, AccessLog(flags.access_log), bool(self._batcher), flags.max_concurrency)

    async def _start_grpc(self, caller: "Caller") -> Any:
        """Returns the listening gRPC server; raises StartError if a port is in use."""
        from models.serving.server.api import grpc_api

        flags = self._flags
        addresses = [f"{flags.host}:{flags.port}"] if flags.port else []
        if flags.grpc_socket_path:
            addresses.append(f"unix:{flags.grpc_socket_path}")
        try:
            server = await grpc_api.start(
                caller,
                addresses,
                max_bytes=flags.max_request_mib * MIB or -1,
                arguments=flags.grpc_channel_arguments,
                check_health=flags.enable_grpc_healthcheck_service,
                remote_reload=flags.allow_remote_reload,
            )
        except OSError as error:
            raise StartError(f"UNKNOWN: Error starting gRPC server: {error}") from None
        logger.info("Running gRPC ModelServer at %s ...", ", ".join(addresses))
        return server

    async def _start_rest(self, caller: "Caller") -> Any:
        """Returns the listening REST server, None without one; raises StartError if its port is in use."""
        from models.serving.server.api import rest_api

        flags = self._flags
        if not flags.rest_api_port:
            return None
        if flags.rest_api_port == flags.port:
            logger.error("--rest_api_port cannot be same as --port. Please use a different port for HTTP/REST API. "
                         "Skipped exporting HTTP/REST API.")  # fmt: skip
            return None
        max_bytes = flags.max_request_mib * MIB
        api = rest_api.RestApi(
            caller,
            timeout_ms=flags.rest_api_timeout_in_ms,
            cors=flags.rest_api_enable_cors_support,
            metrics_path=self._metrics_path,
            max_bytes=max_bytes,
        )
        try:
            server = await rest_api.start(api, flags.host, flags.rest_api_port, max_bytes, flags.drain_seconds)
        except OSError as error:
            raise StartError(f"UNKNOWN: Failed to start HTTP Server at {flags.host}:{flags.rest_api_port} "
                             f"({error.strerror})") from None  # fmt: skip
        logger.info("Exporting HTTP/REST API at:%s:%d ...", flags.host, flags.rest_api_port)
        return server

    def _flush(self, caller: "Caller") -> None:
        """Waits until the access log and the samples of requests are on disk."""
        caller.access_log.flush()
        if self._sampler:
            self._sampler.flush()

    def _end(self) -> None:
        """Ends the process at once: a normal exit would wait for a version that is being loaded."""
        if self._batcher:
            self._batcher.stop()
        if self._flags.grpc_socket_path:
            with contextlib.suppress(OSError):
                os.unlink(self._flags.grpc_socket_path)
        logger.info("Stopped")
        sys.stderr.flush()
        os._exit(0)

    async def _poll_config(self) -> None:
        """Reloads the model config file periodically; an error is logged once, and the previous config stays."""
        seconds = self._flags.model_config_file_poll_wait_seconds
        last_error = None
        while seconds > 0:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(lambda: self._manager.configure(options.model_config(self._flags)))
                last_error = None
            except Exception as error:
                if str(error) != last_error:
                    logger.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error)
                last_error = str(error)


def disable_xla() -> None:
    """Disables XLA, so that functions which require it (`jit_compile`) fail, as in TF Serving with its defaults.

    Otherwise a model could pass the serving check that TF Serving cannot run.
    """
    import ctypes

    import tensorflow as tf

    library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    try:
        library._ZN10tensorflow21DisableXlaCompilationEv()
    except AttributeError:  # the names of TensorFlow's C++ functions are not a stable API
        logger.warning("XLA cannot be disabled: models that require it run here, but not in TF Serving")


def block_keras() -> None:
    """Keeps TensorFlow from importing Keras and scikit-learn: half of the start time, a quarter of the memory."""
    sys.modules.setdefault("keras", None)  # type: ignore[arg-type]
