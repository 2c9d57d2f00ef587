"""The one door to the operating system: every effect on a bank's files passes through here.

Each function is one system call and raises Python's OSError. `files` and `locks` retry, clean up
and explain; this module does not. Tests replace these functions by faults and recorders, so callers
use only `system_calls.NAME`. Python itself repeats most calls that a signal interrupts (PEP 475).
"""

import ctypes
import errno
import fcntl
import os
import sys
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "close",
    "flock",
    "fstat",
    "fsync",
    "link",
    "listdir",
    "lstat",
    "mkdir",
    "open_file",
    "read",
    "read_at",
    "rename",
    "rename_exclusively",
    "rmdir",
    "scandir",
    "stat",
    "unlink",
    "write",
]

_AT_FDCWD = -100
_RENAME_NOREPLACE = 1
_RENAME_EXCL = 4


def open_file(path: Path, flags: int) -> int:
    """Open a file or folder and return its descriptor; a new file's mode follows the umask."""
    # Unlike tempfile's files, a bank is as readable as any other file of its owner.
    return os.open(path, flags | os.O_CLOEXEC, 0o666)


def read(descriptor: int, size: int) -> bytes:
    """Read at most `size` bytes; none at the end of the file."""
    return os.read(descriptor, size)


def write(descriptor: int, data: memoryview) -> int:
    """Write some of the bytes and return how many."""
    return os.write(descriptor, data)


def fsync(descriptor: int) -> None:
    """Force a file's bytes, or a folder's entries, to the disk."""
    os.fsync(descriptor)


def close(descriptor: int) -> None:
    """Close a descriptor; a lock taken through it ends."""
    os.close(descriptor)


def fstat(descriptor: int) -> os.stat_result:
    """Describe the open file."""
    return os.fstat(descriptor)


def stat(path: Path) -> os.stat_result:
    """Describe the file that a path leads to, through links."""
    return path.stat()


def lstat(path: Path) -> os.stat_result:
    """Describe the entry at a path, without following a link."""
    return path.lstat()


def link(source: Path, target: Path) -> None:
    """Link a file, or the link itself if it is one, to a second name; never overwrites."""
    os.link(source, target, follow_symlinks=False)


def rename(source: Path, target: Path) -> None:
    """Rename a file over whatever has the new name."""
    source.rename(target)


def rename_exclusively(source: Path, target: Path) -> None:
    """Rename a file; never overwrites. ENOSYS if the system has no such call."""
    library = ctypes.CDLL(None, use_errno=True)
    old, new = os.fsencode(source), os.fsencode(target)
    try:
        if sys.platform == "darwin":
            failed = library.renamex_np(old, new, _RENAME_EXCL)
        else:
            failed = library.renameat2(_AT_FDCWD, old, _AT_FDCWD, new, _RENAME_NOREPLACE)
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS), str(source)) from None
    if failed:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), str(source), None, str(target))


def unlink(path: Path) -> None:
    """Remove a name of a file."""
    path.unlink()


def mkdir(path: Path) -> None:
    """Make a folder; its mode follows the umask."""
    path.mkdir()


def rmdir(path: Path) -> None:
    """Remove an empty folder."""
    path.rmdir()


def listdir(path: Path) -> list[str]:
    """List the names in a folder, in no order."""
    return os.listdir(path)  # noqa: PTH208 - names, not paths: twice as fast


def scandir(path: Path) -> Iterator[tuple[str, os.stat_result | None]]:
    """List a folder's names with what describes what each leads to; None for a link to nothing.

    One after the other, because descriptions of 100,000 files are 100 MB; by the open folder, so
    that the system walks its path once.
    """
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                try:
                    status = entry.stat()
                except FileNotFoundError:
                    yield entry.name, None
                else:
                    yield entry.name, status
    finally:
        os.close(folder)


def read_at(descriptor: int, size: int, offset: int) -> bytes:
    """Read at most `size` bytes at a place of an open file; fewer at its end."""
    return os.pread(descriptor, size, offset)


def flock(descriptor: int, operation: int) -> None:
    """Take or release a lock on an open file."""
    fcntl.flock(descriptor, operation)
