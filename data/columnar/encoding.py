"""Encodes columns as serialized tf.train.Examples, all rows at once and deterministically. Loads no TensorFlow.

tfx_bsl's encoder is not used: it writes features in the order of a hash table, which differs from row to row, so that
equal rows have different bytes; and it writes a missing value as a feature without a list, which is not how they are
stored.
"""

import itertools
from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import xxhash

# Tags, field number and wire type, of the wire format of Protocol Buffers
# (https://protobuf.dev/programming-guides/encoding): of an entry of the map in tf.train.Features, of its key and its
# value, of a list in tf.train.Feature, of the values in a list.
_ENTRY, _KEY, _VALUE = 0x0A, 0x0A, 0x12
_LIST = {"bytes": 0x0A, "float": 0x12, "int": 0x1A}
_VALUES = 0x0A
MAX_LENGTHS = 4096  # range of lengths up to which they are counted in a table
_EMPTY = pa.scalar(b"", pa.binary())


def encode(columns: pa.RecordBatch, names: Sequence[str]) -> pa.Array:
    """Returns each row as a serialized tf.train.Example, binary: the bytes of `data.examples.encode`.

    Args:
        columns: Stored values: float32, int64 or binary, or lists of those; a null is left out.
        names: The columns to take; their order does not matter.
    """
    parts = [part for name in sorted(names) for part in _entry(name, columns.column(name))]
    if not parts:
        return pa.array([b""] * len(columns), pa.binary())
    arrays = []
    for is_varying, run_of_parts in itertools.groupby(parts, lambda part: isinstance(part, pa.Array)):
        run = list(run_of_parts)
        arrays += run if is_varying else [_concatenated(run, len(columns))]
    # Each copy of all bytes costs as much as hashing them, so the prefix of a row is joined with it in the same call.
    prefixes = _by_length(
        sum(map(_lengths, arrays)), lambda length: bytes([_ENTRY]) + _varint(length) if length else b""
    )
    return pc.binary_join_element_wise(prefixes, *arrays, _EMPTY)


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


def in_bytes(column: pa.ListArray) -> pa.Array:
    """Returns the values of each row as bytes, as they are encoded, binary; none for a null."""
    return _several(column)[1]


def _entry(name: str, column: pa.Array) -> tuple["_Part", "_Part"]:
    """Returns the entry of a feature in the map of each row: the bytes before its value, and its value."""
    kind, values, tags = _list_of(column)
    key = name.encode()
    key = bytes([_KEY]) + _varint(len(key)) + key

    def prefix(length: int) -> bytes:
        encoded, size = b"", length
        for tag, inner in (*((tag, b"") for tag in tags), (_LIST[kind], b""), (_VALUE, key), (_ENTRY, b"")):
            encoded = inner + bytes([tag]) + _varint(size) + encoded
            size = length + len(encoded)
        return encoded

    if not column.null_count and not isinstance(values, pa.Array):
        return prefix(values.shape[1]), values
    if not isinstance(values, pa.Array):
        values = _concatenated([values], len(column))
    prefixes = _by_length(_lengths(values), prefix)
    if not column.null_count:
        return prefixes if isinstance(prefixes, pa.Array) else prefixes.as_py(), values
    is_valid = column.is_valid()
    return pc.if_else(is_valid, prefixes, _EMPTY), pc.if_else(is_valid, values, _EMPTY)


def _list_of(column: pa.Array) -> tuple[str, "pa.Array | np.ndarray", tuple[int, ...]]:
    """Returns how a feature is stored, its values in each row as bytes, and the tags that stand before those.

    The values are as many bytes in each row, uint8 `(rows, bytes)`, or binary `(rows,)`. Packed numbers are one field;
    of several texts each is a field of its own, whose tag is part of the bytes.
    """
    if pa.types.is_list(column.type):
        return _several(column)
    if pa.types.is_binary(column.type):
        return "bytes", column.fill_null(b"") if column.null_count else column, (_VALUES,)
    if pa.types.is_floating(column.type):
        return "float", column.fill_null(0).to_numpy().astype("<f4").reshape(-1, 1).view(np.uint8), (_VALUES,)
    return "int", _varints(column.fill_null(0).to_numpy()), (_VALUES,)


