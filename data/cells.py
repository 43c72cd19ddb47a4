"""Names that are imported from here until `data.inference` and `drafting.labels` name `data.kinds`."""

from data.kinds.boolean import BOOLEANS
from data.kinds.cell import word

__all__ = ["BOOLEANS", "word"]
