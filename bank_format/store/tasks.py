"""The folder masks/: a file for each task of either kind; its listing is the only list of tasks."""

import dataclasses
import difflib
import gc
import shlex
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bank_format.disk import files
from bank_format.disk.stores import AnyPlace, Place, StorePath
from bank_format.encoding.sealed import read_sealed
from bank_format.errors import DamagedError, NameTakenError, NoSuchTaskError
from bank_format.kinds.bank_json import BankRecord, BankSpec
from bank_format.kinds.combination import parse_combination, read_combination
from bank_format.kinds.mask import Task, parse_mask
from bank_format.names import check_task_name, is_task_name
from bank_format.store.layout import MASKS, SUFFIX, file_limit

__all__ = [
    "check_alone",
    "commit_task_file",
    "expect_tasks",
    "list_tasks",
    "many_objects",
    "no_such_task",
    "parse_task",
    "read_mask",
    "read_task_file",
    "settle_tasks",
    "stacked",
    "task_path",
]


def list_tasks(bank: Place) -> list[str]:
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


def task_path(bank: AnyPlace, name: str) -> AnyPlace:
    """Return the path of a task's file, whether it exists or not.

    Raises:
        BadNameError: no task can have that name.
    """
    return cast("AnyPlace", bank / MASKS / f"{check_task_name(name)}{SUFFIX}")


def read_task_file(bank: Place, spec: BankSpec, name: str) -> bytes:
    """Read the bytes of a task's file, unchecked.

    Raises:
        BadNameError, NoSuchTaskError: no such task.
        DamagedError: not a regular file, a file beyond the limit, or a link to nothing.
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


def expect_tasks(bank: Place, names: Sequence[str]) -> None:
    """Announce to a store that tasks' files are about to be read, in this order.

    Raises:
        BadNameError: no task can have one of the names.
    """
    if isinstance(bank, StorePath):
        bank.store.expect([task_path(bank, name).key for name in names])


def commit_task_file(bank: Path, name: str, data: bytes) -> None:
    """Write a task's file: it appears whole and durable, or not at all.

    Raises:
        NameTakenError: a task of that name is there; it is untouched.
        StorageError: the system refused.
    """
    path = task_path(bank, name)
    files.make_folder(path.parent)
    files.settle(bank)  # a task is lost if its folder or bank.json is not on the disk
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


def no_such_task(bank: Place, name: str) -> NoSuchTaskError:
    """Make the error for a missing task: it names the nearest task, and how to list all."""
    there = list_tasks(bank)
    close = difflib.get_close_matches(name, there, n=1)
    guess = f"; did you mean {close[0]!r}?" if close else ""
    return NoSuchTaskError(
        f"{bank}: no task {name!r} found among {len(there)}{guess}",
        hint=f"supsup tasks --bank {shlex.quote(str(bank))}",
    )


def parse_task(
    data: bytes,
    record: BankRecord,
    task: str,
    name: str,
    read_parent: Callable[[str], Task],
) -> Task:
    """Read a task file, checked in full.

    Args:
        data: the whole file.
        record: of the bank.
        task: the task's name according to the file's name.
        name: the file's name, for messages.
        read_parent: reads a combination's parent from the same bank; see `read_mask`.

    Raises:
        DamagedError: anything but what a writer writes, another task's name inside, or a
            combination with a missing or changed parent.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the masks belong to another base.
        StorageError: a parent could not be read.
    """
    sealed = read_sealed(data, name)
    if _kind(sealed.metadata) == "combination":
        stated = parse_combination(sealed, record, task, name)
        return read_combination(stated, record, name, read_parent)
    return parse_mask(sealed, record, task, name)


def check_alone(data: bytes, record: BankRecord, task: str, name: str) -> None:
    """Check a task file by itself: a combination's parents are not read.

    Args and Raises: as `parse_task`.
    """
    sealed = read_sealed(data, name)
    parse = parse_combination if _kind(sealed.metadata) == "combination" else parse_mask
    parse(sealed, record, task, name)


def read_mask(bank: Place, record: BankRecord, task: str) -> Task:
    """Read a task of kind `mask`, as a combination's parent must be.

    Args:
        bank: the bank's folder.
        record: what its bank.json says.
        task: its name.

    Raises:
        BankError: as `Bank.read_task`; a combination is refused as damage.
    """
    data, name = read_task_file(bank, record, task), str(task_path(bank, task))
    sealed = read_sealed(data, name)
    if _kind(sealed.metadata) == "combination":
        raise DamagedError(
            f"{name}: a combination found as a parent, expected a mask",
            hint="remove the task that took its name",
        )
    return parse_mask(sealed, record, task, name)


def stacked(
    names: Sequence[str], size: int, read: Callable[[str], Task | None]
) -> tuple[list[Task], NDArray[np.uint8]]:
    """Read tasks one after the other, their masks into one array; see `Bank.read_tasks`.

    Args:
        names: of the tasks.
        size: of one task's masks, bytes.
        read: reads a task; None leaves it out. What it raises is passed on.

    Returns:
        the tasks, and (T, size) uint8, contiguous: a row holds a task's packed masks.
    """
    stack = np.empty((len(names), size), dtype=np.uint8)
    tasks: list[Task] = []
    with many_objects():
        for name in names:
            task = read(name)
            if task is not None:
                tasks.append(_moved_into(stack[len(tasks)], task))
    return tasks, stack[: len(tasks)]


@contextmanager
def many_objects() -> Iterator[None]:
    """Pause garbage collection while many lasting objects are made, saving a tenth of the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def _moved_into(row: NDArray[np.uint8], task: Task) -> Task:
    """Copy a task's masks into a row of a stack, and return the task with views of the row.

    Args:
        row: (mask_bytes,) uint8; holds the parameters' packed bits one after the other afterwards.
        task: as read.
    """
    views: dict[str, NDArray[np.uint8]] = {}
    end = 0
    for name, mask in task.masks.items():
        start, end = end, end + len(mask)
        views[name] = row[start:end]
        views[name][:] = mask
    return dataclasses.replace(task, masks=views)


def _kind(metadata: object) -> object:
    content = metadata.get("content") if isinstance(metadata, dict) else None
    return content.get("kind") if isinstance(content, dict) else None
