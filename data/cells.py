"""Names that are imported from here until their users name `data.columns` and `data.kinds`."""

from data.columns import to_row
from data.kinds.boolean import BOOLEANS
from data.kinds.cell import shown, word
from data.kinds.image import content_of

__all__ = ["BOOLEANS", "content_of", "shown", "to_row", "word"]
