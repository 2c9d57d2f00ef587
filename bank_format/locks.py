"""A lock on a file: one live process at a time, nothing left to clean up after a dead one.

Best effort across machines; the link that gives a task file its name decides.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bank_format.errors import LockedError
from bank_format.files import identity, make_folder, storage_error

__all__ = ["is_locked", "lock"]

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_ATTEMPTS = 100


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock on a file made for it, in a folder made for it; remove both afterwards.

    The lock ends with its process, however that ends, so what a dead process left blocks nobody.
    On a file system that cannot lock, nothing is held.

    Raises:
        LockedError: another live process holds it.
        StorageError: the folder or the file cannot be made.
    """
    descriptor = _locked_descriptor(path)
    try:
        yield
    finally:
        # Removed while still locked: whoever waits then finds another inode and starts anew.
        with suppress(OSError):
            path.unlink()
        with suppress(OSError):
            path.parent.rmdir()
        os.close(descriptor)


def is_locked(path: Path) -> bool:
    """Tell whether a live process of this machine holds the lock on a file; False if it is gone."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _locked_descriptor(path: Path) -> int:
    for _ in range(_ATTEMPTS):
        make_folder(path.parent)
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:
            continue  # the last holder removed the folder in between
        except OSError as error:
            raise storage_error("claim", path, error) from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NO_LOCKS:
                return descriptor
            os.close(descriptor)
            if isinstance(error, BlockingIOError):
                break
            raise storage_error("claim", path, error) from error
        status = os.fstat(descriptor)
        if identity(path) == (status.st_dev, status.st_ino):
            return descriptor
        os.close(descriptor)
    raise LockedError(
        f"{path}: held by another live process, expected free",
        hint="wait until it ends, or choose another name",
    )
