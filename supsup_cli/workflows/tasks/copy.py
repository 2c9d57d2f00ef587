"""`tasks copy`: copy tasks into a bank of the same base."""

import dataclasses
import shlex
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.errors import NameTakenError
from bank_format.index.writing import IndexKeeper, index_kept
from bank_format.kinds.mask import Task
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import ParentRecord, TaskContent, needed_version
from bank_format.store.lineage import check_same_base, needed_parents
from bank_format.store.signatures import copy_signature
from supsup_cli.errors import UsageError
from supsup_cli.workflows.results.tasks import CopiedTask, CopyResult

_Arrays = Mapping[str, NDArray[np.uint8]] | Mapping[str, NDArray[np.float32]] | Arrays


def copy_tasks(
    path: Path, names: Sequence[str], source_path: Place, *, as_name: str | None, dry_run: bool
) -> CopyResult:
    """Copy tasks of another bank, after reading and comparing all of them.

    A combination brings its parents along, under their own names, if they are missing here.

    Args:
        path: the bank's folder.
        names: tasks of the other bank.
        source_path: the other bank's folder; the same one makes a copy under a new name.
        as_name: new name for a single task; None keeps the name.
        dry_run: change nothing.

    Raises:
        UsageError: one new name for several tasks, or a parent's name for its child.
        OtherBaseError: the banks have different bases.
        NameTakenError: a name, or a parent's name, stands for another task here.
        LockedError: it is being learned.
        BankError: a bank or a task cannot be read, or there is no such task.
    """
    asked = list(dict.fromkeys(names))
    if as_name is not None and len(asked) != 1:
        raise UsageError(f"--as {as_name}: {len(asked)} tasks found, expected one")
    bank, source = Bank.open(path), Bank.open(source_path)
    check_same_base(path, bank.record, source_path, source.record)
    plans: dict[str, _Plan] = {}
    along: dict[str, _Plan] = {}
    there = set(bank.tasks())
    for name in asked:
        new = name if as_name is None else as_name
        bank.task_path(new)
        task = source.read_task(name)
        for parent in needed_parents(task):
            if parent.task == new:
                raise UsageError(
                    f"--as {new}: the name of a task that {name!r} combines found, expected another"
                )
            if parent.task in there:
                _check_parent(bank, parent, task, source)
            elif parent.task not in asked:
                along[parent.task] = _Plan(parent.task, source.read_task(parent.task), None)
        plans[new] = _Plan(
            new, task, _copied_before(bank, new, task, source) if new in there else None
        )
    plans |= along
    copied = {}
    keeping = nullcontext(IndexKeeper(bank)) if dry_run else index_kept(bank)
    with keeping as index:
        for plan in sorted(plans.values(), key=lambda plan: bool(needed_parents(plan.task))):
            copied[plan.name] = _carried_out(plan, bank, source, dry_run=dry_run)
            index.added(copied[plan.name].status == "copied")
    if not dry_run:
        bank.settle()
    return CopyResult(tuple(copied[name] for name in plans), str(source_path), dry_run)


@dataclass(frozen=True)
class _Plan:
    """A task to copy under a name, and the equal task that already has the name, if any."""

    name: str
    task: Task
    there: Task | None


def _describe(plan: _Plan, status: str, ours: Task | None) -> CopiedTask:
    task = plan.task
    same_name = plan.name == task.content.task
    return CopiedTask(
        task=plan.name,
        status=status,
        source_task=task.content.task,
        bytes=(ours or task).bytes_on_disk,
        content_sha256=ours.content_sha256 if ours else task.content_sha256 if same_name else None,
        source_sha256=task.content_sha256,
    )


def _carried_out(plan: _Plan, bank: Bank, source: Bank, *, dry_run: bool) -> CopiedTask:
    status, ours = ("exists" if plan.there else "would-copy"), plan.there
    if ours is None and not dry_run:
        status, ours = _copy(bank, plan.name, plan.task, source)
    if ours is not None and not dry_run:  # an old one, left by a killed command
        copy_signature(source.path, plan.task, bank.folder, bank.record, ours)
    return _describe(plan, status, ours)


def _copy(bank: Bank, new: str, task: Task, source: Bank) -> tuple[str, Task]:
    with bank.work.claim(new):
        try:
            return "copied", bank.copy_task(task.content.task, source, new)
        except NameTakenError:  # another command was faster
            return "exists", _copied_before(bank, new, task, source)


def _check_parent(bank: Bank, parent: ParentRecord, child: Task, source: Bank) -> None:
    """Refuse a combination if a parent's name stands for another task here.

    The coding of the bits is part of what a combination names.
    """
    found = bank.read_task(parent.task).content_sha256
    if found != parent.content_sha256:
        raise NameTakenError(
            f"{bank.task_path(parent.task)}: content {found[:16]}… found, task "
            f"{child.content.task!r} of {source.path} combines {parent.content_sha256[:16]}…; "
            "it is unchanged",
            hint="copy into another bank of the same base",
        )


def _copied_before(bank: Bank, name: str, theirs: Task, source: Bank) -> Task:
    """Read the task that has a name here, if it equals the other bank's except for the name."""
    ours = bank.read_task(name)
    # The coding of the bits does not matter.
    content = dataclasses.replace(theirs.content, task=name)
    if isinstance(content, TaskContent) and isinstance(ours.content, TaskContent):
        encoding = ours.content.encoding
        version = needed_version(encoding, content.arrays)
        content = dataclasses.replace(content, encoding=encoding, version=version)
    if (
        content != ours.content
        or not _equal_arrays(ours.coefficients, theirs.coefficients)
        or not _equal_arrays(ours.masks, theirs.masks)
        or not _equal_arrays(ours.statistics, theirs.statistics)
        or not _equal_arrays(ours.arrays, theirs.arrays)
    ):
        raise NameTakenError(
            f"{bank.task_path(name)}: content {ours.content_sha256[:16]}… found, task "
            f"{theirs.content.task!r} of {source.path} has {theirs.content_sha256[:16]}…; "
            "it is unchanged",
            hint=f"supsup tasks copy {theirs.content.task} --from {shlex.quote(str(source.path))} "
            f"--as NEW-NAME --bank {shlex.quote(str(bank.path))}",
        )
    return ours


def _equal_arrays(ones: _Arrays, others: _Arrays) -> bool:
    return ones.keys() == others.keys() and all(
        ones[name].tobytes() == others[name].tobytes() for name in ones
    )
