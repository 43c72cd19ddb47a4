"""Synthetic pictures of every mode, as files."""

import io

import numpy as np
from PIL import Image


def photo(height: int, width: int, seed: int = 0) -> Image.Image:
    """Returns a picture of waves and noise, mode RGB."""
    rows, columns = np.mgrid[0:height, 0:width]
    waves = [
        128 + 100 * np.sin(columns / 17 + rows / 31),
        128 + 100 * np.cos(columns / 7),
        (3 * columns + 5 * rows) % 256,
    ]
    noise = np.random.default_rng(seed).normal(0, 20, (height, width, 3))
    return Image.fromarray(np.clip(np.stack(waves, -1) + noise, 0, 255).astype(np.uint8))


def saved(image: Image.Image, kind: str, **options) -> bytes:
    """Returns a picture as a file; `orientation` is written as EXIF data."""
    if "orientation" in options:
        exif = Image.Exif()
        exif[0x0112] = options.pop("orientation")
        options["exif"] = exif
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def of_every_mode(height: int, width: int) -> dict[str, bytes]:
    """Returns name of a mode -> file that a served model decodes, PNG or JPEG."""
    image = photo(height, width)
    grey = image.convert("L")
    levels = np.asarray(grey).astype(np.uint16) * 257
    with_alpha = image.convert("RGBA")
    with_alpha.putalpha(grey)
    cmyk = Image.merge("CMYK", [*image.split(), grey.point(lambda level: level // 2)])
    palette, cmyk_jpeg = image.quantize(16), saved(cmyk, "JPEG")
    without_adobe = cmyk_jpeg[:2] + cmyk_jpeg[18:]
    assert cmyk_jpeg[6:11] == b"Adobe"
    return {
        "png": saved(image, "PNG"),
        "grey": saved(grey, "PNG"),
        "one bit": saved(image.convert("1"), "PNG"),
        "sixteen bits": saved(Image.fromarray(levels), "PNG"),
        "palette": saved(palette, "PNG"),
        "transparent palette": saved(palette, "PNG", transparency=bytes(range(0, 256, 16))),
        "transparent colour": saved(image, "PNG", transparency=(3, 4, 5)),
        "alpha": saved(with_alpha, "PNG"),
        "grey alpha": saved(with_alpha.convert("LA"), "PNG"),
        "jpeg": saved(image, "JPEG", quality=70),
        "sharp jpeg": saved(image, "JPEG", quality=95, subsampling=0),
        "progressive": saved(image, "JPEG", quality=40, progressive=True),
        "grey jpeg": saved(grey, "JPEG"),
        "cmyk": cmyk_jpeg,
        "cmyk without adobe's marker": without_adobe,
        "rgb jpeg": saved(image, "JPEG", keep_rgb=True),
        **{f"turned {turn}": saved(image, "JPEG", orientation=turn) for turn in range(1, 9)},
    }
