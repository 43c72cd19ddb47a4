"""Texts of any script within sentences of ours: right-to-left ones stay in their place, letters keep their signs."""

import unicodedata

FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"


def isolated(text: str) -> str:
    """Returns a text so that numbers and words beside it stay where they are (Unicode Annex 9, isolates).

    Without right-to-left letters it is returned as it is: not every terminal knows the marks.
    """
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
    return text


def cut(text: str, length: int) -> str:
    """Returns the first `length` characters, and the rest of the grapheme cluster that they end in."""
    import regex  # unlike re it knows what belongs together

    ends = (cluster.end() for cluster in regex.finditer(r"\X", text))
    return text[: next((end for end in ends if end >= length), len(text))]
