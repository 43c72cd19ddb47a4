"""Texts that every program reads: Unicode that UTF-8 can hold."""

import re

_SURROGATE = re.compile("[\ud800-\udfff]")


def is_unicode(text: str) -> bool:
    """Returns whether UTF-8 can hold a text: no half of a surrogate pair, which JSON can escape."""
    return text.isascii() or not _SURROGATE.search(text)


def is_name(text: str) -> bool:
    """Returns whether a text can name a column or a class: UTF-8 can hold it, and there is no zero byte."""
    return "\0" not in text and is_unicode(text)
