"""Where the decoded images of a task lie: in memory, or on disk if they are large."""

import os
import tempfile

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.splits import InputShape
from supsup_cli.errors import StorageError
from supsup_cli.temporary import temporary_folder

_IN_MEMORY = 2**30  # bytes


def make_image_buffer(count: int, input_shape: InputShape) -> NDArray[np.uint8]:
    """Make an array for images that are decoded once and read in any order, again and again.

    More than 1 GiB lies in a file without a name, in the folder for temporary files: the system
    keeps in memory what it has memory for, and frees the file when the array is gone.

    Args:
        count: how many images.
        input_shape: (C, H, W) of each.

    Returns:
        (count, C, H, W) uint8, to be written.

    Raises:
        StorageError: there is no room on the disk.
    """
    shape = (count, *input_shape)
    size = count * int(np.prod(input_shape))
    if size <= _IN_MEMORY:
        return np.empty(shape, dtype=np.uint8)
    try:
        with tempfile.TemporaryFile(prefix="supsup-") as file:
            # reserved, as a page that the disk has no room for would end the process
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
