"""Every operation on files: read whole, create without overwriting, replace, remove, list.

A new file is written under a temporary name beginning with "." in the same folder, forced to
the disk, and only then given its name; so a name stands for a whole file or for none, whenever
the machine stops. The name is given by a hard link, which never overwrites, or where the file
system has none by a rename that refuses to. An OSError becomes a StorageError that names the
file; FileNotFoundError and NotADirectoryError pass through where a file is read, removed or
listed, since only the caller knows what its absence means.
"""

import ctypes
import errno
import os
import secrets
import stat
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from bank_format.errors import DamagedError, NameTakenError, StorageError

__all__ = [
    "TEMPORARY_SUFFIX",
    "Identity",
    "identity",
    "list_names",
    "make_folder",
    "read_bytes",
    "replace",
    "storage_error",
    "unlink",
    "write_new",
]

TEMPORARY_SUFFIX = ".tmp"
_NO_LINKS = {
    errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV,
    errno.EINVAL,
}  # fmt: skip
_HINTS = {
    errno.ENOSPC: "free some disk space and run the command again",
    errno.EDQUOT: "free some of your disk quota and run the command again",
    errno.EROFS: "the file system is read-only: copy the bank to one that can be written",
    errno.EACCES: "give yourself write permission on the folder, or copy the bank",
}

Identity: TypeAlias = tuple[int, int]


def read_bytes(path: Path, limit: int) -> bytes:
    """Read a whole file of at most `limit` bytes.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        DamagedError: it is no regular file, or longer than `limit`.
        StorageError: the system refused.
    """
    try:
        # A FIFO under a bank's name must not hang the reader: O_NONBLOCK changes nothing else.
        with open(path, "rb", buffering=0, opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise DamagedError(f"{path}: not a regular file, expected one")
            data = file.read() if status.st_size <= limit else b""
        size = max(status.st_size, len(data))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except IsADirectoryError:
        raise DamagedError(f"{path}: a folder, expected a regular file") from None
    except OSError as error:
        raise storage_error("read", path, error) from error
    if size > limit:
        raise DamagedError(f"{path}: {size} bytes, expected at most {limit}")
    return data


def write_new(path: Path, data: bytes) -> None:
    """Create a file of these bytes, durable when this returns; never overwrite one.

    Raises:
        NameTakenError: the name exists already; it is untouched.
        StorageError: the system refused; no part of a file stands under the name.
    """
    _commit(path, data, _give_name)


def replace(path: Path, data: bytes) -> None:
    """Write a file of these bytes in the place of what stands there, at once and durably.

    Raises:
        StorageError: the system refused; the old file stands.
    """
    _commit(path, data, _give_name_over)


def unlink(path: Path) -> None:
    """Remove a file, durably.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        StorageError: the system refused.
    """
    try:
        path.unlink()
        _sync_folder(path.parent)
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("remove", path, error) from error


def list_names(folder: Path) -> list[str]:
    """List the names in a folder, sorted; no file is opened.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        StorageError: the system refused.
    """
    try:
        return sorted(os.listdir(folder))  # noqa: PTH208 - names, not paths: twice as fast
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("list", folder, error) from error


def make_folder(folder: Path) -> None:
    """Make a folder and the folders above it, where they are missing.

    Raises:
        StorageError: the system refused, or a file stands there.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error("make the folder", folder, error) from error


def identity(path: Path) -> Identity | None:
    """Return what tells one file from any other, (device, inode); None where there is no file."""
    try:
        status = path.stat(follow_symlinks=False)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def storage_error(verb: str, path: Path, error: OSError) -> StorageError:
    """Name the file in what the system said, with a hint that fits the reason."""
    reason = error.strerror or str(error)
    hint = _HINTS.get(error.errno or 0, "check the folder's permissions and its disk")
    return StorageError(f"{path}: cannot {verb}: {reason}", hint=hint)


def _commit(path: Path, data: bytes, give_name: Callable[[Path, Path, Identity], None]) -> None:
    temporary = path.with_name(
        f".{path.name[:100]}.{os.getpid()}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}"
    )
    try:
        made = _write_temporary(temporary, data)
        give_name(temporary, path, made)
        _sync_folder(path.parent)
    except OSError as error:
        raise storage_error("write", path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _write_temporary(temporary: Path, data: bytes) -> Identity:
    # 0o666 less the umask, as any program's file; not the owner-only mode of tempfile.
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
    descriptor = os.open(temporary, flags, 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        os.fsync(descriptor)
        status = os.fstat(descriptor)
        return status.st_dev, status.st_ino
    finally:
        os.close(descriptor)


def _give_name(temporary: Path, path: Path, made: Identity) -> None:
    try:
        try:
            os.link(temporary, path)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            _rename_exclusively(temporary, path)
    except FileExistsError:
        # NFS repeats a request whose reply was lost, and then finds its own work.
        if identity(path) != made:
            raise NameTakenError(f"{path}: exists already, expected no such file") from None


def _give_name_over(temporary: Path, path: Path, made: Identity) -> None:
    try:
        temporary.replace(path)
    except FileNotFoundError:
        if identity(path) != made:
            raise


def _rename_exclusively(temporary: Path, path: Path) -> None:
    library = ctypes.CDLL(None, use_errno=True)
    source, target = os.fsencode(temporary), os.fsencode(path)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(source, target, 0x4)  # RENAME_EXCL
        else:
            here = -100  # AT_FDCWD; the 1 is RENAME_NOREPLACE
            failed = library.renameat2(here, source, here, target, 1)
        code = ctypes.get_errno() if failed else 0
    except AttributeError:
        code = errno.ENOSYS
    if code in _NO_LINKS:
        raise StorageError(
            f"{path}: this file system has neither hard links nor an exclusive rename, "
            "expected one of them",
            hint="keep the bank on a local disk or another file system",
        )
    if code:
        raise OSError(code, os.strerror(code), str(path))


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems cannot sync a folder; they order its changes themselves.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EOPNOTSUPP):
            raise
    finally:
        os.close(descriptor)


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
