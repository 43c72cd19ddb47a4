"""Decodes pictures to pixels: decoding, orientation, and the resizer that ingest and the served model share.

EXIF orientation is applied in JPEG, TIFF and WebP and ignored in PNG (its chunk eXIf), both at ingest and in serving.
The alpha channel of a picture with transparency is dropped, as TensorFlow's decoder does. Of a file with several
frames or pages the first is read. Of 16 bits a channel the upper eight are kept.
"""

import contextlib
import io
import struct
import warnings
from collections.abc import Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

import numpy as np
import xxhash

if TYPE_CHECKING:
    from PIL import Image

ENDINGS = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".tif", ".tiff", ".webp", ".bmp", ".gif")
FORMATS = ("PNG", "JPEG", "TIFF", "WEBP", "BMP", "GIF")  # Pillow's names
SERVED = ("PNG", "JPEG")
"""Formats that a served model decodes; pictures of other formats are sent to it as pixels of `decode`."""
SIGNATURES = (
    ("PNG", 0, b"\x89PNG\r\n\x1a\n"),
    ("JPEG", 0, b"\xff\xd8\xff"),
    ("GIF", 0, b"GIF8"),
    ("WebP", 8, b"WEBP"),
    ("TIFF", 0, b"II*\0"),
    ("TIFF", 0, b"MM\0*"),
    ("HEIC or AVIF", 4, b"ftyp"),
    ("BMP", 0, b"BM"),
)
"""Format, offset in bytes and signature of its files; the first match counts."""
HEAD_BYTES = 2**17
"""Bytes of a file that are searched for the orientation: the EXIF segment is one of the first, at most 64 KiB long."""
MAX_SEGMENTS, MAX_ENTRIES = 16, 128  # that are read: a crafted file cannot keep a server busy
PADDING = 32  # zero bytes behind `HEAD_BYTES`, so that reading a truncated entry stays in bounds
# EXIF orientations by operation, applied in this order: transpose, flip vertically, flip horizontally.
TRANSPOSED, FLIPPED, MIRRORED = (5, 6, 7, 8), (3, 4, 7, 8), (2, 3, 6, 7)
BLOCK = 16
"""Rows of the resized picture that are computed together from the rows with a non-zero weight: most weights are 0."""
GREY = ("1", "L", "LA")  # Pillow's modes
LUMA = (19595, 38470, 7471)
"""Weights of red, green and blue in a grey level (ITU-R BT.601), which sum up to `LUMA_TOTAL`; Pillow's."""
LUMA_TOTAL = sum(LUMA)
# Pillow's exceptions for damaged files have no common class.
DAMAGED = (OSError, SyntaxError, ValueError, EOFError, LookupError, TypeError, ArithmeticError, struct.error)
ANY_FORMAT = "a PNG, JPEG, TIFF, WebP, BMP or GIF image"


class UnusablePictureError(ValueError):
    """A picture that cannot be decoded; `expected` and `found` are phrases for a message."""

    def __init__(self, expected: str, found: str):
        super().__init__(f"expected {expected}, found {found}")
        self.expected, self.found = expected, found


class _PixelCache:
    """Decoded pixels, by the digest of the file and the shape; `free_bytes` is how many more may be cached."""

    def __init__(self, max_bytes: int) -> None:
        self.free_bytes = max_bytes
        self.pixels: dict[tuple[bytes, tuple[int, int, int]], np.ndarray] = {}


_CACHE: ContextVar[_PixelCache | None] = ContextVar("pixel_cache", default=None)


@contextlib.contextmanager
def caching(max_bytes: int) -> Iterator[None]:
    """Makes `decode` cache its results within the block, up to `max_bytes` of pixels."""
    token = _CACHE.set(_PixelCache(max_bytes))
    try:
        yield
    finally:
        _CACHE.reset(token)


def mark_of(name: str) -> bytes:
    """Returns the signature: the bytes that files of a format begin with."""
    return next(signature for format_name, offset, signature in SIGNATURES if format_name == name and offset == 0)


