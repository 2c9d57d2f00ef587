"""The folder for temporary files: whether there is one, and imports that ask for it in vain."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Stands for the folder where there is none; nothing is ever written there.
_NOWHERE = "/nonexistent"


def temporary_folder() -> str | None:
    """Name the folder for temporary files; None where none of the usual ones can be written."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return None


@contextmanager
def imports_without_temporary_folder() -> Iterator[None]:
    """Let torchvision be imported on a read-only root.

    It asks for the folder while it is imported, to name a cache that nothing here uses, and without
    one it fails.
    """
    if temporary_folder() is not None:
        yield
        return
    tempfile.tempdir = _NOWHERE
    try:
        yield
    finally:
        tempfile.tempdir = None  # found again by whoever asks
