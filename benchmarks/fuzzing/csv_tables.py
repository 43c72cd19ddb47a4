"""CSV files: two bytes select the given layout and the size of the blocks, the rest is the file."""

from benchmarks.fuzzing.findings import Finding
from benchmarks.fuzzing.scratch import scratch

MODULES = (
    "data.sources.records", "data.sources.blocks", "data.sources.tables.dialect", "data.sources.tables.headers",
    "data.sources.tables.plain_rows", "data.sources.tables.delimited", "data.sources.tables.delimited_blocks",
)  # fmt: skip
WORDS = (
    "\n", "\r\n", "\r", "\n\n", ",", ",\n", ";", "\t", '"', '""', '"""', '","', '"\n', '",', ',"', '"a\nb"', '"a\r\nb"',
    "\0", "\ufeff", "sep=;\n", "sep=,\r\n", "# a\n", "x,y\n", "y,x\n", "x", "y", "1", "2.5", "é", "\u2028", "\x1c",
    "\udcff", "\udcc3", "'", "\\", " ", "column_1", "x,y,z\n1,2,3\n", "1,2,3\n" * 9,
)  # fmt: skip
SIZES = (1, 8, 32, 64, 200, 1000, 2**22)  # bytes of a block


def seeds() -> list[bytes]:
    """Returns files of each dialect, for each layout."""
    files = [
        "x,y\n1,2\n3,4\n",
        'x,y\r\n1,"a,b"\r\n3,"c\nd"\r\n',
        "x;y\n1;2,5\n\n3;4\n",
        "A table\n# of two columns\nx,y\n1,2\n3,4\nx,y\n5,6\n",
        "x,y,\n1,2,\n3,4,\n",
        "1,2\r3,4\r5,6\r",
        'sep=;\nx;y\n1;"a""b"\n2;3;4\n',
        "x\na\nb\n\nc\n",
        "x,y\n" + "1,é\n" * 40 + '2,b"c\n' + "3,4\n" * 40,
    ]
    return [bytes([layout, size]) + file.encode() for file in files for layout in range(6) for size in (0, 3, 6)]


class Target:
    """Reads a file by blocks and by rows: both results must be equal."""

    def __init__(self) -> None:
        from data.sources.tables.dialect import Layout
        from tests.data.sources.tables import both_ways

        self._read, self._file = both_ways.csv, scratch("rows.csv")
        self._layouts = [
            *(Layout(), Layout(header=True), Layout(header=False), Layout(names=("x", "y"))),
            *(Layout(delimiter=";"), Layout(delimiter="\t")),
        ]

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, content: bytes) -> None:
        """Reads one file."""
        if len(content) < 2:
            return
        self._file.write_bytes(content[2:])
        layout = self._layouts[content[0] % len(self._layouts)]
        by_blocks, by_rows = self._read(self._file, layout, SIZES[content[1] % len(SIZES)])
        for part, of_blocks, of_rows in zip(("rows", "problems", "error"), by_blocks, by_rows, strict=True):
            if of_blocks != of_rows:
                raise Finding(f"other {part} by blocks than by rows")
