"""Beam's worker processes, forked from one that has imported what they need.

Beam's own way starts a new Python for each worker of each pipeline, which imports TensorFlow and TFMA for 10 s before
it sees its first element.
"""

import multiprocessing
import os

from apache_beam.portability import python_urns
from apache_beam.portability.api import endpoints_pb2
from apache_beam.runners.portability.fn_api_runner.worker_handlers import GrpcWorkerHandler, WorkerHandler
from google.protobuf import json_format, text_format

_PRELOADED = ["apache_beam.runners.worker.sdk_worker_main", "tensorflow", "pyarrow.parquet"]


def start() -> None:
    """Starts the process that workers are forked from; it imports while the run goes on."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_PRELOADED)
    context.Process(target=_nothing).start()  # the first one starts the server
    WorkerHandler.register_environment(python_urns.SUBPROCESS_SDK, bytes)(_ForkedWorkerHandler)


class _ForkedWorkerHandler(GrpcWorkerHandler):
    """Stands in for Beam's SubprocessSdkWorkerHandler."""

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


def _nothing() -> None:
    pass


def _work(variables: dict[str, str]) -> None:
    """Runs in the worker's process until the pipeline is done."""
    from apache_beam.runners.worker import sdk_worker_main

    os.environ.update(variables)
    sdk_worker_main.main([])
