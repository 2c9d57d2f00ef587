"""The folder for temporary files: whether there is one, and imports that need one."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

# Replaces a missing folder; nothing is ever written there.
_NOWHERE = "/nonexistent"


def temporary_folder() -> str | None:
    """Return the folder for temporary files; None if none of the usual ones can be written."""
    try:
        return tempfile.gettempdir()
    except FileNotFoundError:
        return None


@contextmanager
def imports_without_temporary_folder() -> Iterator[None]:
    """Let torchvision be imported on a read-only root.

    Its import needs the folder, to name a cache that nothing here uses, and fails without one.
    """
    if temporary_folder() is not None:
        yield
        return
    tempfile.tempdir = _NOWHERE
    try:
        yield
    finally:
        tempfile.tempdir = None  # the next caller looks for it again
