"""Distinguish files without reading them whole: by their stamps, and by their last bytes."""

import os
import stat
from typing import NamedTuple

from bank_format.disk import system_calls
from bank_format.disk.atomic import opened
from bank_format.disk.files import storage_error
from bank_format.disk.stores import SEAL_BYTES, Place, StorePath

__all__ = ["Stamp", "list_stamps", "read_seal"]


class Stamp(NamedTuple):
    """What shows, without opening a file, that it is the same one as before.

    Args:
        size: bytes.
        time: when its bytes were last changed, nanoseconds since 1970.
        inode: its number in its file system; both modulo 2⁶⁴, read with a sign.
    """

    size: int
    time: int
    inode: int


def list_stamps(folder: Place) -> dict[str, Stamp | None]:
    """List what is in a folder, with the stamps of regular files; links are followed.

    A store has no stamps: an object of a name and size may have come anew.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        StorageError: the system refused.
    """
    try:
        if isinstance(folder, StorePath):
            return dict.fromkeys(folder.store.list(folder.key))
        return {
            name: Stamp(status.st_size, _signed(status.st_mtime_ns), _signed(status.st_ino))
            if status is not None and stat.S_ISREG(status.st_mode)
            else None
            for name, status in system_calls.scandir(folder)
        }
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("list", folder, error) from error


def read_seal(path: Place) -> bytes:
    """Read the last 32 bytes of a file, or all if it has fewer.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file.
        StorageError: the system refused.
    """
    try:
        if isinstance(path, StorePath):
            return path.store.read_seal(path.key)
        with opened(path, os.O_RDONLY | os.O_NONBLOCK) as descriptor:
            size = system_calls.fstat(descriptor).st_size
            return system_calls.read_at(descriptor, SEAL_BYTES, max(0, size - SEAL_BYTES))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("read", path, error) from error


def _signed(number: int) -> int:
    """Wrap a number into 64 bits: times past the year 2262 and some inodes have more."""
    number %= 2**64
    return number - 2**64 if number >= 2**63 else number
