"""Find temporary files that a stopped command left in a bank, not those of a running one.

A temporary name contains the process that made it, ".NAME.PID.HEX.tmp". If this machine has no such
process, another machine may have it; it needs the file for seconds, not for minutes.
"""

import os
import re
import stat
import time
from dataclasses import dataclass
from pathlib import Path

from bank_format.disk import system_calls
from bank_format.disk.atomic import is_temporary
from bank_format.disk.files import list_names, storage_error, unlink
from bank_format.store.layout import MASKS, SIGNATURES

__all__ = ["Leftover", "find_leftovers", "remove_leftover"]

_MAKER = re.compile(r"\.(.*\.)?([0-9]{1,10})\.[0-9a-f]{16}\.tmp", re.DOTALL)
_OLD = 3600.0  # seconds: longer than any command needs to write one file
_GRACE = 60.0  # seconds: longer than another machine's process keeps a temporary name


@dataclass(frozen=True, slots=True)
class Leftover:
    """A temporary file or folder of a bank.

    Args:
        path: of the file or folder.
        file: its path below the bank.
        abandoned: whether no command can need it any more.
    """

    path: Path
    file: str
    abandoned: bool


def find_leftovers(bank: Path) -> list[Leftover]:
    """List the temporary files in a bank, masks/ and signatures/, by name, but not in work/.

    Raises:
        StorageError: the system refused.
    """
    now = time.time()
    found = []
    for folder in (bank, bank / MASKS, bank / SIGNATURES):
        try:
            names = list_names(folder)
        except (FileNotFoundError, NotADirectoryError):
            continue
        for name in filter(is_temporary, names):
            path = folder / name
            try:
                status = system_calls.lstat(path)
            except FileNotFoundError:
                continue  # its command has just ended
            except OSError as error:
                raise storage_error("look at", path, error) from error
            abandoned = _is_abandoned(name, now - status.st_mtime)
            found.append(Leftover(path, str(path.relative_to(bank)), abandoned))
    return found


def remove_leftover(leftover: Leftover) -> None:
    """Remove a temporary file, or a folder of temporary files; no link is followed.

    Raises:
        StorageError: the system refused.
    """
    path = leftover.path
    try:
        if stat.S_ISDIR(system_calls.lstat(path).st_mode):
            for name in system_calls.listdir(path):
                system_calls.unlink(path / name)
            system_calls.rmdir(path)
        else:
            unlink(path)
    except FileNotFoundError:
        return  # another clean was faster
    except OSError as error:
        raise storage_error("remove", path, error) from error


def _is_abandoned(name: str, age: float) -> bool:
    maker = _MAKER.fullmatch(name)
    if maker is None or age >= _OLD:
        return age >= _OLD
    return age >= _GRACE and not _is_running(int(maker[2]))


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True
