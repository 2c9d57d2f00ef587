"""From an opened image of any kind to 8-bit pixels, upright: the one way, whoever opened it.

Grey is "L", colour "RGB". 16- and 32-bit samples are scaled by 1/257, which maps white to white;
floating samples count as 0..1 if none is outside, else as 0..255. Transparent parts are laid over
black. Of an animation the frame that is open counts: the first, unless another was sought.
"""

from functools import cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps

_STRIP = 2**20  # pixels that are converted at once


def upright_pixels(image: Image.Image) -> Image.Image:
    """Bring an image of any mode of Pillow's to "L" or "RGB", turned as its EXIF says.

    A strip at a time: copies of a large image would take memory.

    Args:
        image: opened; its samples are read here if they were not.

    Returns:
        8-bit grey or colour; `image` itself if nothing is to be done.

    Raises:
        Exception: whatever Pillow raises for what cannot be decoded.
    """
    return _eight_bit(_upright(image))


def _upright(image: Image.Image) -> Image.Image:
    image.load()
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are already decoded: a damaged EXIF block is no loss
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
        # premultiplied grey becomes nothing else at once
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
