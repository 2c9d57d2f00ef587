"""Test what two processes see of each other in a folder; learners that share a bank rely on it.

Both run on this machine. The file system must promise that a second machine sees the same: NFS from
version 3 on, Lustre, GPFS and CephFS do so for links, which decide; locks are best effort.
"""

import fcntl
import os
import subprocess
import sys
from pathlib import Path

from bank_format.disk import system_calls

_SECONDS = 30.0
_HELD, _UNSEEN, _OVERWRITTEN = 3, 4, 5
_LOCK = """
import fcntl, sys
with open(sys.argv[1]) as file:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        sys.exit(3)
"""
_NAMES = """
import os, sys
os.chdir(sys.argv[1])
try:
    with open("ours", "rb") as file:
        seen = file.read() == b"supsup" and "ours" in os.listdir(".")
except FileNotFoundError:
    seen = False
if not seen:
    sys.exit(4)
with open("their-file", "xb") as file:
    file.write(b"supsup")
try:
    os.link("their-file", "ours")
except FileExistsError:
    os.link("their-file", "theirs")
else:
    sys.exit(5)
"""


class UnfitError(Exception):
    """The file system did not do what it was asked to."""


def lock(place: Path) -> str:
    """Hold a lock while a second process asks for it.

    Raises:
        UnfitError: both got it, or it stayed locked afterwards.
        OSError: the file system has no locks.
        subprocess.SubprocessError: there was no second process.
    """
    path = place / "lock"
    descriptor = system_calls.open_file(path, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        system_calls.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _elsewhere(_LOCK, path) != _HELD:
            raise UnfitError("a second process took the lock that the first held")
    finally:
        system_calls.close(descriptor)
    if _elsewhere(_LOCK, path) != 0:
        raise UnfitError("the lock stayed held after it was left")
    return "held, refused to a second process, left"


def names(place: Path) -> str:
    """Test whether a second process sees a new name, cannot take it, and adds one seen here.

    Raises:
        UnfitError: the second process did not see the name, or took it, or its own was not seen.
        OSError: the file system has no hard links.
        subprocess.SubprocessError: there was no second process.
    """
    mine = place / "our-file"
    descriptor = system_calls.open_file(mine, os.O_RDWR | os.O_CREAT | os.O_EXCL)
    try:
        system_calls.write(descriptor, memoryview(b"supsup"))
    finally:
        system_calls.close(descriptor)
    system_calls.link(mine, place / "ours")
    code = _elsewhere(_NAMES, place)
    if code == _UNSEEN:
        raise UnfitError("a second process did not see a file that was just named")
    if code == _OVERWRITTEN:
        raise UnfitError("a second process took a name that was given already")
    if code != 0:
        raise UnfitError("a second process could not name a file")
    try:
        system_calls.link(mine, place / "theirs")
    except FileExistsError:
        return "given, seen by a second process, and refused to it; and the other way round"
    raise UnfitError("a name that a second process gave was not seen, and given again")


def _elsewhere(script: str, path: Path) -> int:
    command = [sys.executable, "-I", "-S", "-c", script, str(path)]
    return subprocess.run(command, check=False, capture_output=True, timeout=_SECONDS).returncode
