"""Distinguish files without reading them whole: by their stamps, and by their last bytes."""

import os
import stat
from array import array
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from bank_format.by_name import ByName
from bank_format.disk import system_calls
from bank_format.disk.atomic import opened
from bank_format.disk.files import storage_error
from bank_format.disk.stores import SEAL_BYTES, Place, StorePath

__all__ = ["Listing", "Stamp", "list_stamps", "read_seal"]

_HALF = 2**63
_NO_NUMBERS = (-1, -1, -1)  # no file has so many bytes


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


@dataclass(frozen=True, eq=False)
class Listing(ByName[Stamp | None]):
    """Files of a folder by their names without a suffix, sorted, each with its stamp.

    A stamp is None where there is no regular file, or the folder lies in a store: an object of a
    name and size may have come anew.

    Attributes:
        numbers: (N + 1, 3) int64, stamps in the order of the names; −1 where there is none, and in
            one more row at the end, to which a place of −1 leads.
    """

    numbers: NDArray[np.int64]

    def at(self, place: int) -> Stamp | None:
        """Return a file's stamp."""
        numbers = self.numbers[place].tolist()
        return None if numbers[0] < 0 else Stamp(*numbers)


def list_stamps(folder: Place, suffix: str, accept: Callable[[str], bool]) -> Listing:
    """List the files of a folder with their stamps; links are followed.

    Args:
        folder: the folder.
        suffix: that their names end with.
        accept: whether a name without the suffix is wanted.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such folder.
        StorageError: the system refused.
    """
    names: list[str] = []
    numbers = array("q")
    try:
        for name, status in _described(folder):
            if name.endswith(suffix):
                names.append(name[: len(name) - len(suffix)])
                numbers.extend(_numbers(status))
    except (FileNotFoundError, NotADirectoryError):
        raise
    except OSError as error:
        raise storage_error("list", folder, error) from error
    wanted = sorted(filter(accept, names))
    places = dict(zip(names, range(len(names)), strict=True))
    # The last is the row that places of −1 lead to.
    order = np.fromiter((*map(places.__getitem__, wanted), len(names)), np.int64, len(wanted) + 1)
    numbers.extend(_NO_NUMBERS)
    return Listing(wanted, np.frombuffer(numbers, np.int64).reshape(-1, 3)[order])


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


def _described(folder: Place) -> Iterable[tuple[str, os.stat_result | None]]:
    if isinstance(folder, StorePath):
        return ((name, None) for name in folder.store.list(folder.key))
    return system_calls.scandir(folder)


def _numbers(status: os.stat_result | None) -> tuple[int, int, int]:
    if status is None or not stat.S_ISREG(status.st_mode):
        return _NO_NUMBERS
    time, inode = status.st_mtime_ns, status.st_ino
    if not (-_HALF <= time < _HALF and inode < _HALF):  # past the year 2262, and some inodes
        time, inode = ((number + _HALF) % (2 * _HALF) - _HALF for number in (time, inode))
    return status.st_size, time, inode
