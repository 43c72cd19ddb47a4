"""The embedded server: `python -m models.serving.server FLAGS` stands in for tensorflow_model_server.

Differences, all on the safe side: it listens on 127.0.0.1 unless --host says otherwise, SIGTERM lets requests on their
way end, and values that the training schema rules out are refused unless --input_validation=false.
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
# Of a GPU the server takes what its models need, and leaves the rest to others, as training does.
os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
FAILED = 255
MIB = 2**20
CLOSING_SECONDS = 0.05  # in which both ports have begun to close
FLUSH_SECONDS = 2.0  # what a slow disk gets at the end
SWITCH_SECONDS = 0.001  # Python's 5 ms between threads would show in the latency of quick calls

logger = logging.getLogger("headrace.serving")


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
        return _failed(error)
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        uvloop.run(server.serve())
    except StartError as error:
        return _failed(error)
    return 0


def _failed(error: StartError) -> int:
    """Says why the server does not start, and returns the exit code."""
    if str(error).startswith(UNPARSED):  # protobuf's own words go to standard error under TF Serving
        print(error, file=sys.stderr, flush=True)
    print(f"Failed to start server. Error: {error}", flush=True)
    return FAILED


class Server:
    """The server of one set of flags.

    Args:
        flags: As on the command line.

    Attributes:
        engine: Answers requests.

    Raises:
        StartError: They contradict, or a file they name cannot be used.
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
            without_xla()
        self._metrics = Metrics()
        self._input_validator = InputValidator(self._metrics) if flags.input_validation else None
        sampling = options.sampling(flags)
        self._sampler = Sampler(sampling) if sampling is not None else None
        self._batching: dict[Path, Parameters] = {}  # of versions that have their own
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
        """Loads the models that are configured; the ports are opened only after that.

        Raises:
            StartError: The config cannot be used, or a model does not load.
        """
        from models.serving.protocol.statuses import ServingStatus

        gc.freeze()  # what was imported stays: looking for garbage among it would hold requests up
        try:
            # Labels are looked at before there is a version they could point to: as in TF Serving, a config that has
            # some is refused at the start, unless labels may come early.
            new = self._manager.configure(options.model_config(self._flags))
        except (ValueError, ServingStatus) as error:
            raise StartError(str(error)) from None
        self._manager.start(self._flags.file_system_poll_wait_seconds)
        failed = self._manager.wait_for(new)
        if failed:
            raise StartError(f"UNKNOWN: {len(failed)} servable(s) did not become available: {{{', '.join(failed)}}}")

    def _load(self, name: str, number: int, path: Path) -> "Servable":
        """Returns a version that is warmed up; raises ServingStatus."""
        from models.serving.server.servable import Servable

        own = options.own_batching_parameters(path, self._flags)
        if own:
            self._batching[path] = own
        servable = Servable(name, number, path, self._flags.saved_model_tags, self._session_options)
        if self._flags.enable_model_warmup:
            self._warm_up(servable)
        return servable

    def _warm_up(self, servable: "Servable") -> None:
        """Replays a version's warm-up requests; closes it and raises ServingStatus where one fails."""
        from models.serving.protocol import warmup
        from models.serving.protocol.statuses import ServingStatus
        from models.serving.server.inference import Engine
        from models.serving.server.live import OneVersion
        from models.serving.server.monitoring import Metrics
        from models.serving.server.servable import Servable

        alone: Any = OneVersion(servable.name, servable)
        engine = Engine(alone, Metrics(), Servable.run)  # warm-up requests are nobody's
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
        """Opens the ports and answers until SIGTERM or SIGINT; then takes no more, and ends what is on its way.

        Raises:
            StartError: A port is taken.
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
        """Closes the ports, and gives the calls that have reached them `--drain_seconds` to be answered."""
        from models.serving.server.api import grpc_api, rest_api

        seconds = self._flags.drain_seconds
        await caller.hold_answers(seconds)
        drained = asyncio.gather(grpc_api.stop(grpc_server, seconds), *([rest_api.stop(rest, seconds)] if rest else []))
        await asyncio.sleep(CLOSING_SECONDS)
        caller.release_answers()
        await drained

    def _new_caller(self) -> "Caller":
        from models.serving.server.api.calls import AccessLog, Caller

        flags = self._flags
        # Slow models release the interpreter while they run; four a core keep the cores busy.
        threads = ThreadPoolExecutor(flags.grpc_max_threads or 4 * (os.cpu_count() or 1), "call")
        return Caller(self.engine, threads, AccessLog(flags.access_log), bool(self._batcher), flags.max_concurrency)

    async def _start_grpc(self, caller: "Caller") -> Any:
        """Returns the gRPC server, which listens; raises StartError."""
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
        """Returns the REST server, which listens, None where there is none; raises StartError."""
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
        """Ends the process at once: a version that is just being loaded would be waited for, and nobody needs it."""
        if self._batcher:
            self._batcher.stop()
        if self._flags.grpc_socket_path:
            with contextlib.suppress(OSError):
                os.unlink(self._flags.grpc_socket_path)
        logger.info("Stopped")
        sys.stderr.flush()
        os._exit(0)

    async def _poll_config(self) -> None:
        """Reads the model config file again and again; what is wrong with it is logged once and left alone."""
        seconds = self._flags.model_config_file_poll_wait_seconds
        last = None
        while seconds > 0:
            await asyncio.sleep(seconds)
            try:
                await asyncio.to_thread(lambda: self._manager.configure(options.model_config(self._flags)))
                last = None
            except Exception as error:
                if str(error) != last:
                    logger.error("PollFilesystemAndReloadConfig failed to ReloadConfig: %s", error)
                last = str(error)


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
