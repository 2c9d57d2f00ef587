"""Rows made of the files themselves: what the index says, before it says it."""

from contextlib import suppress
from typing import NamedTuple

from bank_format.bank import Bank
from bank_format.disk.stamps import Stamp
from bank_format.encoding.sealed import SEAL_SIZE
from bank_format.errors import DamagedError, NewerFormatError, OtherBaseError
from bank_format.index.coarse import CoarseRows, coarse_row
from bank_format.index.rows import NO_FILE, NO_STAMP, ListRow, TaskFile, row_of
from bank_format.kinds.gaussians import GAUSSIANS
from bank_format.kinds.mask import Task
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import SignatureRecord
from bank_format.store.signatures import read_signature

__all__ = [
    "ReadTask",
    "StoredSignature",
    "read_task_row",
    "signature_of",
    "task_row",
    "undamaged",
    "usable_signature",
]


class StoredSignature(NamedTuple):
    """A signature of the model that is known here, from a task's own file or one made later.

    Args:
        images: training images that it was made of.
        arrays: as stored.
    """

    images: int
    arrays: Arrays


class ReadTask(NamedTuple):
    """A task as read from its file and checked, and what the index says of it.

    Args:
        task: what its file says.
        row: for lists.
        coarse: for decisions; None where it has no signature that can be used.
        signature: whole; None where `coarse` is.
        damage: of the file of its signature. Lists show the task all the same; a decision would be
            another one than with the signature, so the task counts as damaged there.
    """

    task: Task
    row: ListRow
    coarse: CoarseRows | None
    signature: StoredSignature | None
    damage: DamagedError | None = None


def read_task_row(
    bank: Bank, name: str, stamp: Stamp | None, later_stamp: Stamp | None
) -> ReadTask:
    """Read a task's file, and where it tells none the file of its signature, and make its row.

    Args:
        bank: the bank.
        name: of the task.
        stamp: of its file, None if that is not known.
        later_stamp: of a signature made later.

    Raises:
        BankError: as `Bank.read_task`.
    """
    task, data = bank.read_sealed(name)
    known = stamp or Stamp(len(data), 0, 0)
    return task_row(bank, task, TaskFile(data[-SEAL_SIZE:], known), later_stamp)


def undamaged(read: ReadTask) -> ReadTask:
    """Return a task as read, for decisions.

    Raises:
        DamagedError: of the file of its signature.
    """
    if read.damage is not None:
        raise read.damage
    return read


def task_row(bank: Bank, task: Task, file: TaskFile, later_stamp: Stamp | None) -> ReadTask:
    """Make the row of a task that has been read; see `read_task_row`.

    Raises:
        StorageError: the system refused to read its signature.
    """
    found, later_seal, damage = None, None, None
    try:
        found, later_seal = signature_of(bank, task)
    except DamagedError as error:
        damage = error
    later = NO_FILE if later_seal is None else TaskFile(later_seal, later_stamp or NO_STAMP)
    coarse = None
    if found is not None:
        seal = file.seal if later == NO_FILE else later.seal
        with suppress(ValueError):  # numbers that no Gaussian has
            coarse = coarse_row(seal, found.arrays)
    row = row_of(task, file, later, 0 if coarse is None else coarse.features)
    return ReadTask(task, row, coarse, None if coarse is None else found, damage)


def signature_of(bank: Bank, task: Task) -> tuple[StoredSignature | None, bytes | None]:
    """Find a task's signature: in its own file, or one made later.

    Returns:
        it, None where there is none of a known model; the seal of the file of one made later.

    Raises:
        DamagedError: of the file of one made later.
        StorageError: the system refused to read that.
    """
    if task.content.signature is not None:
        return usable_signature(task.content.signature, task.arrays), None
    with suppress(NewerFormatError, OtherBaseError):
        stored = read_signature(bank.path, bank.record, task.content.task)
        if stored is not None and stored.content.task_sha256 == task.content_sha256:
            return usable_signature(stored.content.signature, stored.arrays), stored.seal
    return None, None


def usable_signature(signature: SignatureRecord | None, arrays: Arrays) -> StoredSignature | None:
    """Return a signature if it is of the model that is known here, else None."""
    if signature is None or signature.model != GAUSSIANS or "signature/means" not in arrays:
        return None
    return StoredSignature(signature.images, arrays)
