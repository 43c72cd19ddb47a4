"""Parses the texts of a column as numbers, with Arrow."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from data.sources.tables.notation import is_number

NUM_TESTED_FIRST = 8  # cells
# Texts that may be numbers: a superset of what float() accepts.
MAY_BE_NUMBER = r"(?i)^[+-]?(inf|infinity|nan|[\p{Nd}.]+(e[+-]?\p{Nd}+)?)$"


def number_of(text: str) -> float:
    """Returns a text parsed as the readers parse it, so that 1_000 is not a number; NaN where it is not one."""
    return float(text) if is_number(text) else float("nan")


def plain_numbers(texts: pa.Array) -> np.ndarray | None:
    """Returns texts that are all plain numbers as float64 `(rows,)`; None where one is not."""
    # Arrow formats an error for every text that is not a number, 0.4 us each; the first texts decide in most columns.
    if texts.null_count or any(not is_number(text.as_py()) for text in texts[:NUM_TESTED_FIRST]):
        return None
    try:
        return pc.cast(texts, pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None


def numbers_among(texts: pa.Array) -> np.ndarray:
    """Returns texts parsed as numbers, float64 `(rows,)`; NaN where a text is not a number."""
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
