"""Records of a file -> serialized tf.train.Examples, many at once: a model is asked about them. Loads no TensorFlow."""

from collections.abc import Iterator, Sequence

import numpy as np

from data.columnar import encoding
from data.columnar.columns import store
from data.kinds.cell import Reading
from data.sources.blocks import blocks_of
from data.sources.records import Record
from data.spec import DatasetSpec


def encoded(records: Sequence[Record], spec: DatasetSpec, how: Reading) -> Iterator[bytes | None]:
    """Yields the Example of each record; None for one that cannot be used, of which `columns.to_row` says why.

    Args:
        records: The records; columns that are no features are left out.
        spec: What they must hold.
        how: How the cells of the file are read.
    """
    places = [place for place, record in enumerate(records) if not record.problem]
    rows = [{name: records[place].cells.get(name) for name in spec.features} for place in places]
    contents: list[bytes | None] = [None] * len(records)
    for block in blocks_of("", rows, np.array(places, np.int64)):
        stored = store(block, spec, how)
        serialized = encoding.encode(stored.columns, list(spec.features)).to_pylist()
        for place, content in zip(block.numbers[stored.kept].tolist(), serialized, strict=True):
            contents[place] = content
    yield from contents