def _several(column: pa.ListArray) -> tuple[str, pa.Array, tuple[int, ...]]:
    """Returns `_list_of` a column of lists: a null, or an empty list, is no bytes."""
    bounds = column.offsets.to_numpy()
    values = column.values.slice(bounds[0], bounds[-1] - bounds[0])
    bounds = bounds - bounds[0]
    if column.null_count:  # what lies under a null is left out
        column = pa.ListArray.from_arrays(pa.array(bounds), values, mask=column.is_null())
        bounds, values = np.concatenate([[0], np.cumsum(column.value_lengths().fill_null(0))]), column.flatten()
    if pa.types.is_floating(values.type):
        return "float", _cut(values.to_numpy().astype("<f4").view(np.uint8), bounds * 4), (_VALUES,)
    if pa.types.is_binary(values.type):
        prefixes = _by_length(_lengths(values), lambda length: bytes([_VALUES]) + _varint(length))
        fields, tags = pc.binary_join_element_wise(prefixes, values, _EMPTY), ()
    else:
        fields, tags = _varints(values.to_numpy()), (_VALUES,)
    ends = np.frombuffer(fields.buffers()[1], np.int32)[fields.offset : fields.offset + len(fields) + 1]
    kind = "int" if tags else "bytes"
    return kind, _cut(content(fields), (ends - ends[0])[bounds] if len(fields) else bounds), tags


def _cut(content: "np.ndarray | memoryview", bounds: np.ndarray) -> pa.Array:
    """Returns bytes, cut at `bounds`, int `(rows + 1,)`, as binary `(rows,)`."""
    buffers = [None, pa.py_buffer(np.ascontiguousarray(bounds, np.int32)), pa.py_buffer(content)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(bounds) - 1, buffers)


# A part of all rows: bytes that are equal in all of them, values of equal length, uint8 `(rows, bytes)`, or binary.
_Part = bytes | np.ndarray | pa.Array


def _concatenated(parts: Sequence[bytes | np.ndarray], rows: int) -> pa.Array | pa.Scalar:
    """Returns parts that have the same length in each row, joined, binary; a scalar where all rows are equal."""
    if all(isinstance(part, bytes) for part in parts):
        return pa.scalar(b"".join(parts), pa.binary())
    sizes = [len(part) if isinstance(part, bytes) else part.shape[1] for part in parts]
    template = b"".join(part if isinstance(part, bytes) else bytes(part.shape[1]) for part in parts)
    joined = np.empty((rows, len(template)), np.uint8)
    joined[:] = np.frombuffer(template, np.uint8)
    for part, size, end in zip(parts, sizes, np.cumsum(sizes).tolist(), strict=True):
        if not isinstance(part, bytes):
            joined[:, end - size : end] = part
    offsets = np.arange(0, (rows + 1) * len(template), len(template), dtype=np.int32)
    return pa.BinaryArray.from_buffers(pa.binary(), rows, [None, pa.py_buffer(offsets), pa.py_buffer(joined)])


def _lengths(values: pa.Array | pa.Scalar) -> np.ndarray | int:
    """Returns the length of each value, `(rows,)`; of a scalar one length."""
    lengths = pc.binary_length(values)
    return lengths.as_py() if isinstance(lengths, pa.Scalar) else lengths.to_numpy(zero_copy_only=False)


def _by_length(lengths: np.ndarray | int, encode_length: Callable[[int], bytes]) -> pa.Array | pa.Scalar:
    """Returns `encode_length` of each length, binary; a scalar where all lengths are equal."""
    if isinstance(lengths, int):
        return pa.scalar(encode_length(lengths), pa.binary())
    if not len(lengths):
        return pa.array([], pa.binary())
    shortest, longest = int(lengths.min()), int(lengths.max())
    if shortest == longest:
        return pa.scalar(encode_length(shortest), pa.binary())
    if longest - shortest < MAX_LENGTHS:  # `np.unique` sorts
        ranks = np.cumsum(np.bincount(lengths - shortest) > 0, dtype=np.int32) - 1
        distinct, index = np.flatnonzero(np.diff(ranks, prepend=-1)) + shortest, ranks[lengths - shortest]
    else:
        distinct, index = np.unique(lengths, return_inverse=True)
    return pa.array([encode_length(int(length)) for length in distinct], pa.binary()).take(pa.array(index))


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*encoded, number])


def _varints(numbers: np.ndarray) -> pa.Array:
    """Returns int64 `(rows,)` as varints, binary."""
    remaining = numbers.astype(np.uint64)
    max_bytes = max(int(remaining.max(initial=0)).bit_length() + 6, 7) // 7  # bytes of the longest
    parts = np.empty((len(remaining), max_bytes), np.uint8)
    lengths = np.ones(len(remaining), np.int32)
    for position in range(max_bytes):
        parts[:, position] = remaining & np.uint64(0x7F)
        remaining = remaining >> np.uint64(7)
        lengths += remaining != 0
        parts[:, position] |= np.where(remaining != 0, 0x80, 0).astype(np.uint8)
    used_bytes = parts[np.arange(max_bytes) < lengths[:, None]]
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(used_bytes)]
    return pa.BinaryArray.from_buffers(pa.binary(), len(lengths), buffers)
