"""Which tasks depend on which others, within a bank and when tasks are copied between banks.

A combination cannot be read without its parents.
"""

import dataclasses
import shlex
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bank_format.disk.stores import Place
from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import unseal
from bank_format.encoding.strict_json import from_json
from bank_format.errors import (
    DamagedError,
    InUseError,
    NewerFormatError,
    NoSuchTaskError,
    OtherBaseError,
    StorageError,
)
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import check_kind
from bank_format.kinds.combination import build_combination
from bank_format.kinds.combination_records import CombinationContent
from bank_format.kinds.mask import Task, build_task
from bank_format.kinds.task_metadata import HINT
from bank_format.kinds.task_records import ParentRecord
from bank_format.names import check_task_name
from bank_format.store.tasks import list_tasks, read_mask, read_task_file, task_path

__all__ = [
    "check_same_base",
    "children_of",
    "named_parents",
    "needed_parents",
    "refuse_parent",
    "renamed",
]

# As written in the header, where the content is JSON inside JSON.
_KIND = b'\\"kind\\":\\"combination\\"'
_MOST_NAMED = 5
_UNREADABLE = (DamagedError, NewerFormatError, NoSuchTaskError, OtherBaseError)


def needed_parents(task: Task) -> tuple[ParentRecord, ...]:
    """List the tasks without which a task cannot be read; a task of kind `mask` needs none."""
    return task.content.parents if task.content.kind == "combination" else ()


def named_parents(data: bytes, name: str) -> tuple[ParentRecord, ...]:
    """List the tasks without which a task file cannot be read, from that file alone.

    The parents are not read, so this works for a combination that has lost one, too.

    Args:
        data: the whole file.
        name: the file's name, for messages.

    Raises:
        DamagedError, NewerFormatError: of this file.
    """
    _, metadata = unseal(data, name)
    content = metadata.get("content") if isinstance(metadata, dict) else None
    if isinstance(content, dict) and content.get("kind") == "mask":
        return ()
    stated = check_kind(metadata, "combination", name)
    with damage(name, "I5", hint=HINT):
        return from_json(CombinationContent, stated, "content").parents


def children_of(bank: Place, record: BankRecord, parents: Sequence[str]) -> dict[str, list[str]]:
    """List the other tasks that are combinations and need one of these, sorted, for each of these.

    A damaged or missing parent is recognised by its name alone. A combination that is damaged
    itself is left out: `verify` reports it, and it is lost anyway.

    Raises:
        BadNameError: no task can have one of the names.
        StorageError: the system refused; nothing is known of what could not be read.
    """
    digests: dict[str, str | None] = dict.fromkeys(parents)
    for parent in map(check_task_name, parents):
        with suppress(*_UNREADABLE, StorageError):
            digests[parent] = read_mask(bank, record, parent).content_sha256
    children: dict[str, list[str]] = {parent: [] for parent in parents}
    for task in sorted(set(list_tasks(bank)).difference(parents)):
        with suppress(*_UNREADABLE):
            data = read_task_file(bank, record, task)
            if _KIND not in data[: 8 + int.from_bytes(data[:8], "little")]:
                continue
            for named in named_parents(data, task):
                if digests.get(named.task, "") in (None, named.content_sha256):
                    children[named.task].append(task)
    return children


def refuse_parent(bank: Path, name: str, children: Sequence[str]) -> None:
    """Refuse to remove a task while combinations need it.

    Raises:
        InUseError: there are some.
    """
    if not children:
        return
    named = " ".join(children[:_MOST_NAMED])
    others = f" and {len(children) - 1} more" if len(children) > 1 else ""
    raise InUseError(
        f"{task_path(bank, name)}: combination {children[0]!r}{others} found that needs this task, "
        "expected none; nothing was removed",
        hint=f"remove those first: supsup tasks remove {named} --bank {shlex.quote(str(bank))}",
    )


def check_same_base(
    bank: Place, record: BankRecord, source: Place, source_record: BankRecord
) -> None:
    """Refuse to copy tasks between banks with different bases.

    Args:
        bank: the folder of the bank that would get the tasks.
        record: what its bank.json says.
        source: the folder of the bank that has the tasks.
        source_record: what its bank.json says.

    Raises:
        OtherBaseError: the bases differ.
    """
    theirs, ours = source_record.base_sha256, record.base_sha256
    if theirs != ours:
        raise OtherBaseError(
            f"{source}: base {theirs[:16]}… found, {bank} has {ours[:16]}…",
            hint="copy between banks made with the same options of supsup init-base",
        )


def renamed(record: BankRecord, task: Task, name: str) -> bytes:
    """Build the file of a task's copy under another name; the provenance is copied too.

    Args:
        record: of the bank.
        task: as read.
        name: the copy's.

    Raises:
        ValueError: a combination would get the name of one of its parents.
    """
    facts = dataclasses.replace(task.content, task=name)
    if task.coefficients:
        return build_combination(
            record, facts, task.coefficients, task.statistics, task.provenance, task.arrays
        )
    return build_task(record, facts, task.masks, task.statistics, task.provenance, task.arrays)
