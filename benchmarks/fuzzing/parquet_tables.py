"""Parquet files: the first byte selects whether the rest describes a table to be written, or damage to a file.

For a table the next bytes select the size of the blocks and the type of each column; the rest are the values. For a
file the second byte selects an intact one, in which the following bytes are written at offsets.
"""

import contextlib
import io
import itertools

from benchmarks.fuzzing.findings import Finding
from benchmarks.fuzzing.scratch import scratch

MODULES = ("data.sources.tables.parquet", "data.sources.blocks")
WORDS = (
    "PAR1",
    "\0",
    "\udcff",
    "\udc80",
    "a",
    "\x01",
    "\x7f",
    "\udcff\udcff\udcff\x7f",
    "\x15\x02",
    "\x19\x1c",
    "\x18",
)
TABLE, FILE = range(2)
SIZES = (1, 2, 3, 7, 1024)  # rows of a block
MAX_ROWS = 16


def seeds() -> list[bytes]:
    """Returns tables of each type, and files to be damaged."""
    num_types = len(_types())
    tables = [bytes([TABLE, kind, kind % 5, 1, kind]) + bytes(range(40)) for kind in range(num_types)]
    tables += [bytes([TABLE, 1, 2, 4, kind, kind + 1, 0, 9]) + b"\xff\x01\x80a" * 20 for kind in range(num_types)]
    damaged = [bytes([FILE, file, 0, offset, 1]) for file in range(8) for offset in range(0, 250, 50)]
    return [*tables, *damaged, *(bytes([FILE, 255]) + file for file in _files())]


