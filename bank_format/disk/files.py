"""Read whole files, create them without overwriting, replace, move, remove and list them.

A new file is written under a temporary name beginning with "." in the same folder, forced to the
disk, and only then named. So a name always belongs to a whole file, whenever the machine stops. A
hard link gives the name, because it never overwrites; on a file system without links, a rename that
refuses to overwrite does. These functions report that a file exists or is gone only after that
is on the disk, even if an earlier, killed command did the work.

An OSError becomes a StorageError that names the file. FileNotFoundError and NotADirectoryError pass
through when a file is read, removed or listed, because only the caller knows what they mean.
"""

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from bank_format.disk import system_calls
from bank_format.disk.atomic import (
    Identity,
    commit,
    give_name,
    give_name_over,
    identity_of,
    opened,
    sync_folder,
)
from bank_format.disk.stores import Place, StorePath
from bank_format.errors import DamagedError, StorageError

__all__ = [
    "Identity",
    "exists",
    "identity",
    "list_names",
    "make_folder",
    "move_new",
    "read_bytes",
    "replace",
    "settle",
    "size_of",
    "storage_error",
    "unlink",
    "write_new",
]

_SMALLEST_READ = 2**16  # bytes
_HINTS = {
    errno.ENOSPC: "free some disk space and run the command again",
    errno.EDQUOT: "free some of your disk quota and run the command again",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f unlimited) and run the command again",
    errno.EROFS: "the file system is read-only: copy the bank to one that can be written",
    errno.EACCES: "give yourself write permission on the folder, or copy the bank",
    errno.EIO: "check the disk and its cable, run the command again, then supsup verify",
    errno.EINTR: "a signal came in between: run the command again",
}


def read_bytes(path: Place, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes, or an object of a store.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        DamagedError: it is not a regular file, or longer than `limit`.
        StorageError: the system refused.
    """
    if isinstance(path, StorePath):
        return _read_object(path, limit)
    try:
        # O_NONBLOCK keeps a FIFO in a bank from blocking the reader; it changes nothing else.
        with opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            status = system_calls.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise DamagedError(f"{path}: a folder, expected a regular file")
            if not stat.S_ISREG(status.st_mode):
                raise DamagedError(f"{path}: not a regular file, expected one")
            size = status.st_size
            data = _read_all(descriptor, size, limit) if size <= limit else b""
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error
    size = max(size, len(data))
    if size > limit:
        raise DamagedError(f"{path}: {size} bytes, expected at most {limit}")
    return data


def write_new(path: Path, data: bytes) -> None:
    """Create a file of these bytes, durable on return; never overwrite one.

    Raises:
        NameTakenError: the name exists already, durably; it is untouched.
        StorageError: the system refused; no part of a file has the name.
    """
    _commit(path, data, give_name)


def replace(path: Path, data: bytes) -> None:
    """Replace a file by these bytes, in one step and durably.

    Raises:
        StorageError: the system refused; the old file is unchanged.
    """
    _commit(path, data, give_name_over)


def move_new(source: Path, target: Path) -> None:
    """Move a file, or a folder, to another folder of the file system, durably.

    Never overwrites. If this is stopped in between, the file may have both names, but never none;
    moving it again completes the move.

    Raises:
        NameTakenError: something else has the new name; both are untouched.
        StorageError: the system refused, or there is no such file.
        ValueError: source and target are the same.
    """
    if source == target:
        raise ValueError(f"{source} moved to itself")
    try:
        status = system_calls.lstat(source)
        give_name(source, target, (status.st_dev, status.st_ino))
        sync_folder(target.parent)
        with suppress(FileNotFoundError):  # if it was renamed
            system_calls.unlink(source)
        sync_folder(source.parent)
    except OSError as error:
        raise storage_error("move", source, error) from error


def unlink(path: Path) -> None:
    """Remove a file, durably.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file, durably.
        StorageError: the system refused.
    """
    try:
        try:
            system_calls.unlink(path)
        finally:
            sync_folder(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("remove", path, error) from error


def list_names(folder: Place) -> list[str]:
    """List the names in a folder, sorted; no file is opened. A store has no folder without files.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        StorageError: the system refused.
    """
    try:
        if isinstance(folder, StorePath):
            return folder.store.list(folder.key)
        return sorted(system_calls.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("list", folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder and all missing folders above it, durably.

    Raises:
        StorageError: the system refused, or a file has that name.
    """
    try:
        _make_folders(folder)
    except OSError as error:
        raise storage_error("make the folder", folder, error) from error


def settle(folder: Path) -> None:
    """Force a folder's entries to the disk, in case a killed command did not.

    A folder that is missing, or may not be listed, is skipped.

    Raises:
        StorageError: the system refused.
    """
    try:
        with suppress(PermissionError, FileNotFoundError, NotADirectoryError):
            sync_folder(folder)
    except OSError as error:
        raise storage_error("sync", folder, error) from error


def size_of(path: Place) -> int:
    """Return how many bytes a file has, or an object of a store.

    Raises:
        StorageError: the system refused, or there is none.
    """
    try:
        if isinstance(path, StorePath):
            return path.store.stat(path.key).size
        return system_calls.stat(path).st_size
    except OSError as error:
        raise storage_error("look at", path, error) from error


def exists(path: Path) -> bool:
    """Return whether anything has this path, even a link to nothing.

    Raises:
        StorageError: the system refused.
    """
    return identity(path) is not None


def identity(path: Path) -> Identity | None:
    """Return what identifies a file, (device, inode); None if there is no file.

    Raises:
        StorageError: the system refused.
    """
    try:
        return identity_of(path)
    except OSError as error:
        raise storage_error("look at", path, error) from error


def storage_error(verb: str, path: Place, error: OSError) -> StorageError:
    """Turn a system error into one that names the file, with a hint that fits the reason."""
    reason = error.strerror or str(error)
    if isinstance(path, StorePath):
        hint = "check the network, the address and your permissions there, and run it again"
        return StorageError(f"{path}: cannot {verb}: {reason}", hint=hint)
    hint = _HINTS.get(error.errno or 0, "check the folder's permissions and its disk")
    return StorageError(f"{path}: cannot {verb}: {reason}", hint=hint)


def _read_object(path: StorePath, limit: int) -> bytes:
    try:
        data = path.store.read(path.key, limit)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error
    if len(data) > limit:
        raise DamagedError(f"{path}: more bytes found, expected at most {limit}")
    return data


def _commit(path: Path, data: bytes, name: Callable[[Path, Path, Identity], None]) -> None:
    try:
        commit(path, data, name)
    except OSError as error:
        raise storage_error("write", path, error) from error


def _make_folders(folder: Path) -> None:
    try:
        _make_one_folder(folder)
    except FileNotFoundError:
        _make_folders(folder.parent)
        _make_one_folder(folder)


def _make_one_folder(folder: Path) -> None:
    try:
        system_calls.mkdir(folder)
    except FileExistsError:
        if not stat.S_ISDIR(system_calls.stat(folder).st_mode):
            raise
    else:
        settle(folder.parent)


def _read_all(descriptor: int, expected: int, limit: int) -> bytes:
    """Read to the end of the file, but at most one byte more than the limit."""
    parts: list[bytes] = []
    room = limit + 1
    while part := system_calls.read(descriptor, min(room, max(expected + 1, _SMALLEST_READ))):
        parts.append(part)
        room -= len(part)
    return b"".join(parts)
