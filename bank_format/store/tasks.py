"""The folder masks/: a file for each task, and its listing the only list of tasks."""

import difflib
import shlex
from pathlib import Path

from bank_format.disk import files
from bank_format.errors import DamagedError, NameTakenError, NoSuchTaskError
from bank_format.kinds.bank_json import BankSpec
from bank_format.names import check_task_name, is_task_name
from bank_format.store.layout import MASKS, SUFFIX, file_limit

__all__ = [
    "commit_task_file",
    "list_tasks",
    "no_such_task",
    "read_task_file",
    "settle_tasks",
    "task_path",
]


def list_tasks(bank: Path) -> list[str]:
    """List the tasks' names, sorted, from one listing of the folder; no file is opened.

    Raises:
        StorageError: the system refused.
    """
    try:
        found = files.list_names(bank / MASKS)
    except FileNotFoundError:
        return []  # copies and version control lose an empty folder
    except NotADirectoryError as error:
        raise files.storage_error("list", bank / MASKS, error) from error
    names = (name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))
    return sorted(name for name in names if is_task_name(name))


def task_path(bank: Path, name: str) -> Path:
    """Return where a task's file stands, or would stand.

    Raises:
        BadNameError: no task can have that name.
    """
    return Path(bank, MASKS, f"{check_task_name(name)}{SUFFIX}")


def read_task_file(bank: Path, spec: BankSpec, name: str) -> bytes:
    """Read the bytes of a task's file, unchecked.

    Raises:
        BadNameError, NoSuchTaskError: no such task.
        DamagedError: no regular file, one beyond the limit, or a link to nothing.
        StorageError: the system refused.
    """
    path = task_path(bank, name)
    try:
        return files.read_bytes(path, file_limit(spec))
    except (FileNotFoundError, NotADirectoryError):
        if path.is_symlink():
            raise DamagedError(
                f"{path}: a link to nothing found, expected a task's file",
                hint="restore the file it leads to, or remove the link",
            ) from None
        raise no_such_task(bank, name) from None


def commit_task_file(bank: Path, name: str, data: bytes) -> None:
    """Give a task its file: it appears whole and durably, or not at all.

    Raises:
        NameTakenError: a task of that name is there; it is untouched.
        StorageError: the system refused.
    """
    path = task_path(bank, name)
    files.make_folder(path.parent)
    files.settle(bank)  # a task on the disk is lost if its folder or bank.json is not
    try:
        files.write_new(path, data)
    except NameTakenError as error:
        raise NameTakenError(
            f"{path}: a task {name!r} found, expected none; it is unchanged",
            hint="choose another name with --name, or remove the task first: "
            f"supsup tasks remove {name} --bank {shlex.quote(str(bank))}",
        ) from error


def settle_tasks(bank: Path) -> None:
    """Force the list of tasks, and the bank's own names, to the disk.

    Raises:
        StorageError: the system refused.
    """
    files.settle(bank / MASKS)
    files.settle(bank)


def no_such_task(bank: Path, name: str) -> NoSuchTaskError:
    """Say that the bank has no task of a name, which name is close, and how to list all."""
    there = list_tasks(bank)
    close = difflib.get_close_matches(name, there, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return NoSuchTaskError(
        f"{bank}: no task {name!r} found among {len(there)}{guess}",
        hint=f"supsup tasks --bank {shlex.quote(str(bank))}",
    )
