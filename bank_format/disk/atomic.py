"""Name files atomically: write the whole file next to its place, force it to the disk, name it.

Raises the system's OSError; `files` adds the file's name.
"""

import errno
import os
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TypeAlias

from bank_format.disk import system_calls
from bank_format.errors import NameTakenError, StorageError

__all__ = [
    "Identity",
    "commit",
    "give_name",
    "give_name_over",
    "identity_of",
    "is_temporary",
    "opened",
    "sync_folder",
]

_TEMPORARY_SUFFIX = ".tmp"
_NO_LINKS = {
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV,
    errno.EINVAL,
}  # fmt: skip
# Some network file systems cannot sync a folder; they order its changes themselves.
_NO_FOLDER_SYNC = {errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EROFS}

Identity: TypeAlias = tuple[int, int]


def commit(path: Path, data: bytes, name: Callable[[Path, Path, Identity], None]) -> None:
    """Write these bytes durably under a temporary name, and let `name` name the file.

    Args:
        path: its final name.
        data: all of its bytes.
        name: `give_name` or `give_name_over`.
    """
    temporary = path.with_name(
        f".{path.name[:100]}.{os.getpid()}.{secrets.token_hex(8)}{_TEMPORARY_SUFFIX}"
    )
    try:
        made = _write_temporary(temporary, data)
        try:
            name(temporary, path, made)
        finally:  # also if the name was taken, by a command that was killed before this step
            sync_folder(path.parent)
    finally:
        with suppress(OSError):
            system_calls.unlink(temporary)


def give_name(source: Path, target: Path, made: Identity) -> None:
    """Name the finished file `target`, which must not exist yet.

    With hard links it keeps the name `source` too; without them that name is gone.

    Raises:
        NameTakenError: another file has the name.
        StorageError: the file system has neither links nor a rename that refuses to overwrite.
    """
    try:
        try:
            system_calls.link(source, target)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_exclusively(source, target)
    except FileExistsError:
        # NFS repeats a request if the reply was lost, and then finds its own file.
        if identity_of(target) != made:
            raise NameTakenError(f"{target}: exists already, expected no such file") from None


def give_name_over(source: Path, target: Path, made: Identity) -> None:
    """Rename the file `made` over whatever has the name."""
    try:
        system_calls.rename(source, target)
    except FileNotFoundError:
        if identity_of(target) != made:  # as above
            raise


def identity_of(path: Path) -> Identity | None:
    """Return what identifies a file, (device, inode); None if there is no file."""
    try:
        status = system_calls.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return None
    return status.st_dev, status.st_ino


def sync_folder(folder: Path) -> None:
    """Force a folder's entries to the disk, as far as the file system can."""
    with opened(folder, os.O_RDONLY | os.O_DIRECTORY) as descriptor:
        try:
            system_calls.fsync(descriptor)
        except OSError as error:
            if error.errno not in _NO_FOLDER_SYNC:
                raise


def is_temporary(name: str) -> bool:
    """Return whether a name is that of a file not yet committed."""
    return name.startswith(".") and name.endswith(_TEMPORARY_SUFFIX)


@contextmanager
def opened(path: Path, flags: int) -> Iterator[int]:
    """Open a file or folder and yield its descriptor."""
    descriptor = system_calls.open_file(path, flags)
    try:
        yield descriptor
    finally:
        system_calls.close(descriptor)


def _write_temporary(temporary: Path, data: bytes) -> Identity:
    with opened(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as descriptor:
        rest = memoryview(data)
        while rest:
            rest = rest[system_calls.write(descriptor, rest) :]
        system_calls.fsync(descriptor)
        status = system_calls.fstat(descriptor)
        return status.st_dev, status.st_ino


def _rename_exclusively(source: Path, target: Path) -> None:
    try:
        system_calls.rename_exclusively(source, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        raise StorageError(
            f"{target}: this file system has neither hard links nor an exclusive rename, "
            "expected one of them",
            hint="keep the bank on a local disk or another file system",
        ) from error
