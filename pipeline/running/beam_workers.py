"""Beam's worker processes, forked from a process that has imported their modules.

By default Beam starts a new Python process for each worker of each pipeline, which imports TensorFlow and TFMA for 10 s
before its first element.
"""

import multiprocessing
import os

from apache_beam.portability import python_urns
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from google.protobuf import json_format, text_format

_PRELOADED = ["apache_beam.runners.worker.sdk_worker_main", "tensorflow", "pyarrow.parquet"]


def start() -> None:
    """Starts the process from which workers are forked; it imports their modules in the background."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    context.Process(target=_do_nothing).start()  # the first one starts the server
    WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)(_ForkedWorkerHandler)


class _ForkedWorkerHandler(GrpcWorkerHandler):
    """Replaces Beam's SubprocessSdkWorkerHandler."""

    def __init__(self, command_line, state, provision_info, grpc_server):
        super().__init__(state, provision_info, grpc_server)
        self._process = None

    def start_worker(self) -> None:
        variables = {
            "WORKER_ID": self.worker_id,
            "CONTROL_API_SERVICE_DESCRIPTOR": _descriptor(self.control_address),
            "LOGGING_API_SERVICE_DESCRIPTOR": text_format.MessageToString(self.logging_api_service_descriptor()),
            "PIPELINE_OPTIONS": json_format.MessageToJson(self.provision_info.provision_info.pipeline_options),
        }
        context = multiprocessing.get_context("forkserver")
        self._process = context.Process(target=_work, args=(variables,), daemon=True)
        self._process.start()

    def stop_worker(self) -> None:
        self._process.join()


def _descriptor(address: str) -> str:
    return text_format.MessageToString(endpoints_pb2.ApiServiceDescriptor(url=address))


def _do_nothing() -> None:
    pass


def _work(variables: dict[str, str]) -> None:
    """Runs a worker in this process until the pipeline has ended."""
    from apache_beam.runners.worker import sdk_worker_main

    os.environ.update(variables)
    sdk_worker_main.main([])
