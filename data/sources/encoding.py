"""Recognises the encoding of text that is not UTF-8, so that a message can name the command that converts it."""

import codecs
import re
from collections.abc import Iterable

# Encodings that are recognised: Python's name -> that of iconv. They are few, since a short text is valid in many; of
# those that fit equally well the first is chosen.
ENCODINGS = {
    "cp1252": "CP1252", "cp1250": "CP1250", "cp1251": "CP1251", "koi8_r": "KOI8-R", "cp1253": "CP1253",
    "cp1254": "CP1254", "cp1255": "CP1255", "cp1256": "CP1256", "cp932": "CP932", "euc_jp": "EUC-JP",
    "gb18030": "GB18030", "big5": "BIG5", "euc_kr": "EUC-KR", "mac_roman": "MACINTOSH",
}  # fmt: skip
# Encodings of languages in which most letters are ASCII, so that other letters occur singly.
LATIN = ("cp1252", "cp1250", "cp1254", "mac_roman")
SINGLE_BYTE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]")  # and bytes that CP1252 does not define
WIDE_ENCODINGS = {"utf_16_le": "UTF-16LE", "utf_16_be": "UTF-16BE"}
BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
MAX_SAMPLE = 8_192  # bytes; they take a millisecond
MAX_CHAOS_DIFFERENCE = 0.02  # of charset-normalizer's measure of disorder, from 0 to 1


def marked(content: bytes) -> str | None:
    """Returns iconv's name of the encoding whose byte order mark a text begins with; None without a mark."""
    return next((name for mark, name in BYTE_ORDER_MARKS if content.startswith(mark)), None)


def recognised(content: bytes) -> str | None:
    """Returns iconv's name of the likely encoding of bytes that are not UTF-8; None where no encoding fits."""
    if marked(content):
        return marked(content)
    from charset_normalizer import from_bytes  # 50 ms, not needed for UTF-8

    if b"\0" in content:
        best = from_bytes(content[:MAX_SAMPLE], cp_isolation=list(WIDE_ENCODINGS)).best()
        return WIDE_ENCODINGS[best.encoding] if best else None
    sample = _sample(content.splitlines(keepends=True))
    num_non_ascii = sum(byte >= 0x80 for byte in sample)
    is_latin = 2 * len(SINGLE_BYTE.findall(sample)) > num_non_ascii
    matches = from_bytes(sample, cp_isolation=list(LATIN if is_latin else ENCODINGS))
    best = matches.best()
    if best is None:  # also where the only characters beyond ASCII are signs, such as Word's quotation marks
        return "CP1252" if is_latin and not CONTROLS.search(sample) else None
    # A text is decoded alike in many encodings, and of these the library chooses the alphabetically first.
    equally_good = [
        name
        for match in matches
        if match.chaos <= best.chaos + MAX_CHAOS_DIFFERENCE
        for name in match.could_be_from_charset
    ]
    return ENCODINGS["cp1252" if best.encoding in LATIN and "cp1252" in equally_good else best.encoding]


def _sample(lines: Iterable[bytes]) -> bytes:
    """Returns the lines that are not ASCII, up to `MAX_SAMPLE` bytes: in a long English text they are few."""
    non_ascii_lines = b"".join(line for line in lines if not line.isascii())
    return non_ascii_lines[:MAX_SAMPLE]
