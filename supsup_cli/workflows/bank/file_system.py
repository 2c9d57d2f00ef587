"""Find out what a folder's file system can do, by trying it in a temporary folder there."""

import errno
import os
import secrets
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bank_format.disk import system_calls
from supsup_cli.workflows.bank import two_processes
from supsup_cli.workflows.bank.two_processes import UnfitError
from supsup_cli.workflows.results.bank import Check

_READ_ONLY = {errno.EACCES, errno.EPERM, errno.EROFS}
_UNFIT = "keep the bank on a local disk or another file system"
_TORN = "after a crash of the machine the last task may be missing, but never half there"
_UNNOTICED = "two learners of one task notice each other only when the first has finished"
_STORAGE = 13
_TASKS_TO_COME = 100


def check_file_system(folder: Path, task_bytes: int) -> list[Check]:
    """Try everything that a bank needs of its file system; nothing is left behind.

    Args:
        folder: an existing folder.
        task_bytes: bytes of a task's file, to judge the free space.
    """
    checks: list[Check] = []
    place = folder / f".doctor.{os.getpid()}.{secrets.token_hex(8)}.tmp"
    try:
        system_calls.mkdir(place)
    except OSError as error:
        checks.append(_cannot_write(folder, error))
    else:
        with _removed_afterwards(place):
            checks += _try_all(place)
    return [*checks, *_check_space(folder, task_bytes)]


def _cannot_write(folder: Path, error: OSError) -> Check:
    reason = error.strerror or str(error)
    if error.errno in _READ_ONLY:
        hint = "readers need no more; to learn, copy the bank to where you can write"
        return Check("file system", "skipped", f"not tried: read-only ({reason})", hint)
    found = f"{folder}: cannot make a folder: {reason}"
    return Check("file system", "failed", found, _UNFIT, _STORAGE)


@contextmanager
def _removed_afterwards(place: Path) -> Iterator[None]:
    try:
        yield
    finally:
        with suppress(OSError):
            for name in system_calls.listdir(place):
                with suppress(OSError):
                    system_calls.unlink(place / name)
            system_calls.rmdir(place)


def _try_all(place: Path) -> Iterator[Check]:
    yield _needed(_try("write and fsync a file", _fsync_file, place))
    yield _needed(_try("atomic replace", _replace, place))
    yield _try("fsync a folder", _fsync_folder, place, _TORN)
    yield _try("lock between processes", two_processes.lock, place, _UNNOTICED)
    # Either of the two can name a file; a bank needs one of them.
    link = _try("hard link", _link, place, "the exclusive rename is used instead")
    rename = _try("exclusive rename", _rename_exclusively, place, "hard links are used instead")
    usable = "ok" in (link.status, rename.status)
    yield from (link, rename) if usable else (_needed(link), _needed(rename))
    if link.status == "ok":
        yield _needed(_try("names between processes", two_processes.names, place))


def _needed(check: Check) -> Check:
    if check.status != "warning":
        return check
    return Check(check.check, "failed", check.found, _UNFIT, _STORAGE)


def _try(name: str, trial: Callable[[Path], str], place: Path, hint: str = "") -> Check:
    try:
        return Check(name, "ok", trial(place))
    except OSError as error:
        found = error.strerror or str(error)
    except UnfitError as error:
        found = str(error)
    except subprocess.SubprocessError as error:
        return Check(name, "skipped", f"not tried: {type(error).__name__}")
    return Check(name, "warning", found, hint)


def _fsync_file(place: Path) -> str:
    descriptor = _make(place / "file", b"supsup")
    try:
        system_calls.fsync(descriptor)
    finally:
        system_calls.close(descriptor)
    return "forced to the disk"


def _fsync_folder(place: Path) -> str:
    descriptor = system_calls.open_file(place, os.O_RDONLY | os.O_DIRECTORY)
    try:
        system_calls.fsync(descriptor)
    finally:
        system_calls.close(descriptor)
    return "forced to the disk"


def _link(place: Path) -> str:
    source, target, taken = place / "linked", place / "link", place / "link-taken"
    for path in (source, taken):
        system_calls.close(_make(path, b"supsup"))
    system_calls.link(source, target)
    if system_calls.lstat(target).st_ino != system_calls.lstat(source).st_ino:
        raise UnfitError("the link is another file")
    try:
        system_calls.link(source, taken)
    except FileExistsError:
        return "made, and refused over a file"
    raise UnfitError("a link took the place of another file")


def _rename_exclusively(place: Path) -> str:
    source, target, taken = place / "renamed", place / "rename", place / "rename-taken"
    for path in (source, taken):
        system_calls.close(_make(path, b"supsup"))
    system_calls.rename_exclusively(source, target)
    try:
        system_calls.rename_exclusively(target, taken)
    except FileExistsError:
        return "made, and refused over a file"
    raise UnfitError("a rename took the place of another file")


def _replace(place: Path) -> str:
    old, new = place / "old", place / "new"
    system_calls.close(_make(old, b"old"))
    system_calls.close(_make(new, b"newer"))
    system_calls.rename(new, old)
    if system_calls.lstat(old).st_size != len(b"newer"):
        raise UnfitError("the old file is still there")
    return "the new file is in the old one's place"


def _make(path: Path, data: bytes) -> int:
    descriptor = system_calls.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    if data:
        system_calls.write(descriptor, memoryview(data))
    return descriptor


def _check_space(folder: Path, task_bytes: int) -> Iterator[Check]:
    try:
        status = os.statvfs(folder)
    except OSError as error:
        yield Check("free space", "skipped", error.strerror or str(error))
        return
    free = status.f_bavail * status.f_frsize
    room = free // max(1, task_bytes)
    found = f"{free / 1e9:,.2f} GB, about {room:,} tasks of {task_bytes:,} bytes"
    yield _judge("free space", found, room)
    if status.f_files:  # some file systems count no free blocks
        yield _judge("free inodes", f"{status.f_favail:,}", status.f_favail)


def _judge(check: str, found: str, room: int) -> Check:
    hint = "free some space before you learn more"
    if room < 1:
        return Check(check, "failed", found, hint, _STORAGE)
    if room < _TASKS_TO_COME:
        return Check(check, "warning", found, hint)
    return Check(check, "ok", found)
