"""Fit image files and arrays to a network's input, by one rule.

The rule, "cover-bilinear": the largest centred rectangle of the input's aspect ratio, resized to
the input by an antialiased bilinear filter. An image of the input's own size stays as it is.
"""

import os
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from supsup_cli.data.decoding import decoded, decoded_in_memory
from supsup_cli.data.limits import MAX_PIXELS
from supsup_cli.data.splits import InputShape
from supsup_cli.errors import ImageError

_MODES = {1: "L", 3: "RGB"}
_REDUCING_GAP = 3.0
_THREADS = min(8, os.cpu_count() or 1)


def read_image(
    path: str, input_shape: InputShape, max_pixels: int = MAX_PIXELS
) -> NDArray[np.uint8]:
    """Read one image file, the first frame of an animation, upright as its EXIF says.

    Pixels become 8-bit as `decoded` says; colour becomes grey by ITU-R 601.

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
    """Read many image files in a few threads; a broken one becomes an error in its place.

    Args and rules are those of `read_image`. Call it from one thread at a time, because it silences
    Pillow's warnings for the whole process meanwhile.

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


def fit_image(image: Image.Image, input_shape: InputShape, name: str) -> NDArray[np.uint8]:
    """Fit an image that a program opened, to the same pixels as `read_image` gives for its file.

    There is one exception. If the program has already read the samples of a large JPEG, the pixels
    differ a little, because `read_image` would decode the file at a smaller size.

    Args:
        image: of any mode; it stays as it is.
        input_shape: (C, H, W) of the network's input.
        name: the image's name in an error.

    Returns:
        (C, H, W) uint8.

    Raises:
        ImageError: its samples cannot be read.
    """
    with (
        warnings.catch_warnings(action="ignore"),
        decoded_in_memory(image, name, max(input_shape[1:])) as pixels,
    ):
        return _cover(pixels, input_shape)


def fit_images(images: NDArray[np.uint8], input_shape: InputShape) -> NDArray[np.uint8]:
    """Fit arrays by the rule for files, to the same pixels as `read_image` gives for those.

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
    with decoded(path, max_pixels, max(input_shape[1:])) as image:
        return _cover(image, input_shape)


def _cover(image: Image.Image, input_shape: InputShape) -> NDArray[np.uint8]:
    """Fit one "L" or "RGB" image: (C, H, W) uint8."""
    channels, height, width = input_shape
    image = image.convert(_MODES[channels])
    if image.size != (width, height):
        scale = min(image.width / width, image.height / height)
        left = (image.width - width * scale) / 2
        top = (image.height - height * scale) / 2
        # min(), because rounding must not push the box outside the image, which Pillow refuses
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
