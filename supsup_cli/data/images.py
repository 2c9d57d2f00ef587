"""Image files and arrays made to fit a network's input, by one rule.

The rule, "cover-bilinear": the largest centred rectangle of the input's aspect ratio, resized to
the input by an antialiased bilinear filter. An image of the input's own size stays as it is.
"""

import os
import stat
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from supsup_cli.data.splits import InputShape
from supsup_cli.errors import ImageError

MAX_PIXELS = 100_000_000

# Named, because Pillow also opens formats that start other programs (EPS starts Ghostscript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_MODES = {1: "L", 3: "RGB"}
_REDUCING_GAP = 3.0
_THREADS = min(8, os.cpu_count() or 1)


def read_image(
    path: str, input_shape: InputShape, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read one image file, the first frame of an animation, upright as its EXIF says.

    Transparent parts are laid over black. 16-bit samples are scaled by 1/257; floating samples
    count as 0..1 if none is outside, else as 0..255. Colour becomes grey by ITU-R 601.

    Args:
        path: the file; its content decides the format, not its name.
        input_shape: (C, H, W) of the network's input.
        max_pixels: an image with more is refused before it is decoded.

    Returns:
        (C, H, W) uint8.

    Raises:
        ImageError: the file cannot be read as an image, whatever the reason.
        ValueError: C is neither 1 nor 3.
    """
    result = read_images([path], input_shape, max_pixels)[0]
    if isinstance(result, ImageError):
        raise result
    return result


def read_images(
    paths: Sequence[str], input_shape: InputShape, max_pixels: int = MAX_PIXELS
) -> list[NDArray[np.uint8] | ImageError]:
    """Read many image files in a few threads; a broken one becomes its error, in its place.

    Args and rules are those of `read_image`. To be called from one thread at a time: Pillow's
    warnings are silenced for the whole process meanwhile.

    Returns:
        for each path, in order, (C, H, W) uint8 or the error.
    """
    _mode(input_shape[0])

    def attempt(path: str) -> NDArray[np.uint8] | ImageError:
        try:
            return _read(path, input_shape, max_pixels)
        except ImageError as error:
            return error

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if len(paths) == 1:
            return [attempt(paths[0])]
        with ThreadPoolExecutor(_THREADS) as pool:
            return list(pool.map(attempt, paths))


def fit_images(images: NDArray[np.uint8], input_shape: InputShape) -> NDArray[np.uint8]:
    """Fit arrays by the rule for files: the same pixels that `read_image` gives for them.

    Args:
        images: (N, c, h, w) uint8, c being 1 or 3.
        input_shape: (C, H, W) of the network's input.

    Returns:
        (N, C, H, W) uint8; `images` itself if it has that shape already.

    Raises:
        ValueError: c or C is neither 1 nor 3.
    """
    source_mode = _mode(images.shape[1])
    _mode(input_shape[0])
    if images.shape[1:] == input_shape:
        return images
    rows = np.ascontiguousarray(images.transpose(0, 2, 3, 1))
    if source_mode == "L":
        rows = rows[..., 0]
    fitted = np.empty((len(images), *input_shape), dtype=np.uint8)
    for place, row in enumerate(rows):
        fitted[place] = _cover(Image.fromarray(row), input_shape)
    return fitted


def _mode(channels: int) -> str:
    if channels not in _MODES:
        raise ValueError(f"{channels} channels, expected 1 (grey) or 3 (colour)")
    return _MODES[channels]


def _read(path: str, input_shape: InputShape, max_pixels: int) -> NDArray[np.uint8]:
    try:
        status = os.stat(path)  # noqa: PTH116 - before opening: a pipe would block
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(path, "a folder, expected an image file")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(path, "a device or pipe, expected an image file")
        if status.st_size == 0:
            raise ImageError(path, "an empty file, expected an image")
        with Image.open(path, formats=_FORMATS) as image:
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise ImageError(path, f"{pixels:,} pixels, expected at most {max_pixels:,}")
            image.load()
            return _cover(_eight_bit(_upright(image)), input_shape)
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(path, f"too many pixels, expected at most {max_pixels:,}") from error
    except UnidentifiedImageError as error:
        expected = ", ".join(_FORMATS)
        raise ImageError(path, f"not an image, expected one of {expected}") from error
    except OSError as error:
        raise ImageError(path, _one_line(error.strerror or str(error))) from error
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        raise ImageError(path, f"damaged image ({_one_line(str(error))})") from error


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "no reason given"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are already decoded: a damaged EXIF block is no loss
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """Bring any mode of Pillow's to 8-bit grey ("L") or colour ("RGB")."""
    if image.mode.startswith("I"):
        # 257 = 65535 / 255, which maps white to white; adding 128 rounds to the nearest
        deep = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        samples = np.nan_to_num(np.asarray(image), nan=0.0)
        unit = samples.min() >= 0 and samples.max() <= 1
        levels = np.rint(samples * 255 if unit else np.clip(samples, 0, 255))
        return Image.fromarray(levels.astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def _cover(image: Image.Image, input_shape: InputShape) -> NDArray[np.uint8]:
    """Fit one "L" or "RGB" image: (C, H, W) uint8."""
    channels, height, width = input_shape
    image = image.convert(_MODES[channels])
    if image.size != (width, height):
        scale = min(image.width / width, image.height / height)
        left = (image.width - width * scale) / 2
        top = (image.height - height * scale) / 2
        # through min: rounding must not push the box outside the image, which Pillow refuses
        right = min(left + width * scale, image.width)
        bottom = min(top + height * scale, image.height)
        image = image.resize(
            (width, height),
            Image.Resampling.BILINEAR,
            box=(max(left, 0.0), max(top, 0.0), right, bottom),
            reducing_gap=_REDUCING_GAP,
        )
    pixels = np.asarray(image)
    return pixels[None] if channels == 1 else pixels.transpose(2, 0, 1)
