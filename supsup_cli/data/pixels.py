"""Turn an opened image of any kind into upright 8-bit pixels, in one way for all callers.

Grey is "L", colour "RGB". 16- and 32-bit samples are scaled by 1/257, which maps white to white;
floating-point samples count as 0..1 if none is outside, else as 0..255. Transparent parts are laid
over black. An animation counts by its open frame: the first, unless the program chose another.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

_STRIP = 2**20  # pixels converted at once


def upright_pixels(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to "L" or "RGB", turned as its EXIF says.

    It works strip by strip, because copies of a large image would take memory.

    Args:
        image: opened; its samples are read here if they have not been.

    Returns:
        8-bit grey or colour; `image` itself if it is that already.

    Raises:
        Exception: whatever Pillow raises if it cannot decode something.
    """
    return _eight_bit(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are already decoded, so a damaged EXIF block does not matter
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "RGB") and not image.has_transparency_data:
        return image
    rows = max(1, _STRIP // image.width)
    strips = [
        (0, top, image.width, min(top + rows, image.height)) for top in range(0, image.height, rows)
    ]
    unit = image.mode == "F" and all(_within_unit(image.crop(strip)) for strip in strips)
    whole: Image.Image | None = None
    for strip in strips:
        part = _eight_bit_strip(image.crop(strip), unit=unit)
        whole = whole or Image.new(part.mode, image.size)
        whole.paste(part, strip)
    return whole or image


def _within_unit(image: Image.Image) -> bool:
    samples = _samples(image)
    return bool(samples.min() >= 0 and samples.max() <= 1)


def _samples(image: Image.Image) -> NDArray[np.float32]:
    return np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0)


def _eight_bit_strip(image: Image.Image, *, unit: bool) -> Image.Image:
    if image.mode.startswith("I"):
        # 257 = 65535 / 255; adding 128 rounds to the nearest
        deep = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        samples = _samples(image)
        levels = np.rint(samples * 255 if unit else np.clip(samples, 0, 255))
        return Image.fromarray(levels.astype(np.uint8))
    if image.has_transparency_data:
        # premultiplied grey converts to nothing else directly
        layer = image.convert("LA") if image.mode == "La" else image
        layer = layer.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    if image.mode == "LAB":
        coloured = ImageCms.applyTransform(image, _from_lab())
        return image if coloured is None else coloured
    return image.convert("RGB")


@cache
def _from_lab() -> ImageCms.ImageCmsTransform:
    """Make the transform from CIE L*a*b* to sRGB, which Pillow's `convert` does not know."""
    lab, colour = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    return ImageCms.buildTransform(lab, colour, "LAB", "RGB")
