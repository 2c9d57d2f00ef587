"""The folder signatures/: signatures computed later, for tasks without one in their own file.

A file here names the digest of its task. It is derived: without it, the task's mask is tried for
every decision. If the task's own file has a signature, that one counts. A damaged file would change
answers that the signature had a part in, so the task then counts as damaged.
"""

from contextlib import suppress
from pathlib import Path
from typing import cast

from bank_format.disk import files
from bank_format.disk.stores import AnyPlace, Place
from bank_format.errors import DamagedError, NameTakenError, NewerFormatError, OtherBaseError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.mask import Task
from bank_format.kinds.signature import StoredSignature, build_signature, parse_signature
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import SignatureRecord
from bank_format.names import check_task_name, is_task_name
from bank_format.store.layout import SIGNATURES, SUFFIX, file_limit

__all__ = [
    "add_signature",
    "copy_signature",
    "list_signatures",
    "read_signature",
    "read_signature_file",
    "remove_signature",
    "settle_signatures",
    "signature_path",
]


def signature_path(bank: AnyPlace, task: str) -> AnyPlace:
    """Return the path of a task's signature, whether it exists or not.

    Raises:
        BadNameError: no task can have that name.
    """
    return cast("AnyPlace", bank / SIGNATURES / f"{check_task_name(task)}{SUFFIX}")


def list_signatures(bank: Place) -> list[str]:
    """List the tasks that have a file here, sorted; no file is opened.

    Raises:
        StorageError: the system refused.
    """
    try:
        found = files.list_names(bank / SIGNATURES)
    except (FileNotFoundError, NotADirectoryError):
        return []
    names = (name.removesuffix(SUFFIX) for name in found if name.endswith(SUFFIX))
    return sorted(name for name in names if is_task_name(name))


def read_signature(bank: Place, record: BankRecord, task: str) -> StoredSignature | None:
    """Read a task's file here, checked in full; None if there is none.

    The caller compares its `task_sha256` with the task's digest.

    Raises:
        DamagedError, NewerFormatError, OtherBaseError: of the file.
        StorageError: the system refused.
    """
    data = read_signature_file(bank, record, task)
    if data is None:
        return None
    return parse_signature(data, record, task, str(signature_path(bank, task)))


def read_signature_file(bank: Place, record: BankRecord, task: str) -> bytes | None:
    """Read a task's file here whole, unchecked; None if there is none.

    Raises:
        DamagedError: no regular file, or a huge one.
        StorageError: the system refused.
    """
    try:
        return files.read_bytes(signature_path(bank, task), file_limit(record))
    except (FileNotFoundError, NotADirectoryError):
        return None


def add_signature(
    bank: Path,
    record: BankRecord,
    task: Task,
    signature: SignatureRecord,
    arrays: Arrays,
) -> None:
    """Store a task's signature; it replaces that of an earlier task of the same name.

    Raises:
        NameTakenError: the task already has one here; it is untouched.
        StorageError: the system refused.
        ValueError: see `build_signature`.
    """
    name = task.content.task
    path = signature_path(bank, name)
    data = build_signature(record, name, task.content_sha256, signature, arrays)
    with suppress(DamagedError, OtherBaseError):
        there = read_signature(bank, record, name)
        if there is not None and there.content.task_sha256 != task.content_sha256:
            remove_signature(bank, name)
    files.make_folder(path.parent)
    files.write_new(path, data)


def copy_signature(source: Place, task: Task, bank: Path, record: BankRecord, copy: Task) -> None:
    """Copy the signature that another bank computed later for a task; skip a damaged one.

    Args:
        source: the other bank's folder, of the same base.
        task: as it is there.
        bank: the folder of the bank that has the copy.
        record: what its bank.json says.
        copy: the task as it is here, perhaps under another name.

    Raises:
        StorageError: the system refused.
    """
    with suppress(DamagedError, OtherBaseError, NewerFormatError, NameTakenError):
        there = read_signature(source, record, task.content.task)
        if there is not None and there.content.task_sha256 == task.content_sha256:
            add_signature(bank, record, copy, there.content.signature, there.arrays)


def settle_signatures(bank: Path) -> None:
    """Force the names in signatures/ to the disk, before reporting that one is there.

    Raises:
        StorageError: the system refused.
    """
    files.settle(bank / SIGNATURES)
    files.settle(bank)


def remove_signature(bank: Path, task: str) -> None:
    """Remove a task's file here, durably, if there is one.

    Raises:
        StorageError: the system refused.
    """
    with suppress(FileNotFoundError, NotADirectoryError):
        files.unlink(signature_path(bank, task))
