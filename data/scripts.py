"""Texts in any script: safe to print in a message, also right-to-left ones; their length in words."""

import functools
import unicodedata
from collections.abc import Sequence
from typing import Any

# Mean number of letters in a word, in scripts without blanks between words.
LETTERS_PER_WORD = {
    r"\p{Han}\p{Yi}": 2,
    r"\p{Hiragana}\p{Katakana}\p{Bopomofo}\p{Tibetan}": 3,
    r"\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Balinese}\p{Javanese}\p{Tai_Tham}\p{Tai_Le}\p{New_Tai_Lue}": 4,
}
MAX_CHARACTERS = 400  # of a text whose words are counted
FIRST_STRONG_ISOLATE, POP_ISOLATE = "\u2068", "\u2069"
ISOLATES = ("\u2066", "\u2067", FIRST_STRONG_ISOLATE)
# Embeddings and overrides: they change the direction of all following characters, beyond the text, until closed.
DIRECTION_MARKS = {"\u202a", "\u202b", "\u202c", "\u202d", "\u202e"}


def printable(text: str) -> str:
    """Returns a text that changes neither the terminal nor the rest of its line.

    Escaped, such as \\x1b, are control characters (ends of lines, too), halves of surrogate pairs, and marks that
    override the direction of letters; isolates where the text does not close them all.
    """
    if text.isprintable():
        return text
    to_escape = DIRECTION_MARKS if _is_balanced(text) else {*DIRECTION_MARKS, *ISOLATES, POP_ISOLATE}
    return "".join(
        character.encode("unicode_escape").decode()
        if character in to_escape or unicodedata.category(character) in ("Cc", "Cs", "Zl", "Zp")
        else character
        for character in text
    )


def printable_lines(text: str) -> str:
    """Returns a text of several lines, each of them `printable`."""
    return "\n".join(map(printable, text.split("\n")))


def _is_balanced(text: str) -> bool:
    """Returns whether a text closes each of its isolates, and no other."""
    depth = 0
    for character in text:
        depth += (character in ISOLATES) - (character == POP_ISOLATE)
        if depth < 0:
            return False
    return depth == 0


def isolated(text: str) -> str:
    """Returns a printable text that does not reorder the words around it (Unicode Annex 9, isolates).

    Marks are added only around right-to-left letters: not every terminal knows them.
    """
    text = printable(text)
    if any(unicodedata.bidirectional(character) in ("R", "AL") for character in text):
        return f"{FIRST_STRONG_ISOLATE}{text}{POP_ISOLATE}"
    return text


def listed(names: Sequence[str], max_names: int) -> str:
    """Returns the first names, separated by commas, and the number of the others: `a, b and 4 more`."""
    omitted = f" and {len(names) - max_names:,} more" if len(names) > max_names else ""
    return ", ".join(names[:max_names]) + omitted


def cut(text: str, length: int) -> str:
    """Returns the first `length` characters, and the rest of the grapheme cluster that they end in."""
    import regex  # unlike re it knows grapheme clusters

    ends = (cluster.end() for cluster in regex.finditer(r"\X", text))
    return text[: next((end for end in ends if end >= length), len(text))]


def num_words(text: str) -> float:
    """Returns about how many words a text has, in any script; tokens that are not mostly letters do not count.

    In scripts without blanks between words it is estimated by the number of letters.
    """
    letters, unspaced_scripts = _patterns()
    remaining, count = text[:MAX_CHARACTERS], 0.0
    for pattern, size in unspaced_scripts:
        remaining, num_letters = pattern.subn(" ", remaining)
        count += num_letters / size
    return count + sum(2 * len(letters.findall(token)) > len(token) for token in remaining.split())


@functools.cache
def _patterns() -> tuple[Any, list[tuple[Any, int]]]:
    """Returns the pattern of a letter, and for scripts without blanks pairs of letter pattern and letters per word."""
    import regex

    letters = r"[\p{L}\p{M}]"
    unspaced_scripts = [
        (regex.compile(f"(?V1)[[{names}]&&{letters}]"), size) for names, size in LETTERS_PER_WORD.items()
    ]
    return regex.compile(letters), unspaced_scripts
