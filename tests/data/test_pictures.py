import io
import warnings

import numpy as np
import pytest
from PIL import Image, ImageOps

from data import pictures
from tests.data.made_pictures import of_every_mode, photo, saved

SHAPE = (6, 9, 3)


def _pixels(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def _resized(values: list[list[int]], height: int, width: int) -> list[list[int]]:
    content = saved(Image.fromarray(np.array(values, np.uint8)), "PNG")
    return pictures.decode(content, (height, width, 1))[..., 0].tolist()


@pytest.mark.parametrize(
    ("values", "size", "expected"),
    [
        ([[10, 20], [30, 40]], (2, 2), [[10, 20], [30, 40]]),
        ([[10, 20], [30, 40]], (1, 1), [[25]]),
        ([[0, 1, 0, 3]], (1, 2), [[0, 2]]),  # 0.5 and 1.5, to the even one
        ([[0, 30, 60]], (1, 2), [[10, 50]]),  # of three pixels, one and a half each
        ([[0, 100]], (1, 4), [[0, 25, 75, 100]]),  # between the centres
        ([[0, 100], [200, 100]], (1, 4), [[100, 100, 100, 100]]),  # lower and wider
        ([[7]], (2, 3), [[7, 7, 7], [7, 7, 7]]),
    ],
)
def test_shrinking_averages_areas_and_enlarging_interpolates_between_centres(values, size, expected):
    assert _resized(values, *size) == expected


@pytest.mark.parametrize("shape", [(5, 9), (450, 30), (20, 600), (90, 120)])
def test_pictures_are_resized_as_pillow_does_it_give_or_take_a_level(shape):
    image, size = photo(*shape), (60, 45)

    resized = pictures.decode(saved(image, "PNG"), (45, 60, 3))

    # Pillow rounds in between, and its boxes hold whole pixels: a picture is shrunk to a whole share here.
    box, bilinear = Image.Resampling.BOX, Image.Resampling.BILINEAR
    by_rows = image.resize((shape[1], size[1]), box if shape[0] > size[1] else bilinear)
    expected = np.asarray(by_rows.resize(size, box if shape[1] > size[0] else bilinear))
    assert np.abs(resized.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("turn", range(1, 9))
def test_a_jpeg_is_turned_upright_as_pillow_does_it(turn):
    content = saved(photo(8, 12), "JPEG", orientation=turn)
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(content)))

    decoded = pictures.decode(content, (expected.height, expected.width, 3))

    np.testing.assert_array_equal(decoded, expected)


@pytest.mark.parametrize("order", [b"II", b"MM"])
def test_orientation_is_found_after_other_segments_in_both_byte_orders(order):
    number = {b"II": "little", b"MM": "big"}[order]

    def short(value: int, size: int = 2) -> bytes:
        return value.to_bytes(size, number)

    entries = [(0x010F, 2, 4, 0), (0x0112, 3, 1, 6)]
    directory = short(2) + b"".join(
        short(tag) + short(kind) + short(count, 4) + short(value) + bytes(2) for tag, kind, count, value in entries
    )
    tiff = order + short(42) + short(8, 4) + directory
    exif = b"Exif\0\0" + tiff
    head = b"\xff\xd8\xff\xe0\0\x10JFIF" + bytes(10) + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif

    def orientation_of(content: bytes) -> int:
        return pictures.orientation(content + bytes(pictures.PADDING), len(content))

    assert orientation_of(head) == 6
    assert [orientation_of(head[:size]) for size in range(2, len(head) - 2)] == [1] * (len(head) - 4)
    assert orientation_of(head.replace(short(42), short(43))) == 1
    assert orientation_of(head.replace(short(3) + short(1, 4), short(4) + short(1, 4))) == 1
    assert orientation_of(head[: head.index(short(6) + bytes(2))] + short(9) + bytes(2)) == 1


