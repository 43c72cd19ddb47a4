"""TensorFlow's C++ loader of SavedModels by way of the C API; TF Serving uses the same one."""

import ctypes
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from models.serving.protocol.tensors import number_of

P = ctypes.c_void_p
TSTRING = 24  # bytes of a TF_TString


class _Output(ctypes.Structure):
    _fields_ = (("operation", P), ("index", ctypes.c_int))


class _Buffer(ctypes.Structure):
    _fields_ = (("data", P), ("length", ctypes.c_size_t), ("deallocate", P))


def _api() -> ctypes.CDLL:
    library = ctypes.CDLL(str(Path(tf.__file__).parent / "libtensorflow_cc.so.2"))
    for name in (
        "TF_NewStatus", "TF_NewGraph", "TF_NewBuffer", "TF_NewSessionOptions", "TF_LoadSessionFromSavedModel",
        "TF_GraphOperationByName", "TF_AllocateTensor", "TF_TensorData", "TF_StringGetDataPointer",
    ):  # fmt: skip
        getattr(library, name).restype = P
    for name in ("TF_TensorByteSize", "TF_StringGetSize"):
        getattr(library, name).restype = ctypes.c_size_t
    library.TF_Message.restype = ctypes.c_char_p
    library.TF_Dim.restype = ctypes.c_int64
    return library


class CppModel:
    """A SavedModel in a session of the C++ loader.

    Args:
        folder: The SavedModel.

    Raises:
        RuntimeError: The loader refuses it, or a request, in its own words.
    """

    def __init__(self, folder: Path):
        self._c = _api()
        self._status, self._graph = P(self._c.TF_NewStatus()), P(self._c.TF_NewGraph())
        meta = P(self._c.TF_NewBuffer())
        tags = (ctypes.c_char_p * 1)(b"serve")
        self._session = P(
            self._c.TF_LoadSessionFromSavedModel(
                P(self._c.TF_NewSessionOptions()), None, str(folder).encode(), tags, 1, self._graph, meta, self._status
            )
        )
        self._check()
        buffer = ctypes.cast(meta, ctypes.POINTER(_Buffer)).contents
        self.signatures = meta_graph_pb2.MetaGraphDef.FromString(
            ctypes.string_at(buffer.data, buffer.length)
        ).signature_def

    def run(self, signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs of a signature by alias."""
        definition = self.signatures[signature]
        fed = sorted(inputs)
        wanted = sorted(definition.outputs)
        tensors = (P * len(fed))(*[self._tensor(inputs[alias]) for alias in fed])
        outputs = (P * len(wanted))()
        self._c.TF_SessionRun(
            self._session, None, self._ends(definition.inputs, fed), tensors, len(fed),
            self._ends(definition.outputs, wanted), outputs, len(wanted), None, 0, None, self._status,
        )  # fmt: skip
        self._check()
        return {alias: self._array(P(tensor)) for alias, tensor in zip(wanted, outputs, strict=True)}

    def _ends(self, infos, aliases: list[str]):
        names = [infos[alias].name.partition(":") for alias in aliases]
        made = [_Output(self._c.TF_GraphOperationByName(self._graph, name.encode()), int(i)) for name, _, i in names]
        return (_Output * len(made))(*made)

    def _tensor(self, array: np.ndarray) -> int:
        shape = (ctypes.c_int64 * array.ndim)(*array.shape)
        number = number_of(array.dtype)
        size = array.size * (TSTRING if number == types_pb2.DT_STRING else array.itemsize)
        tensor = self._c.TF_AllocateTensor(number, shape, array.ndim, ctypes.c_size_t(size))
        data = self._c.TF_TensorData(P(tensor))
        if number != types_pb2.DT_STRING:
            ctypes.memmove(data, np.ascontiguousarray(array).tobytes(), size)
            return tensor
        for index, text in enumerate(array.ravel().tolist()):
            place = P(data + index * TSTRING)
            self._c.TF_StringInit(place)
            self._c.TF_StringCopy(place, ctypes.c_char_p(text), ctypes.c_size_t(len(text)))
        return tensor

    def _array(self, tensor: P) -> np.ndarray:
        shape = [self._c.TF_Dim(tensor, axis) for axis in range(self._c.TF_NumDims(tensor))]
        number, data = self._c.TF_TensorType(tensor), self._c.TF_TensorData(tensor)
        if number == types_pb2.DT_STRING:
            values = np.empty(math.prod(shape), object)
            for index in range(values.size):
                place = P(data + index * TSTRING)
                values[index] = ctypes.string_at(
                    self._c.TF_StringGetDataPointer(place), self._c.TF_StringGetSize(place)
                )
            return values.reshape(shape)
        content = ctypes.string_at(data, self._c.TF_TensorByteSize(tensor))
        return np.frombuffer(content, tf.dtypes.as_dtype(number).as_numpy_dtype).reshape(shape)

    def _check(self) -> None:
        if self._c.TF_GetCode(self._status):
            raise RuntimeError(self._c.TF_Message(self._status).decode(errors="replace"))