def format_of(content: bytes) -> str | None:
    """Returns the name of a picture's format by its first bytes, see `SIGNATURES`; None for no match."""
    return next((name for name, offset, signature in SIGNATURES if content.startswith(signature, offset)), None)


def decode(content: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    """Returns the pixels of an encoded picture, upright and resized; uint8 `shape`.

    Equal to what `models.layers.pictures.decode` computes of a PNG or JPEG within the served graph.

    Args:
        content: A file of one of `FORMATS`.
        shape: Height, width and channels, 1 (grey) or 3.

    Raises:
        UnusablePictureError: It is of another format, damaged, too large, or has more than 16 bits a channel.
    """
    cache = _CACHE.get()
    if cache is None:
        return _decode(content, shape)
    key = (xxhash.xxh3_128_digest(content), shape)
    if key in cache.pixels:
        return cache.pixels[key]
    pixels = np.ascontiguousarray(_decode(content, shape))
    if pixels.nbytes <= cache.free_bytes:
        cache.free_bytes -= pixels.nbytes
        cache.pixels[key] = pixels
    return pixels


def _decode(content: bytes, shape: tuple[int, int, int]) -> np.ndarray:
    height, width, channels = shape
    pixels = np.asarray(_opened(content))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    exif_orientation = _orientation_of(content)
    if exif_orientation in TRANSPOSED:
        height, width = width, height
    return _upright(_resize(pixels, height, width, channels), exif_orientation)


def size_of(content: bytes) -> tuple[int, int, bool]:
    """Returns height and width of the upright picture, and whether it is grey; reads the header only.

    Raises:
        UnusablePictureError: The header cannot be read.
    """
    from PIL import Image

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            # Pillow applies the orientation of a TIFF when it opens the file.
            exif_orientation = image.getexif().get(0x0112, 1) if image.format == "WEBP" else _orientation_of(content)
            size = image.size if exif_orientation in TRANSPOSED else image.size[::-1]
            return *size, image.mode in GREY or image.mode.startswith("I;16")
    except (*DAMAGED, Image.DecompressionBombError):
        raise UnusablePictureError("a whole image", "another file") from None


def kind_of(content: bytes, shape: tuple[int, int, int]) -> str:
    """Returns the decoding path of a picture as text: format, mode, orientation, and whether each side shrinks."""
    from PIL import Image

    with Image.open(io.BytesIO(content), formats=FORMATS) as image:
        size_changes = [
            np.sign(old_size - new_size) for old_size, new_size in zip(image.size, (shape[1], shape[0]), strict=True)
        ]
        return f"{image.format} {image.mode} {_orientation_of(content)} {size_changes}"


def _opened(content: bytes) -> "Image.Image":
    """Returns a picture of mode L or RGB; the orientation is already applied unless it is a PNG or a JPEG."""
    from PIL import Image, ImageOps

    if not content:
        raise UnusablePictureError(ANY_FORMAT, "an empty file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of Pillow, about unknown tags and large pictures
            image = Image.open(io.BytesIO(content), formats=FORMATS)
            if format_of(content) not in SERVED:
                image = ImageOps.exif_transpose(image)
            return _to_eight_bits(image, format_of(content))
    except Image.DecompressionBombError:
        raise UnusablePictureError("an image of at most 179 million pixels", "a larger one") from None
    except UnusablePictureError:
        raise
    except DAMAGED:
        picture_format = format_of(content)
        if picture_format is None or picture_format.startswith("HEIC"):
            description = picture_format or f"{len(content):,} bytes of something else"
            raise UnusablePictureError(ANY_FORMAT, description) from None
        raise UnusablePictureError("a whole image", f"a damaged {picture_format} of {len(content):,} bytes") from None


def _to_eight_bits(image: "Image.Image", picture_format: str | None) -> "Image.Image":
    from PIL import Image

    if image.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    if image.mode == "CMYK":
        ink = np.asarray(image).astype(np.uint16)
        # TensorFlow takes a JPEG with Adobe's marker as inverted CMYK, else as plain CMYK; Pillow always inverts.
        inverted_ink = ink if picture_format == "JPEG" and "adobe" not in image.info else 255 - ink
        # Rounded down as TensorFlow does; Pillow rounds to the nearest.
        return Image.fromarray((inverted_ink[..., :3] * inverted_ink[..., 3:] // 255).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnusablePictureError("at most 16 bits a channel", f"a {picture_format} image of mode {image.mode}")
    image.load()
    image.info.pop("transparency", None)  # Pillow warns about it when it converts a palette
    return image.convert("L" if image.mode in GREY else "RGB")


def axis_weights(new: Any, old: Any, old_size: Any, new_size: Any, xp: Any) -> Any:
    """Returns the weight of each old pixel in each pixel of the resized axis, integers `(new, old)`.

    Shrinking averages areas; otherwise the weights are of linear interpolation between pixel centres. The weights of a
    new pixel sum up to `axis_total`. They are integers, so that sums of their products with pixels are exact in any
    order, and NumPy and TensorFlow give equal results.

    Args:
        new: Positions of pixels of the resized axis, int64 `(new,)`.
        old: Positions of pixels of the axis, int64 `(old,)`.
        old_size: Pixels of the axis.
        new_size: Pixels of the resized axis.
        xp: `numpy` or `tensorflow`.
    """
    new, old = new[:, None], old[None, :]
    overlap = xp.minimum((new + 1) * old_size, (old + 1) * new_size) - xp.maximum(new * old_size, old * new_size)
    centre = xp.minimum(
        xp.maximum((2 * new + 1) * old_size - new_size, 0), 2 * new_size * (old_size - 1)
    )  # in units of 1 / (2 * new_size) pixels
    interpolated = 2 * new_size - xp.abs(centre - 2 * new_size * old)
    return xp.maximum(xp.where(old_size > new_size, overlap, interpolated), 0)


def axis_total(old_size: Any, new_size: Any, xp: Any) -> Any:
    """Returns the sum of the weights of a new pixel; 1 where nothing is resized."""
    return xp.where(old_size > new_size, old_size, xp.where(old_size == new_size, xp.ones_like(old_size), 2 * new_size))


def axis_band(begin: Any, old_size: Any, new_size: Any, xp: Any) -> tuple[Any, Any]:
    """Returns the range, first and end, of all pixels with a weight in the `BLOCK` new pixels from `begin` on."""
    first, last = begin * old_size // new_size - 1, (begin + BLOCK) * old_size // new_size + 2
    return xp.maximum(first, 0), xp.minimum(last, old_size)


def _resize(pixels: np.ndarray, height: int, width: int, channels: int) -> np.ndarray:
    """Returns pixels, uint8 `(rows, columns, 1 or 3)`, as uint8 `(height, width, channels)`."""
    rows, columns, old_channels = pixels.shape
    sums = _along(pixels.reshape(rows, columns * old_channels), height, np.float32)
    transposed = sums.reshape(height, columns, old_channels).transpose(1, 0, 2).reshape(columns, height * old_channels)
    resized = _along(transposed, width, np.float64).reshape(width, height, old_channels).transpose(1, 0, 2)
    total = axis_total(rows, height, np) * axis_total(columns, width, np)
    if channels == 1 and old_channels == 3:
        resized, total = resized @ np.array(LUMA, np.float64)[:, None], total * LUMA_TOTAL
    return np.broadcast_to(np.rint(resized / total).astype(np.uint8), (height, width, channels))


def _along(data: np.ndarray, new_size: int, dtype: type) -> np.ndarray:
    """Returns weighted sums along the first axis of `data`, `(old_size, n)`, as `(new_size, n)`; they are exact.

    float32 holds integers up to 2^24, which is 255 times a side of 65,793 pixels; a JPEG has at most 65,535.
    """
    old_size = len(data)
    if old_size == new_size:
        return data
    sums = np.empty((new_size, data.shape[1]), dtype)
    for begin in range(0, new_size, BLOCK):
        first, last = axis_band(begin, old_size, new_size, np)
        new = np.arange(begin, min(begin + BLOCK, new_size))
        weights = axis_weights(new, np.arange(first, last), old_size, new_size, np)
        sums[new] = weights.astype(dtype) @ data[first:last].astype(dtype)
    return sums


def orientation(head: Any, size: Any) -> Any:
    """Returns the EXIF orientation of a JPEG, 1 to 8; 1 where it has none, or its EXIF data is invalid.

    Plain arithmetic, without `and`, `or` and `not`, so that AutoGraph can convert it for the served graph.

    Args:
        head: The first bytes of the file as integers, at most `HEAD_BYTES`, followed by `PADDING` zeros.
        size: Number of bytes without the padding.
    """
    position, segments, result = 2, 0, 1
    exif = _is_exif(head, position)
    while (segments < MAX_SEGMENTS) & (head[position] == 0xFF) & (head[position + 1] >= 0xE0) & (exif == False):  # noqa: E712
        position = _lower(position + 2 + _number(head, position + 2, 1), size)  # the next segment
        exif = _is_exif(head, position)
        segments += 1
    if exif:
        result = _in_tiff(head, position + 10, size)
    return result


def _in_tiff(head: Any, tiff: Any, size: Any) -> Any:
    """Returns the orientation in the first image file directory of EXIF data, at `tiff`; 1 where there is none."""
    is_big_endian, index, result = 0, 0, 1
    if head[tiff] == 0x4D:  # MM: big-endian, else II
        is_big_endian = 1
    directory = _lower(tiff + _number(head, tiff + 4 + 2 * is_big_endian, is_big_endian), size)
    entries = _lower(_number(head, directory, is_big_endian), MAX_ENTRIES)
    entry = directory + 2
    while (index < entries) & (entry + 12 <= size) & (_number(head, entry, is_big_endian) != 0x0112):
        entry += 12
        index += 1
    is_valid_mark = (head[tiff] == head[tiff + 1]) & ((head[tiff] == 0x49) | (head[tiff] == 0x4D))
    is_valid = (
        is_valid_mark
        & (_number(head, tiff + 2, is_big_endian) == 42)
        & (_number(head, tiff + 6 - 2 * is_big_endian, is_big_endian) == 0)
    )
    if is_valid & (index < entries) & (entry + 12 <= size):
        is_short = (_number(head, entry + 2, is_big_endian) == 3) & (
            _number(head, entry + 4 + 2 * is_big_endian, is_big_endian) == 1
        )
        value = _number(head, entry + 8, is_big_endian)
        if is_short & (value >= 1) & (value <= 8):
            result = value
    return result


def _lower(value: Any, limit: Any) -> Any:
    """Returns the lower of two numbers; AutoGraph converts no `min`."""
    return value if value < limit else limit


def _is_exif(head: Any, position: Any) -> Any:
    """Returns whether the segment that begins at `at` is an APP1 segment of EXIF data."""
    name = (
        (head[position + 4] == 0x45)
        & (head[position + 5] == 0x78)
        & (head[position + 6] == 0x69)
        & (head[position + 7] == 0x66)
    )
    return (head[position + 1] == 0xE1) & name & (_number(head, position + 8, 1) == 0)


def _number(head: Any, position: Any, is_big_endian: Any) -> Any:
    """Returns the 16-bit number at `at`, big-endian where `big` is 1, little-endian where it is 0."""
    return head[position + is_big_endian] + 256 * head[position + 1 - is_big_endian]


def _orientation_of(content: bytes) -> int:
    """Returns the orientation of a JPEG; 1 for other formats, of which `_opened` applies it, but not for PNG."""
    if format_of(content) != "JPEG":
        return 1
    head = content[:HEAD_BYTES]
    return orientation(head + bytes(PADDING), len(head))


def _upright(pixels: np.ndarray, exif_orientation: int) -> np.ndarray:
    """Returns pixels `(height, width, channels)`, rotated and flipped by an EXIF orientation, 1 to 8."""
    pixels = pixels.transpose(1, 0, 2) if exif_orientation in TRANSPOSED else pixels
    pixels = pixels[::-1] if exif_orientation in FLIPPED else pixels
    return np.ascontiguousarray(pixels[:, ::-1] if exif_orientation in MIRRORED else pixels)
