"""From an image file to 8-bit pixels: opened with care, decoded within bounds, upright.

What a file says of itself is not believed: its kind, its size and its pixels are checked before
anything is decoded. Pixels being decoded at one time are bounded over all threads, and take up to
24 bytes of memory each.
"""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from supsup_cli.data.limits import MAX_PIXELS, MOST_FILE_BYTES
from supsup_cli.errors import ImageError

# Named, because Pillow also opens formats that start other programs (EPS starts Ghostscript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_STRIP = 2**20  # pixels that are converted at once
_ENOUGH = 2  # pixels for each pixel of the input, so that reducing can still smooth

# Pillow's own log would reach stderr through Python's handler of last resort.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Budget:
    """Admits images to be decoded while their pixels together are few enough, or one alone."""

    def __init__(self, pixels: int) -> None:
        self._free = pixels
        self._whole = pixels
        self._changed = threading.Condition()

    @contextmanager
    def take(self, pixels: int) -> Iterator[None]:
        """Wait until there is room for an image."""
        taken = min(pixels, self._whole)
        with self._changed:
            self._changed.wait_for(lambda: self._free >= taken)
            self._free -= taken
        try:
            yield
        finally:
            with self._changed:
                self._free += taken
                self._changed.notify_all()


_BUDGET = _Budget(MAX_PIXELS)
_STDERR = threading.Lock()


@contextmanager
def decoded(path: str, max_pixels: int, side: int) -> Iterator[Image.Image]:
    """Decode a file's first image, upright as its EXIF says, to 8-bit grey ("L") or colour ("RGB").

    Transparent parts are laid over black. 16-bit samples are scaled by 1/257; floating samples
    count as 0..1 if none is outside, else as 0..255. A JPEG is decoded at 1/2, 1/4 or 1/8 of its
    size where both sides still have twice the pixels that are needed: a photo of 12 megapixels
    then takes a tenth of the time and of the memory.

    Args:
        path: the file.
        max_pixels: an image with more is refused before it is decoded.
        side: pixels that the longer side of the network's input has.

    Raises:
        ImageError: the file cannot be read as an image, whatever the reason; also for an error in
            the body.
    """
    try:
        descriptor = _open_regular(path)
        with open(descriptor, "rb") as file, Image.open(file, formats=_FORMATS) as image:  # noqa: PTH123
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise ImageError(path, f"{pixels:,} pixels, expected at most {max_pixels:,}")
            image.draft(None, (_ENOUGH * side, _ENOUGH * side))
            # libjpeg keeps all coefficients of a progressive one, whatever is made of them
            whole = "progressive" in image.info or "progression" in image.info
            with _BUDGET.take(pixels if whole else image.width * image.height):
                _load(image)
                yield _eight_bit(_upright(image))
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


def _open_regular(path: str) -> int:
    try:
        # before opening, as opening alone makes some devices act; a pipe would block
        _check_regular(path, os.stat(path))  # noqa: PTH116
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, or what no name of a file can be
        raise ImageError(path, f"not a usable path ({error})") from error
    try:
        _check_regular(path, os.fstat(descriptor))
    except ImageError:
        os.close(descriptor)
        raise
    return descriptor


def _check_regular(path: str, status: os.stat_result) -> None:
    if stat.S_ISDIR(status.st_mode):
        raise ImageError(path, "a folder, expected an image file")
    if not stat.S_ISREG(status.st_mode):
        raise ImageError(path, "a device or pipe, expected an image file")
    if status.st_size == 0:
        raise ImageError(path, "an empty file, expected an image")
    if status.st_size > MOST_FILE_BYTES:
        raise ImageError(
            path, f"a file of {status.st_size:,} bytes, expected at most {MOST_FILE_BYTES:,}"
        )


def _load(image: Image.Image) -> None:
    if image.format != "TIFF":
        image.load()
        return
    # libtiff prints what it finds wrong, file names and all, on the process's descriptor 2.
    with _STDERR, _silenced_stderr():
        image.load()


@contextmanager
def _silenced_stderr() -> Iterator[None]:
    try:
        kept = os.dup(2)
    except OSError:  # closed: nothing can be printed there
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _one_line(text: str) -> str:
    return " ".join(text.split())[:300] or "no reason given"


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except Exception:  # the pixels are already decoded: a damaged EXIF block is no loss
        return image


def _eight_bit(image: Image.Image) -> Image.Image:
    """Bring any mode of Pillow's to "L" or "RGB", a strip at a time: copies would take memory."""
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
        # 257 = 65535 / 255, which maps white to white; adding 128 rounds to the nearest
        deep = np.clip(np.asarray(image).astype(np.int64), 0, 65535)
        return Image.fromarray(((deep + 128) // 257).astype(np.uint8))
    if image.mode == "F":
        samples = _samples(image)
        levels = np.rint(samples * 255 if unit else np.clip(samples, 0, 255))
        return Image.fromarray(levels.astype(np.uint8))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        black = Image.new("RGBA", layer.size, (0, 0, 0, 255))
        return Image.alpha_composite(black, layer).convert("RGB")
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")
