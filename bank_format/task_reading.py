"""Reading a task of any kind that is known: a mask of its own, or a combination of others."""

from collections.abc import Callable

from bank_format.combination_file import parse_combination
from bank_format.records import BankRecord
from bank_format.sealed import unseal
from bank_format.task_file import Task, parse_mask

__all__ = ["parse_task"]


def parse_task(
    data: bytes,
    record: BankRecord,
    task: str,
    name: str,
    read_parent: Callable[[str], Task] | None,
) -> Task:
    """Read a task file, checked in full.

    Args:
        data: the whole file.
        record: of the bank.
        task: the name that the file's name stands for.
        name: the file's name, for messages.
        read_parent: reads a combination's parent from the same bank; None refuses combinations.

    Raises:
        DamagedError: anything but what a writer writes, another task's name inside, or a
            combination whose parents are not as they were.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: the masks belong to another base.
        StorageError: a parent could not be read.
    """
    tensors, metadata = unseal(data, name)
    content = metadata.get("content") if isinstance(metadata, dict) else None
    if isinstance(content, dict) and content.get("kind") == "combination":
        return parse_combination(tensors, metadata, record, task, name, len(data), read_parent)
    return parse_mask(tensors, metadata, record, task, name, len(data))
