"""Texts of any script: within sentences of ours right-to-left ones stay in their place; how many words they have."""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

# Letters of a word in scripts that put no blanks between words, as they are usual there.
LETTERS_A_WORD = {
    r"\p{Han}\p{Yi}": 2,
    r"\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Tibetan}": 3,
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Balinese}\p{Javanese}\p{Tai_Tham}\p{Tai_Le}\p{New_Tai_Lue}": 4,
}
MAX_CHARACTERS = 400  # of a text whose words are counted
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
ISOLATES = ("\u2066", "\u2067", FIRST_STRONG_ISOLATE)
# What turns the direction of all that follows until it is closed, also beyond the text.
TURNING = {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e"}


def printable(text: str) -> str:
    """Returns a text that leaves a terminal, and what stands beside it in a line, as they are.

    As escapes such as \\x1b: control characters, ends of lines among them, halves of surrogate pairs, and marks that
    override the direction of letters; isolates where they are not all closed in the text.
    """
    if text.isprintable():
        return text
    escaped = TURNING if _is_balanced(text) else {*TURNING, *ISOLATES, POP_ISOLATE}
    return "".join(
        character.encode("unicode_escape").decode()
        if character in escaped or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def printable_lines(text: str) -> str:
    """Returns a text of several lines, each of them `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def _is_balanced(text: str) -> bool:
    """Returns whether each isolate of a text is closed in it, and nothing else is."""
    depth = 0
    for character in text:
        depth += (character in ISOLATES) - (character == POP_ISOLATE)
        if depth < 0:
            return False
    return depth == 0


def isolated(text: str) -> str:
    """Returns a text so that numbers and words beside it stay where they are (Unicode Annex 9, isolates), printable.

    Without right-to-left letters it gets no marks: not every terminal knows them.
    """
    text = printable(text)
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
    return text


def listed(names: Sequence[str], most: int) -> str:
    """Returns the first names, whole, with commas between, and how many there are besides: `a, b and 4 more`."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def cut(text: str, length: int) -> str:
    """Returns the first `length` characters, and the rest of the grapheme cluster that they end in."""
    import regex  # unlike re it knows what belongs together

    ends = (cluster.end() for cluster in regex.finditer(r"\X", text))
    return text[: next((end for end in ends if end >= length), len(text))]


def num_words(text: str) -> float:
    """Returns about how many words a text has, in any script; numbers, and codes of digits mostly, are none.

    Where a script puts no blanks between words it is so many letters a word.
    """
    letters, unspaced = _patterns()
    rest, words = text[:MAX_CHARACTERS], 0.0
    for pattern, size in unspaced:
        rest, count = pattern.subn(" ", rest)
        words += count / size
    return words + sum(2 * len(letters.findall(token)) > len(token) for token in rest.split())


@functools.cache
def _patterns() -> tuple[Any, list[tuple[Any, int]]]:
    """Returns what a letter is, or a mark on one, and those of each kind of script without blanks with their number."""
    import regex

    letters = r"[\p{L}\p{M}]"
    joined = [(regex.compile(f"(?V1)[[{names}]&&{letters}]"), size) for names, size in LETTERS_A_WORD.items()]
    return regex.compile(letters), joined
