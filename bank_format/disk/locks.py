"""Lock a file: one live process at a time, and nothing to clean up after a dead one.

Best effort across machines; the link that gives a task file its name decides.
"""

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bank_format.disk import system_calls
from bank_format.disk.atomic import identity_of
from bank_format.disk.files import make_folder, storage_error
from bank_format.errors import LockedError

__all__ = ["is_locked", "lock"]

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL}
_ATTEMPTS = 100


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock on a new file in a new folder; remove both afterwards.

    The lock ends with its process, however that ends, so that a dead process blocks nobody.
    On a file system that cannot lock, nothing is held.

    Raises:
        LockedError: another live process holds it, or is checking it right now.
        StorageError: the folder or the file cannot be made.
    """
    descriptor = _locked_descriptor(path)
    try:
        yield
    finally:
        # Removed while still locked, so that a waiting process finds another inode and starts anew.
        for end, what in ((system_calls.unlink, path), (system_calls.rmdir, path.parent)):
            with suppress(OSError):
                end(what)
        with suppress(OSError):
            system_calls.close(descriptor)


def is_locked(path: Path) -> bool:
    """Return whether a live process of this machine locks a file; False if the file is gone.

    It takes a shared lock for a moment, so processes that ask do not see each other.
    """
    try:
        descriptor = system_calls.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return False
    try:
        system_calls.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        with suppress(OSError):
            system_calls.close(descriptor)
    return False


def _locked_descriptor(path: Path) -> int:
    for _ in range(_ATTEMPTS):
        try:
            descriptor = _try_to_lock(path)
        except FileNotFoundError:
            continue  # the last holder removed the folder in between
        except BlockingIOError:
            break
        except OSError as error:
            with suppress(OSError):
                system_calls.rmdir(path.parent)
            raise storage_error("claim", path, error) from error
        if descriptor is not None:
            return descriptor
    raise LockedError(
        f"{path}: held by another live process, expected free",
        hint="wait until it ends, or choose another name",
    )


def _try_to_lock(path: Path) -> int | None:
    """Return the descriptor that holds the lock; None if the file was removed meanwhile."""
    try:
        system_calls.mkdir(path.parent)
    except FileExistsError:
        pass
    except FileNotFoundError:
        make_folder(path.parent)
    descriptor = system_calls.open_file(path, os.O_RDWR | os.O_CREAT)
    held = False
    try:
        held = not _lock(descriptor) or _is_at(path, descriptor)
    finally:
        if not held:
            with suppress(OSError):
                system_calls.close(descriptor)
    return descriptor if held else None


def _lock(descriptor: int) -> bool:
    """Return whether a lock is held; False on a file system without locks."""
    try:
        system_calls.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise
        return False
    return True


def _is_at(path: Path, descriptor: int) -> bool:
    status = system_calls.fstat(descriptor)
    return identity_of(path) == (status.st_dev, status.st_ino)
