"""JSON Lines and arrays of objects: a byte selects the size of the blocks, the rest is the file."""

from benchmarks.fuzzing.findings import Finding
from benchmarks.fuzzing.scratch import scratch

MODULES = (
    "data.sources.records", "data.sources.blocks", "data.sources.tables.jsonl", "data.sources.tables.jsonl_blocks",
    "json.decoder", "json.scanner",
)  # fmt: skip
WORDS = (
    "\n", "\r\n", "\n\n", "{", "}", "[", "]", "[{", "}]", "},{", "{},{}", '{"x": 1}', '{"x": 1}\n', '"x": ', '"y": ',
    ",", ", ", '"', '\\"', "\\n", "\\u0000", "\\ud800", "\\ud83d\\ude00", "null", "true", "NaN", "-Infinity", "1e400",
    "-0.0", "9007199254740993", "9223372036854775808", "7310962548107433926", "7310962548107433926,", "[[1]]", "\ufeff",
    "\udcff", "\udced\udca0\udc80", "\0", "\x0c", "é", "\u2028", "[" * 200, "9" * 4400, " " * 64,
)  # fmt: skip
SIZES = (1, 8, 32, 64, 200, 1000, 2**22)  # bytes of a block


def seeds() -> list[bytes]:
    """Returns files of lines and of arrays, with values of each type."""
    files = [
        '{"x": 1, "y": "a"}\n{"x": 2.5, "y": null}\n{"y": "b"}\n',
        '{"x": [1, 2.5], "y": {"a": 1}}\r\n\r\n{"x": [], "y": {}}\r\n{"x": ["a", null]}',
        '[{"x": 1}, {"x": "a"},\n {"y": true}\n]\n',
        '[\n  {"x": 1,\n   "y": [1]},\n  {"x": 2}\n]',
        '{"x": 1}\n1\n{"x": \n{"x": "\\ud83d\\ude00"}\n',
        '{"x": 9007199254740993}\n{"x": 0.5}\n{"x": 1}\n',
    ]
    return [bytes([size]) + file.encode() for file in files for size in range(len(SIZES))]


class Target:
    """Reads a file by blocks and by rows: both results must be equal."""

    def __init__(self) -> None:
        from tests.data.sources.tables import both_ways

        self._read, self._file = both_ways.jsonl, scratch("rows.jsonl")

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, content: bytes) -> None:
        """Reads one file."""
        if not content:
            return
        self._file.write_bytes(content[1:])
        by_blocks, by_rows = self._read(self._file, SIZES[content[0] % len(SIZES)])
        for part, of_blocks, of_rows in zip(("rows", "problems", "error"), by_blocks, by_rows, strict=True):
            if of_blocks != of_rows:
                raise Finding(f"other {part} by blocks than by rows")
