"""Claims: which process is learning which task. A claim blocks nothing else.

A claim is a lock on work/<task>/claim. The text of the file, "PID HOST STARTED", is information
for people; only the lock counts, and it ends with its process.
"""

import errno
import os
import re
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path

from bank_format.disk import system_calls
from bank_format.disk.atomic import opened
from bank_format.disk.files import list_names, read_bytes, storage_error
from bank_format.disk.locks import is_locked, lock
from bank_format.errors import BankError, DamagedError, LockedError, NoSuchTaskError
from bank_format.kinds.state import discard_state, is_work_file
from bank_format.names import is_task_name
from bank_format.store.layout import CLAIM

__all__ = ["check_claimable", "claimed", "discard_work", "unfinished_work"]

_HOLDER = re.compile(r"(\d{1,10}) ([A-Za-z0-9._-]{1,64}) (\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z)\n")
_LONGEST_CLAIM = 4096  # bytes
# Asking whether a lock is held takes it for a moment, which a learner must not mistake for a claim.
_ATTEMPTS = 5
_PAUSE = 0.02  # seconds


@contextmanager
def claimed(folder: Path) -> Iterator[None]:
    """Hold the claim on the folder of a task's work; the folder is made for it.

    Raises:
        LockedError: another live process holds it; the message names the process if the file does.
        StorageError: the bank cannot be written.
    """
    path = folder / CLAIM
    with ExitStack() as held:
        for attempt in range(_ATTEMPTS):
            try:
                held.enter_context(lock(path))
                break
            except LockedError as error:
                if attempt == _ATTEMPTS - 1:
                    raise _held(path) from error
            time.sleep(_PAUSE)
        _sign(path)
        yield


def check_claimable(folder: Path, tasks: Path) -> None:
    """Refuse at once what would fail only at the end of learning.

    Args:
        folder: of the task's work.
        tasks: the folder where its file will appear.

    Raises:
        LockedError: another live process holds the claim.
        StorageError: one of the folders cannot be written.
    """
    path = folder / CLAIM
    if is_locked(path):
        raise _held(path)
    for place in (folder.parent, tasks):
        there = next(one for one in (place, *place.parents) if one.exists())
        if not os.access(there, os.W_OK | os.X_OK):
            read_only = os.statvfs(there).f_flag & os.ST_RDONLY
            code = errno.EROFS if read_only else errno.EACCES
            raise storage_error("write", there, OSError(code, os.strerror(code)))


def unfinished_work(work: Path) -> list[str]:
    """List the tasks with work that a stopped learner left, sorted.

    A folder counts if it is empty or holds a file known by name, and if no live process of this
    machine has locked it. Links and folders with only unknown files do not count.

    Raises:
        StorageError: the system refused.
    """
    try:
        names = list_names(work)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [name for name in names if is_task_name(name) and _is_left(work / name)]


def discard_work(folder: Path) -> None:
    """Remove what a stopped learner left in a folder: claim, state, temporary files, the folder.

    A file of any other name stays, and the folder with it.

    Raises:
        NoSuchTaskError: there is no such folder.
        LockedError: a live process holds the claim.
        DamagedError: there is a link or a file in the folder's place.
        StorageError: the system refused.
    """
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise DamagedError(
            f"{folder}: a link or a file found, expected a folder",
            hint="move it elsewhere; no task is lost by that",
        )
    if not folder.exists():
        raise NoSuchTaskError(f"{folder}: no unfinished work found, expected some")
    with claimed(folder):
        discard_state(folder)


def _is_left(folder: Path) -> bool:
    if folder.is_symlink():
        return False
    try:
        names = list_names(folder)
    except (FileNotFoundError, NotADirectoryError):
        return False
    known = [name for name in names if name == CLAIM or is_work_file(name)]
    return bool(known or not names) and not is_locked(folder / CLAIM)


def _sign(path: Path) -> None:
    host = re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "unknown"
    text = f"{os.getpid()} {host} {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}\n"
    try:
        with opened(path, os.O_WRONLY | os.O_TRUNC) as descriptor:
            system_calls.write(descriptor, memoryview(text.encode()))
    except FileNotFoundError:
        return  # without locks, another learner may have ended and removed it; the link decides
    except OSError as error:
        raise storage_error("claim", path, error) from error


def _held(path: Path) -> LockedError:
    try:
        holder = _HOLDER.fullmatch(read_bytes(path, _LONGEST_CLAIM).decode("ascii", "replace"))
    except (OSError, BankError):
        holder = None
    who = f"process {holder[1]} on {holder[2]} since {holder[3]}" if holder else "a live process"
    return LockedError(
        f"{path}: held by {who}, expected free",
        hint="wait until it ends, or choose another name",
    )
