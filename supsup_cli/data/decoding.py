"""Decode an image file, or an image that a program opened, to 8-bit pixels, within bounds.

Nothing that a file claims is trusted: its kind, size and number of pixels are checked before
anything is decoded. All threads together decode a bounded number of pixels at a time; each pixel
takes up to 24 bytes of memory.
"""

import logging
import os
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from PIL import Image, UnidentifiedImageError
from PIL.ImageFile import ImageFile

from supsup_cli.data.limits import MAX_PIXELS, MOST_FILE_BYTES
from supsup_cli.data.pixels import upright_pixels
from supsup_cli.errors import ImageError

# Named, because Pillow also opens formats that start other programs (EPS starts Ghostscript).
_FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM", "JPEG2000", "DIB")
_ENOUGH = 2  # pixels for each pixel of the input, so that reducing can still smooth them

# Pillow's own log would reach stderr through Python's handler of last resort.
logging.getLogger("PIL").addHandler(logging.NullHandler())


class _Budget:
    """Lets threads decode images while all pixels together are few enough, or one image alone."""

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
    """Decode a file's first image as `upright_pixels` says, to "L" or "RGB".

    A JPEG is decoded at 1/2, 1/4 or 1/8 of its size where both sides still have twice the pixels
    needed: a photo of 12 megapixels then takes a tenth of the time and memory.

    Args:
        path: the file.
        max_pixels: an image with more is refused before it is decoded.
        side: pixels that the longer side of the network's input has.

    Raises:
        ImageError: the file cannot be read as an image, whatever the reason; also for an error in
            the body.
    """
    # TGA has no signature, so any bytes could be one: only the name decides.
    formats = (*_FORMATS, "TGA") if path.lower().endswith(".tga") else _FORMATS
    with _one_error(path):
        descriptor = _open_regular(path)
        with open(descriptor, "rb") as file, Image.open(file, formats=formats) as image:  # noqa: PTH123
            pixels = image.width * image.height
            if pixels > max_pixels:
                raise ImageError(path, f"{pixels:,} pixels, expected at most {max_pixels:,}")
            _reduce(image, side)
            # libjpeg keeps all coefficients of a progressive JPEG, however small the result
            whole = "progressive" in image.info or "progression" in image.info
            with _BUDGET.take(pixels if whole else image.width * image.height):
                _load(image)
                yield upright_pixels(image)


@contextmanager
def decoded_in_memory(image: Image.Image, name: str, side: int) -> Iterator[Image.Image]:
    """Decode an image that a program opened as `decoded` decodes its file; it stays as it is.

    Args:
        image: of any mode, its samples read or not.
        name: the image's name in an error.
        side: see `decoded`; an image that is already decoded is not decoded again.

    Raises:
        ImageError: its samples cannot be read.
    """
    with _one_error(name):
        again = _opened_again(image)
        if again is not None:
            _reduce(again, side)
        chosen = image if again is None else again
        _load(chosen)
        yield upright_pixels(chosen)


def _reduce(image: Image.Image, side: int) -> None:
    image.draft(None, (_ENOUGH * side, _ENOUGH * side))


def _opened_again(image: Image.Image) -> Image.Image | None:
    """Open an image's file a second time, if its first frame was not decoded yet.

    Reducing would change the program's own image. And if an uncompressed TIFF was opened by name
    and its EXIF says it is turned, Pillow maps it into memory with its sides exchanged.
    """
    if not isinstance(image, ImageFile) or not image.tile or image.tell() != 0:
        return None
    file = image.fp
    if file is None or file.closed:
        return None
    file.seek(0)
    return Image.open(file, formats=(*_FORMATS, "TGA"))


@contextmanager
def _one_error(path: str) -> Iterator[None]:
    try:
        yield
    except ImageError:
        raise
    except Image.DecompressionBombError as error:
        raise ImageError(path, f"too many pixels, expected at most {MAX_PIXELS:,}") from error
    except UnidentifiedImageError as error:
        expected = ", ".join((*_FORMATS, "TGA"))
        raise ImageError(path, f"not an image, expected one of {expected}") from error
    except OSError as error:
        raise ImageError(path, _one_line(error.strerror or str(error))) from error
    except Exception as error:  # Pillow's decoders raise nearly anything on hostile bytes
        raise ImageError(path, f"damaged image ({_one_line(str(error))})") from error


def _open_regular(path: str) -> int:
    try:
        # checked before opening, because opening alone makes some devices act, and a pipe would
        # block
        _check_regular(path, os.stat(path))  # noqa: PTH116
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except ValueError as error:  # a NUL, or something that cannot be a file's name
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
    # libtiff prints what it finds wrong, with file names, on the process's descriptor 2.
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
