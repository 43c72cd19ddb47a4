"""One loaded version of a SavedModel, run as TF Serving runs it: by TensorFlow's C session, without casts.

`tf.saved_model.load` has other error messages, and `Session.run` casts and checks shapes, which hides a client's bug.
"""

import itertools
import os
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError
from tensorflow.core.framework import graph_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2
from tensorflow.python.client import pywrap_tf_session as c_session

from data.files.links import without_signs
from models.serving.protocol.signatures import Signature
from models.serving.protocol.statuses import Code, ServingStatus, invalid, of_tensorflow
from models.serving.protocol.tensors import to_array
from models.serving.rollout.canary import Recent

INIT_OPS = ("__saved_model_init_op", "saved_model_main_op", "legacy_init_op")
SMOOTHING = 0.1
LOOPS = ("While", "StatelessWhile", "NextIteration")
QUICK_SECONDS = 1e-3  # a call that takes less is run in the caller's thread
# Cap of one call in the moving average: else one that the machine interrupts for 10 ms would send the next twenty to
# a thread, which costs more than the calls themselves.
MAX_COUNTED_SECONDS = 4 * QUICK_SECONDS


class Servable:
    """A loaded version of a model.

    Attributes:
        name: The model's name.
        version: Its version.
        path: Its folder.
        signatures: Name -> Signature.
        definitions: Name -> SignatureDef, including those that cannot be run.
        quick: Whether calls are so short, on average, that they may run in the caller's thread.
        recent: Errors and latency of its last requests.
    """

    def __init__(
        self, name: str, version: int, path: Path, tags: str = "serve", options: config_pb2.ConfigProto | None = None
    ):
        self.name, self.version, self.path = name, version, path
        self.recent = Recent()
        self._seconds: dict[object, float] = {}  # moving average by the first fetched handle
        self._users, self._closing = 0, False
        self._lock = threading.Lock()
        self._idle = threading.Condition(self._lock)
        graph_def = _meta_graph(path, tags)
        self.definitions = dict(graph_def.signature_def)
        self._loops = _has_loops(graph_def.graph_def)
        self.quick = False
        graph = tf.Graph()
        with graph.as_default():
            try:
                tf.graph_util.import_graph_def(graph_def.graph_def, name="")
            except (ValueError, tf.errors.OpError) as error:
                raise ServingStatus(Code.INVALID_ARGUMENT, str(error).splitlines()[0]) from error
        self._session = tf.compat.v1.Session(graph=graph, config=options)
        self._session._extend_graph()
        # TensorFlow's own threads cost a tiny model three quarters of its time (17 us instead of 60, measured).
        self._in_place = c_session.TF_NewBufferFromString(
            config_pb2.RunOptions(inter_op_thread_pool=-1).SerializeToString()
        )
        try:
            with without_signs(self.path) as folder:
                self._restore(graph_def, graph, folder)
            self.signatures = {
                key: _signature(key, definition, graph)
                for key, definition in self.definitions.items()
                if definition.inputs
            }
            self._shapes = {
                handle: tf.TensorShape(signature.definition.inputs[alias].tensor_shape)
                for signature in self.signatures.values()
                for alias, handle in signature.inputs.items()
            }
        except (ServingStatus, PermissionError, KeyError, ValueError) as error:
            self._session.close()
            if isinstance(error, PermissionError):
                raise _not_readable(error.filename) from None
            if isinstance(error, ServingStatus):
                raise
            raise ServingStatus(Code.FAILED_PRECONDITION, str(error).splitlines()[0]) from error

    def _restore(self, meta: meta_graph_pb2.MetaGraphDef, graph: tf.Graph, folder: Path) -> None:
        """Restores the variables and initializes the tables from the version's folder, as the C++ loader does."""
        assets = {
            graph.as_graph_element(asset.tensor_info.name): np.array(
                str(folder / "assets" / asset.filename).encode(), object
            )
            for asset in meta.asset_file_def
        }
        prefix = folder / "variables" / "variables"
        # TF Serving, too, loads a version without variables; its requests fail then.
        if prefix.with_suffix(".index").exists():
            saver = meta.saver_def
            feeds = {graph.as_graph_element(saver.filename_tensor_name): np.array(str(prefix).encode(), object)}
            self._initialize(saver.restore_op_name, {**assets, **feeds}, graph)
        for name in INIT_OPS:
            if name in meta.signature_def and name == INIT_OPS[0]:
                self._initialize(meta.signature_def[name].outputs[name].name.split(":")[0], assets, graph)
                return
            if name in meta.collection_def and meta.collection_def[name].node_list.value:
                self._initialize(meta.collection_def[name].node_list.value[0], assets, graph)
                return

    def _initialize(self, operation: str, feeds: Mapping, graph: tf.Graph) -> None:
        target = graph.get_operation_by_name(operation)
        fed = {tensor._as_tf_output(): value for tensor, value in feeds.items()}
        try:
            c_session.TF_SessionRun_wrapper(self._session._session, None, fed, [], [target._c_op], None)
        except tf.errors.OpError as error:
            raise of_tensorflow(error) from error

    def run(
        self, feeds: Mapping[object, np.ndarray], fetches: Sequence[object], timeout_ms: int | None = None
    ) -> list[np.ndarray]:
        """Returns the values of `fetches`.

        Args:
            feeds: Handle -> array, of the dtype of the graph.
            fetches: Handles.
            timeout_ms: Milliseconds after which the call fails; None: no limit. Not applied to quick versions.

        Raises:
            ServingStatus: The call failed; the message is TensorFlow's.
        """
        if timeout_ms is not None and timeout_ms <= 0:
            raise ServingStatus(Code.DEADLINE_EXCEEDED, "Deadline Exceeded")
        quick, options = self.quick, None
        if not quick and timeout_ms is not None:
            options = c_session.TF_NewBufferFromString(
                config_pb2.RunOptions(timeout_in_ms=timeout_ms).SerializeToString()
            )
        begin = time.perf_counter()
        try:
            values = c_session.TF_SessionRun_wrapper(
                self._session._session, self._in_place if quick else options, feeds, fetches, [], None
            )
        except tf.errors.OpError as error:
            raise of_tensorflow(error) from None
        except UnicodeDecodeError as error:  # TensorFlow's message quotes bytes of the request
            raise invalid(error.object.decode(errors="replace")) from None
        finally:
            if options is not None:
                c_session.TF_DeleteBuffer(options)
        seconds = min(time.perf_counter() - begin, MAX_COUNTED_SECONDS)
        key = fetches[0] if fetches else None
        average = self._seconds.get(key, seconds)
        self._seconds[key] = average + SMOOTHING * (seconds - average)
        self.quick = not self._loops and max(self._seconds.values()) < QUICK_SECONDS
        return values

    def fits(self, feeds: Mapping[object, np.ndarray]) -> bool:
        """Whether every array has the shape that its signature declares; a session may run others, too."""
        return all(self._shapes[key].is_compatible_with(array.shape) for key, array in feeds.items())

    def acquire(self) -> bool:
        """Marks the version as in use by one more request; returns False if it is being unloaded."""
        with self._lock:
            if self._closing:
                return False
            self._users += 1
            return True

    def release(self) -> None:
        """Marks one request as finished."""
        with self._lock:
            self._users -= 1
            if self._closing and not self._users:
                self._idle.notify_all()

    def close(self) -> None:
        """Waits for running requests, then closes the session."""
        with self._lock:
            self._closing = True
            self._idle.wait_for(lambda: not self._users)
        self._session.close()


