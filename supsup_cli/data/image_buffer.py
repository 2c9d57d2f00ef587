"""A task's decoded images: in memory, or on disk if they are large."""

import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.splits import InputShape
from supsup_cli.errors import StorageError
from supsup_cli.temporary import temporary_folder

_IN_MEMORY = 2**30  # bytes


def make_image_buffer(count: int, input_shape: InputShape) -> NDArray[np.uint8]:
    """Make an array for images that are decoded once and then read repeatedly in any order.

    More than 1 GiB goes to an unnamed file in the folder for temporary files. The system keeps as
    much in memory as fits, and frees the file with the array.

    Args:
        count: how many images.
        input_shape: (C, H, W) of each.

    Returns:
        (count, C, H, W) uint8, not filled yet.

    Raises:
        StorageError: there is no room on the disk.
    """
    shape = (count, *input_shape)
    size = count * int(np.prod(input_shape))
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype=np.uint8)
    try:
        with tempfile.TemporaryFile(prefix="supsup-") as file:
            # reserved now, because a page without room on the disk would kill the process later
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
            else:
                file.truncate(size)
            return np.memmap(file, np.uint8, "r+", shape=shape).view(np.ndarray)
    except OSError as error:
        folder = temporary_folder() or "no folder for temporary files"
        raise StorageError(
            f"{folder}: no room for {size:,} bytes of decoded images ({error.strerror or error})",
            hint="set TMPDIR to a folder with room, and type the command again",
        ) from error
