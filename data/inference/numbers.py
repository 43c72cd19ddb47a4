"""Which texts of a column are numbers, by Arrow."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.sources.tables.notation import is_number

FIRST = 8  # cells
# What may be a number, of all that float() takes.
MAY_BE_NUMBER = r"(?i)^[+-]?(inf|infinity|nan|[\p{Nd}.]+(e[+-]?\p{Nd}+)?)$"


def number_of(text: str) -> float:
    """Returns the number that a text is as the readers take it; NaN where it is none. Python takes 1_000 as well."""
    return float(text) if is_number(text) else float("nan")


def plain_numbers(texts: pa.Array) -> np.ndarray | None:
    """Returns texts that are all plain numbers as float64 `(rows,)`; None where one is not."""
    # Arrow writes an error for every text that is no number, 0.4 us each: the first ones tell most columns.
    if texts.null_count or any(not is_number(text.as_py()) for text in texts[:FIRST]):
        return None
    try:
        return pc.cast(texts, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None


def numbers_among(texts: pa.Array) -> np.ndarray:
    """Returns the numbers that texts are, float64 `(rows,)`, NaN where one is none."""
    plain = plain_numbers(texts)
    if plain is not None:
        return plain
    numbers = np.full(len(texts), np.nan)
    candidates = np.flatnonzero(pc.match_substring_regex(texts, MAY_BE_NUMBER).to_numpy(zero_copy_only=False))
    if len(candidates):
        candidate_texts = texts.take(pa.array(candidates))
        plain = plain_numbers(candidate_texts)
        numbers[candidates] = [number_of(text) for text in candidate_texts.to_pylist()] if plain is None else plain
    return numbers
