"""Columns -> serialized tf.train.Examples, all rows at once and the same bytes each time. Loads no TensorFlow.

Not tfx_bsl's encoder: it writes features in the order of a hash table, which differs from row to row, so that equal
rows have different bytes; and a missing value becomes a feature without a list, which is not what is stored.
"""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

# The wire format of Protocol Buffers: https://protobuf.dev/programming-guides/encoding. Field and wire type of a
# feature in tf.train.Features, of a key and a value in its map, of a list in tf.train.Feature, of its values.
_ENTRY, _KEY, _VALUE = 0x0A, 0x0A, 0x12
_LIST = {"bytes": 0x0A, "float": 0x12, "int": 0x1A}
_VALUES = 0x0A
MAX_LENGTHS = 4096  # for which a table is made
_NOTHING = pa.scalar(b"", pa.binary())


def encode(columns: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    """Returns each row as a serialized tf.train.Example, binary: the bytes of `data.examples.encode`.

    Args:
        columns: Stored values: float32, int64 or binary; a null is left out.
        names: The columns to take; their order does not matter.
    """
    parts = [part for name in sorted(names) for part in _entry(name, columns.column(name))]
    if not parts:
        return pa.array([b""] * len(columns), pa.binary())
    features = pc.binary_join_element_wise(*parts, _NOTHING)
    heads = _by_length(features, lambda length: bytes([_ENTRY]) + _varint(length) if length else b"")
    return pc.binary_join_element_wise(heads, features, _NOTHING)


def digests(serialized: pa.Array) -> np.ndarray:
    """Returns XXH3-128 of each value, uint64 `(rows, 2)`."""
    digest = xxhash.xxh3_128_digest
    joined = b"".join(map(digest, serialized.to_numpy(zero_copy_only=False)))  # to_pylist takes four times as long
    return np.frombuffer(joined, np.uint64).reshape(-1, 2)


def content(values: pa.Array) -> memoryview:
    """Returns the bytes of all values of a binary array, one after the other."""
    _, offsets, data = values.buffers()
    bounds = np.frombuffer(offsets, np.int32)[values.offset : values.offset + len(values) + 1]
    return memoryview(data)[bounds[0] : bounds[-1]] if data is not None and len(bounds) else memoryview(b"")


def _entry(name: str, column: pa.Array) -> tuple[pa.Array | pa.Scalar, pa.Array]:
    """Returns the entry of a feature in the map of each row: all before its value, and its value; empty for none.

    Where all rows have the same before their values it is one for all.
    """
    if pa.types.is_binary(column.type):
        kind, values = "bytes", column.fill_null(b"") if column.null_count else column
    elif pa.types.is_floating(column.type):
        kind, values = "float", _fixed(column.fill_null(0).to_numpy().astype("<f4"))
    else:
        kind, values = "int", _varints(column.fill_null(0).to_numpy())
    key = name.encode()
    key = bytes([_KEY]) + _varint(len(key)) + key

    def before(length: int) -> bytes:
        found, rest = b"", length
        for tag, inner in ((_VALUES, b""), (_LIST[kind], b""), (_VALUE, key), (_ENTRY, b"")):
            found = inner + bytes([tag]) + _varint(rest) + found
            rest = length + len(found)
        return found

    heads = _by_length(values, before)
    if not column.null_count:
        return heads, values
    there = column.is_valid()
    return pc.if_else(there, heads, _NOTHING), pc.if_else(there, values, _NOTHING)


def _by_length(values: pa.Array, made: Callable[[int], bytes]) -> pa.Array | pa.Scalar:
    """Returns for each value what `made` makes of its length; one for all where that is the same."""
    lengths = pc.binary_length(values).to_numpy(zero_copy_only=False)
    if not len(lengths):
        return pa.array([], pa.binary())
    least, most = int(lengths.min()), int(lengths.max())
    if least == most:
        return pa.scalar(made(least), pa.binary())
    if most - least < MAX_LENGTHS:  # `np.unique` sorts
        places = np.cumsum(np.bincount(lengths - least) > 0, dtype=np.int32) - 1
        different, index = np.flatnonzero(np.diff(places, prepend=-1)) + least, places[lengths - least]
    else:
        different, index = np.unique(lengths, return_inverse=True)
    return pa.array([made(int(length)) for length in different], pa.binary()).take(pa.array(index))


def _fixed(values: np.ndarray) -> pa.Array:
    """Returns the bytes of each of `(rows,)` values, binary."""
    offsets = np.arange(0, (len(values) + 1) * values.itemsize, values.itemsize, dtype=np.int32)
    return pa.BinaryArray.from_buffers(pa.binary(), len(values), [None, pa.py_buffer(offsets), pa.py_buffer(values)])


def _varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def _varints(numbers: np.ndarray) -> pa.Array:
    """Returns int64 `(rows,)` as varints, binary."""
    rest = numbers.astype(np.uint64)
    most = max(int(rest.max(initial=0)).bit_length() + 6, 7) // 7  # bytes of the longest
    parts = np.empty((len(rest), most), np.uint8)
    lengths = np.ones(len(rest), np.int32)
    for place in range(most):
        parts[:, place] = rest & np.uint64(0x7F)
        rest = rest >> np.uint64(7)
        lengths += rest != 0
        parts[:, place] |= np.where(rest != 0, 0x80, 0).astype(np.uint8)
    kept = parts[np.arange(most) < lengths[:, None]]
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(kept)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(lengths), buffers)