@pytest.mark.parametrize("kind", ["TIFF", "WEBP", "BMP", "GIF"])
def test_other_formats_become_pixels(kind):
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    content = saved(photo(6, 9).quantize(20).convert("RGB"), kind, **options)

    assert pictures.format_of(content) == {"WEBP": "WebP"}.get(kind, kind)
    np.testing.assert_array_equal(pictures.decode(content, SHAPE), _pixels(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
def test_the_size_is_that_of_the_upright_picture(kind):
    turned = {"orientation": 6} if kind in ("JPEG", "TIFF", "WEBP") else {}
    height, width = (9, 6) if turned else (6, 9)

    assert pictures.size_of(saved(photo(6, 9), kind, **turned)) == (height, width, False)
    assert pictures.size_of(saved(photo(6, 9).convert("L"), "PNG")) == (6, 9, True)
    with pytest.raises(pictures.UnusablePictureError):
        pictures.size_of(b"just text")


@pytest.mark.parametrize("kind", ["TIFF", "WEBP"])
def test_orientation_of_other_formats_is_applied(kind):
    image = photo(6, 9)
    content = saved(image, kind, orientation=6, **({"lossless": True} if kind == "WEBP" else {}))
    expected = np.rot90(np.asarray(image), -1)

    np.testing.assert_array_equal(pictures.decode(content, (9, 6, 3)), expected)


def test_the_upper_eight_of_sixteen_bits_are_kept():
    levels = np.arange(54, dtype=np.uint16).reshape(6, 9) * 1200

    for kind in ("PNG", "TIFF"):
        decoded = pictures.decode(saved(Image.fromarray(levels), kind), (6, 9, 1))
        np.testing.assert_array_equal(decoded[..., 0], levels // 256)


def test_the_first_of_several_pages_is_decoded():
    frames = [Image.new("L", (9, 6), level) for level in (10, 200)]

    for kind in ("TIFF", "GIF"):
        content = saved(frames[0], kind, save_all=True, append_images=frames[1:])
        assert (pictures.decode(content, (6, 9, 1)) == 10).all()


def test_every_mode_is_decoded_without_a_warning():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for name, content in of_every_mode(12, 20).items():
            assert pictures.decode(content, SHAPE).shape == SHAPE, name


PNG = saved(photo(40, 40), "PNG")
JPEG = saved(photo(40, 40), "JPEG")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", f"expected {pictures.ANY_FORMAT}, found an empty file"),
        (b"just text", f"expected {pictures.ANY_FORMAT}, found 9 bytes of something else"),
        (b"\0\0\0 ftypheic" + bytes(90), f"expected {pictures.ANY_FORMAT}, found HEIC or AVIF"),
        (PNG[:200], "expected a whole image, found a damaged PNG of 200 bytes"),
        (JPEG[:300], "expected a whole image, found a damaged JPEG of 300 bytes"),
        (b"II*\0" + bytes(20), "expected a whole image, found a damaged TIFF of 24 bytes"),
        (
            saved(Image.new("F", (4, 4)), "TIFF"),
            "expected at most 16 bits a channel, found a TIFF image of mode F",
        ),
    ],
)
def test_unusable_pictures_are_named(content, expected):
    with pytest.raises(pictures.UnusablePictureError) as error:
        pictures.decode(content, SHAPE)

    assert str(error.value) == expected


def test_a_picture_is_decoded_once_for_each_shape_up_to_the_limit_of_the_cache(monkeypatch):
    opened, opening = [], pictures._opened
    monkeypatch.setattr(pictures, "_opened", lambda content: opened.append(content) or opening(content))
    first, second = (saved(photo(20, 30, seed), "JPEG") for seed in (1, 2))
    expected = [pictures.decode(content, shape).tolist() for content in (first, second) for shape in (SHAPE, (4, 4, 1))]
    opened.clear()

    with pictures.caching(2 * 6 * 9 * 3 + 4 * 4):
        for _ in range(2):
            decoded = [
                pictures.decode(content, shape).tolist() for content in (first, second) for shape in (SHAPE, (4, 4, 1))
            ]
            assert decoded == expected

    assert opened == [first, first, second, second, second]  # the last has no room, so it is decoded again
    pictures.decode(first, SHAPE)
    assert len(opened) == 6
