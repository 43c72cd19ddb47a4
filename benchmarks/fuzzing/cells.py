"""Cells of text columns: two bytes select the feature and the reading, each line after them is a cell."""

from benchmarks.fuzzing.findings import Finding

MODULES = ("data.numerals", "data.kinds.number", "data.kinds.date", "data.kinds.text", "data.kinds.cell")
WORDS = (
    "\n", "\n\n", "1e400", "1e-400", "nan", "-inf", "0x", "1_0", "1.234,5", "1,234.5", "1'234", "\u2212", "\u2019",
    "\u00a0", "\u20ac", "%", " km", "2024-01-31", "T12:30:59", ".999999", "+02:00", "Z", "-W05-3", "0000-",
    "9999-12-31", "31.02.2024", "20240131", "NA", "-999", "\0", "\x1f", "\ufeff", "cafe\u0301", "\uff11",
)  # fmt: skip


def seeds() -> list[bytes]:
    """Returns columns of each kind."""
    columns = [
        "1.5\n-3\n1e5\n",
        "3 %\n4,5 %\n",
        "2024-01-31\n\n2024-01-31T12:00:00Z",
        "31.01.2024\n20240131",
        "a\nb b\n",
    ]
    return [bytes([feature, 0]) + cells.encode() for cells in columns for feature in range(10)]


class Target:
    """Stores a column at once and its cells one by one: both results must be equal."""

    def __init__(self) -> None:
        from data.kinds.cell import ReadOptions
        from data.numerals import Notation
        from data.spec import CategoryFeature, DateFeature, NumberFeature, TargetFeature, TextFeature

        self._features = [
            *(NumberFeature(optional=True), NumberFeature(unit="%"), NumberFeature(unit="km"), TargetFeature(min=0)),
            *(DateFeature(format=form) for form in ("iso", "unix", "%Y%m%d", "%d.%m.%Y %H:%M")),
            *(CategoryFeature(optional=True), TextFeature(optional=True)),
        ]
        missing = frozenset({"", "NA", "-999"})
        self._readings = [
            ReadOptions(True, missing, notation=Notation(*marks)) for marks in (".", ",", ",.", ", ", ".'")
        ]

    def close(self) -> None:
        """Nothing is open."""

    def __call__(self, content: bytes) -> None:
        """Stores one column."""
        import pyarrow as pa

        from data.columnar.columns import column

        if len(content) < 2:
            return
        feature = self._features[content[0] % len(self._features)]
        reading = self._readings[content[1] % len(self._readings)]
        cells = content[2:].decode(errors="replace").split("\n")
        at_once, one_by_one = column(pa.array(cells, pa.string()), feature, reading), column(cells, feature, reading)
        if not at_once.values.equals(one_by_one.values):
            raise Finding("stored differently from one by one")
        problems = [{row: error.args for row, error in stored.problems.items()} for stored in (at_once, one_by_one)]
        if problems[0] != problems[1]:
            raise Finding("problems differ from those one by one")