def _types() -> list:
    import pyarrow as pa

    plain = [
        *(pa.bool_(), pa.int8(), pa.uint16(), pa.int32(), pa.int64(), pa.uint64(), pa.float16(), pa.float32()),
        *(pa.float64(), pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.binary(3), pa.date32()),
        *(pa.date64(), pa.time32("ms"), pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us")),
        *(pa.timestamp("ns"), pa.timestamp("us", "UTC"), pa.timestamp("ns", "Europe/Berlin"), pa.duration("us")),
        *(pa.decimal128(10, 2), pa.decimal256(40, 3), pa.null()),
    ]
    text = pa.string()
    return [
        *plain,
        *(pa.list_(text), pa.list_(pa.int16()), pa.large_list(pa.date32()), pa.list_(pa.float32(), 2)),
        *(pa.struct([("a", text), ("b", pa.timestamp("us"))]), pa.map_(text, pa.int64()), pa.list_(pa.list_(text))),
        *(pa.dictionary(pa.int8(), text), pa.dictionary(pa.int32(), pa.binary())),
    ]


def _files() -> list[bytes]:
    """Returns intact files of the ways in which Parquet encodes values."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({"x": [1, 2, None] * 3, "y": ["a", "bb", "a"] * 3, "z": [[1.5], [], None] * 3})
    all_options: list[dict] = [
        *({}, {"compression": "none"}, {"compression": "zstd"}, {"use_dictionary": False, "compression": "none"}),
        {"data_page_version": "2.0", "compression": "none"},
        {"use_dictionary": False, "column_encoding": {"x": "DELTA_BINARY_PACKED", "y": "DELTA_BYTE_ARRAY"}},
        {"row_group_size": 2, "compression": "gzip"},
        {"write_page_checksum": True, "compression": "none", "store_schema": False},
    ]
    files = []
    for options in all_options:
        sink = io.BytesIO()
        pq.write_table(table, sink, **options)
        files.append(sink.getvalue())
    return files


class Target:
    """Reads a file by blocks and by rows: both results must be equal, or an error with a message."""

    def __init__(self) -> None:
        from tests.data.sources.tables import both_ways

        self._read, self._file = both_ways.parquet, scratch("rows.parquet")
        self._types, self._files = _types(), _files()

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, content: bytes) -> None:
        """Reads one file."""
        if len(content) < 4:
            return
        is_table = content[0] % 2 == TABLE
        if is_table and not self._write(content[2:]):
            return
        if not is_table:
            self._file.write_bytes(self._damaged(content[1], content[2:]))
        by_blocks, by_rows = self._read(self._file, SIZES[content[1] % len(SIZES)])
        if is_table and by_rows[2] and "no rows" not in by_rows[2]:
            raise Finding(f"an intact file is not read: {by_rows[2].partition('(')[2]}")
        compared = zip(("rows", "problems", "error"), by_blocks, by_rows, strict=True)
        for part, of_blocks, of_rows in itertools.islice(compared, 3 if is_table else 0):
            if of_blocks != of_rows:
                raise Finding(f"other {part} by blocks than by rows")

    def _write(self, content: bytes) -> bool:
        """Writes a table described by bytes; returns False where Parquet lacks a type or value of it."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        count, rows = 1 + content[0] % 4, content[1] % MAX_ROWS
        types = [self._types[byte % len(self._types)] for byte in content[2 : 2 + count]]
        values = itertools.cycle(content[2 + count :] or b"\0")
        with contextlib.suppress(pa.ArrowException, OverflowError, ValueError):
            columns = {f"c{index}": _array(type_, rows, values) for index, type_ in enumerate(types)}
            pq.write_table(pa.table(columns), self._file, row_group_size=5)
            return True
        return False

    def _damaged(self, selector: int, content: bytes) -> bytes:
        """Returns bytes as they are, or an intact file with them written into it: offsets of two bytes, and values."""
        if selector == 255:
            return content
        file = bytearray(self._files[selector % len(self._files)])
        for high, low, value in zip(*[iter(content)] * 3, strict=False):
            file[(high * 256 + low) % len(file)] = value
        return bytes(file)


def _array(kind, rows: int, values):
    """Returns an array of a type whose buffers are filled with bytes, which may be invalid values."""
    import pyarrow as pa

    def take(count: int) -> bytes:
        return bytes(itertools.islice(values, count))

    if pa.types.is_null(kind):
        return pa.nulls(rows)
    valid = pa.py_buffer(take((rows + 7) // 8))
    if pa.types.is_dictionary(kind):
        index = pa.array([byte % 2 for byte in take(rows)], kind.index_type)
        return pa.DictionaryArray.from_arrays(index, _array(kind.value_type, 2, values))
    if pa.types.is_struct(kind):
        inner = [_array(field.type, rows, values) for field in kind]
        return pa.Array.from_buffers(kind, rows, [valid], children=inner)
    if pa.types.is_fixed_size_list(kind):
        return pa.FixedSizeListArray.from_arrays(_array(kind.value_type, rows * kind.list_size, values), kind.list_size)
    is_list = pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_map(kind)
    if not is_list and (size := _width(kind)):
        return pa.Array.from_buffers(kind, rows, [valid, pa.py_buffer(take(size * rows // 8 + 1))])
    sizes = [byte % 4 for byte in take(rows)]
    ends = pa.array(itertools.accumulate(sizes, initial=0), _offsets(kind)).buffers()[1]
    if not is_list:
        return pa.Array.from_buffers(kind, rows, [valid, ends, pa.py_buffer(take(sum(sizes)))])
    if pa.types.is_map(kind):
        keys = pa.array([str(number) for number in range(sum(sizes))])
        return pa.MapArray.from_arrays(
            pa.array(itertools.accumulate(sizes, initial=0), pa.int32()),
            keys,
            _array(kind.item_type, sum(sizes), values),
        )
    return pa.Array.from_buffers(kind, rows, [valid, ends], children=[_array(kind.value_type, sum(sizes), values)])


def _width(kind) -> int:
    """Returns the bits of a value of a type; 0 for a type of variable width."""
    try:
        return kind.bit_width
    except ValueError:
        return 0


def _offsets(kind):
    import pyarrow as pa

    is_large = pa.types.is_large_string(kind) or pa.types.is_large_binary(kind) or pa.types.is_large_list(kind)
    return pa.int64() if is_large else pa.int32()