def _has_loops(graph: graph_pb2.GraphDef) -> bool:
    """Whether the duration of a call may depend on the request's values: past durations say nothing then."""
    functions = (node.op for function in graph.library.function for node in function.node_def)
    return any(op in LOOPS for op in itertools.chain((node.op for node in graph.node), functions))


def _not_readable(path: object) -> ServingStatus:
    return ServingStatus(
        Code.PERMISSION_DENIED,
        f'{path} may not be read by user {os.getuid()}, who runs the server; publish with publish.mode: "0644", or let '
        "that user read the folder of versions",
    )


def _meta_graph(path: Path, tags: str) -> meta_graph_pb2.MetaGraphDef:
    """Returns the MetaGraph with these tags; raises ServingStatus with the C++ loader's message."""
    file = path / "saved_model.pb"
    try:
        content = file.read_bytes()
    except PermissionError:
        raise _not_readable(file) from None
    except OSError:
        raise ServingStatus(
            Code.NOT_FOUND, f"Could not find SavedModel .pb or .pbtxt at supplied export directory path: {path}"
        ) from None
    try:
        saved = saved_model_pb2.SavedModel.FromString(content)
    except DecodeError:
        raise ServingStatus(Code.DATA_LOSS, f"Can't parse {file} as binary proto") from None
    wanted = set(filter(None, tags.split(",")))
    for meta in saved.meta_graphs:
        if set(meta.meta_info_def.tags) == wanted:
            return meta
    raise ServingStatus(
        Code.NOT_FOUND,
        f"Could not find meta graph def matching supplied tags: {{ {' '.join(sorted(wanted))} }}. To inspect available "
        "tag-sets in the SavedModel, please use the SavedModel CLI: `saved_model_cli`",
    )


def _signature(name: str, definition: meta_graph_pb2.SignatureDef, graph: tf.Graph) -> Signature:
    def handles(infos) -> dict[str, object]:
        return {
            alias: graph.as_graph_element(infos[alias].name)._as_tf_output()
            for alias in sorted(infos)
            if infos[alias].name
        }

    defaults = {alias: to_array(definition.defaults[alias]) for alias in definition.defaults}
    dtypes = {alias: definition.inputs[alias].dtype for alias in definition.inputs}
    return Signature(name, definition, handles(definition.inputs), handles(definition.outputs), dtypes, defaults)
