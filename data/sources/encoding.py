"""Recognises the encoding of text that is not UTF-8, so that a message can name the command that converts it."""

import codecs
import re
from collections.abc import Iterable

# What is looked for, as Python and as iconv call it. Few, as a short text fits many: of those that a text fits equally
# well the first is meant.
ENCODINGS = {
    "cp1252": "CP1252", "cp1250": "CP1250", "cp1251": "CP1251", "koi8_r": "KOI8-R", "cp1253": "CP1253",
    "cp1254": "CP1254", "cp1255": "CP1255", "cp1256": "CP1256", "cp932": "CP932", "euc_jp": "EUC-JP",
    "gb18030": "GB18030", "big5": "BIG5", "euc_kr": "EUC-KR", "mac_roman": "MACINTOSH",
}  # fmt: skip
# Those in which most letters are ASCII, so that of others one stands by itself.
LATIN = ("cp1252", "cp1250", "cp1254", "mac_roman")
ALONE = re.compile(rb"(?<![\x80-\xff])[\x80-\xff](?![\x80-\xff])")
CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f\x81\x8d\x8f\x90\x9d]")  # and what CP1252 has nothing for
WIDE = {"utf_16_le": "UTF-16LE", "utf_16_be": "UTF-16BE"}
MARKS = (
    (codecs.BOM_UTF32_LE, "UTF-32"),
    (codecs.BOM_UTF32_BE, "UTF-32"),
    (codecs.BOM_UTF16_LE, "UTF-16"),
    (codecs.BOM_UTF16_BE, "UTF-16"),
)
MAX_SAMPLE = 8_192  # bytes; a millisecond's work
MAX_WORSE = 0.02  # of charset-normalizer's measure of disorder, from 0 to 1


def marked(content: bytes) -> str | None:
    """Returns the wide encoding whose byte order mark a text begins with, as iconv calls it."""
    return next((name for mark, name in MARKS if content.startswith(mark)), None)


def recognised(content: bytes) -> str | None:
    """Returns the encoding that bytes which are not UTF-8 seem to be in, as iconv calls it; None where none fits."""
    if marked(content):
        return marked(content)
    from charset_normalizer import from_bytes  # a twentieth of a second, which good data need not wait for

    if b"\0" in content:
        best = from_bytes(content[:MAX_SAMPLE], cp_isolation=list(WIDE)).best()
        return WIDE[best.encoding] if best else None
    sample = _sample(content.splitlines(keepends=True))
    others = sum(byte >= 0x80 for byte in sample)
    is_latin = 2 * len(ALONE.findall(sample)) > others
    fits = from_bytes(sample, cp_isolation=list(LATIN if is_latin else ENCODINGS))
    best = fits.best()
    if best is None:  # also where a few signs beyond ASCII, such as Word's quotation marks, are no letters
        return "CP1252" if is_latin and not CONTROLS.search(sample) else None
    # What a text comes to is the same in many encodings, and of equal ones the library takes the first by its name.
    good = [name for fit in fits if fit.chaos <= best.chaos + MAX_WORSE for name in fit.could_be_from_charset]
    return ENCODINGS["cp1252" if best.encoding in LATIN and "cp1252" in good else best.encoding]


def _sample(lines: Iterable[bytes]) -> bytes:
    """Returns lines that are not ASCII, as many as are looked at: in a long English text they are few."""
    telling = b"".join(line for line in lines if not line.isascii())
    return telling[:MAX_SAMPLE]
