"""Reading a task of any kind that is known: a mask of its own, or a combination of others."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.combination_file import parse_combination
from bank_format.combining import combined
from bank_format.errors import DamagedError
from bank_format.records import BankRecord
from bank_format.sealed import unseal
from bank_format.task_file import Task, parse_mask
from bank_format.task_folder import read_task_file, task_path

__all__ = ["check_alone", "moved_into", "parse_task", "read_mask"]


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
        task: the name that the file's name stands for.
        name: the file's name, for messages.
        read_parent: reads a combination's parent from the same bank; see `read_mask`.

    Raises:
        DamagedError: anything but what a writer writes, another task's name inside, or a
            combination whose parents are not as they were.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the masks belong to another base.
        StorageError: a parent could not be read.
    """
    tensors, metadata = unseal(data, name)
    if _kind(metadata) == "combination":
        stated = parse_combination(tensors, metadata, record, task, name, len(data))
        return combined(stated, record, name, read_parent)
    return parse_mask(tensors, metadata, record, task, name, len(data))


def check_alone(data: bytes, record: BankRecord, task: str, name: str) -> None:
    """Check a task file as far as it stands by itself: a combination's parents are not read.

    Args and Raises: as `parse_task`.
    """
    tensors, metadata = unseal(data, name)
    parse = parse_combination if _kind(metadata) == "combination" else parse_mask
    parse(tensors, metadata, record, task, name, len(data))


def read_mask(bank: Path, record: BankRecord, task: str) -> Task:
    """Read a task that has masks of its own, as a combination's parent must.

    Args:
        bank: the bank's folder.
        record: what its bank.json says.
        task: its name.

    Raises:
        BankError: as `Bank.read_task`; a combination is refused as damage.
    """
    data, name = read_task_file(bank, record, task), str(task_path(bank, task))
    tensors, metadata = unseal(data, name)
    if _kind(metadata) == "combination":
        raise DamagedError(
            f"{name}: a combination found as a parent, expected a mask",
            hint="remove the task that took its name",
        )
    return parse_mask(tensors, metadata, record, task, name, len(data))


def moved_into(row: NDArray[np.uint8], task: Task) -> Task:
    """Copy a task's masks into a row of a stack, and return the task with masks that are its views.

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
