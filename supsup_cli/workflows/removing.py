"""`tasks remove`: take tasks away, unless another task is built on them."""

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bank_format.bank import Bank
from bank_format.errors import BankError, NoSuchTaskError
from bank_format.task_folder import no_such_task
from bank_format.task_records import ParentRecord
from supsup_cli.errors import InUseError
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.tasks import RemovedTask, RemoveResult

_MOST_NAMED = 5


def remove_tasks(
    path: Path,
    names: Sequence[str],
    *,
    missing_ok: bool,
    dry_run: bool,
    confirm: Callable[[str], None],
    reporter: Reporter,
) -> RemoveResult:
    """Remove tasks; all is checked before the first is gone, and children go before parents.

    Args:
        path: the bank's folder.
        names: the tasks.
        missing_ok: a task that is not there counts as done.
        dry_run: change nothing.
        confirm: asked before the first is removed; raises to refuse.
        reporter: hears of tasks that cannot be read.

    Raises:
        BankError: no bank, a name that no task can have, no such task, or the system refused.
        InUseError: another task names one of these as its parent.
    """
    bank = Bank.open(path)
    asked = list(dict.fromkeys(names))
    for name in asked:
        bank.task_path(name)
    there = bank.tasks()
    present = [name for name in asked if name in there]
    if not missing_ok and len(present) < len(asked):
        raise no_such_task(path, next(name for name in asked if name not in there))
    lineage = _read_lineage(bank, there, reporter) if present else {}
    for name in present:
        _refuse_parent(bank, name, present, lineage)
    done = {name: "missing" if name not in there else "would-remove" for name in asked}
    if present and not dry_run:
        confirm(f"remove {_named(present)} from {path}")
        for name in _children_first(present, lineage):
            try:
                bank.remove_task(name)
                done[name] = "removed"
            except NoSuchTaskError:  # another command was faster
                if not missing_ok:
                    raise
                done[name] = "missing"
    if not dry_run:
        bank.settle()
    return RemoveResult(tuple(RemovedTask(*one) for one in done.items()), dry_run)


@dataclass(frozen=True)
class _Lineage:
    """What a task is, and what it is built on."""

    digest: str
    parents: tuple[ParentRecord, ...]


def _read_lineage(bank: Bank, names: Sequence[str], reporter: Reporter) -> dict[str, _Lineage]:
    lineage = {}
    for name in names:
        try:
            task = bank.read_task(name)
        except BankError as error:
            reporter.note(f"{error.message}; what it is built on is unknown")
        else:
            lineage[name] = _Lineage(task.content_sha256, task.content.parents)
    return lineage


def _refuse_parent(
    bank: Bank, name: str, removed: Sequence[str], lineage: Mapping[str, _Lineage]
) -> None:
    def is_parent(one: ParentRecord) -> bool:
        # What a damaged task was is known by its name alone.
        known = lineage.get(name)
        return one.content_sha256 == known.digest if known else one.task == name

    children = [
        child
        for child, its in lineage.items()
        if child not in removed and any(map(is_parent, its.parents))
    ]
    if children:
        raise InUseError(
            f"task {name!r}: {_named(children)} found built on it, expected none; "
            "nothing was removed",
            hint=f"supsup tasks show {' '.join(children[:_MOST_NAMED])} "
            f"--bank {shlex.quote(str(bank.path))}",
        )


def _children_first(names: Sequence[str], lineage: Mapping[str, _Lineage]) -> list[str]:
    """Order tasks so that a command killed on the way leaves no child without its parent."""
    ordered: list[str] = []
    left = list(names)
    while left:
        needed = {
            one.task
            for child in left
            if child in lineage
            for one in lineage[child].parents
            if one.task != child
        }
        free = [name for name in left if name not in needed] or left
        ordered += free
        left = [name for name in left if name not in free]
    return ordered


def _named(names: Sequence[str]) -> str:
    shown = ", ".join(repr(name) for name in names[:_MOST_NAMED])
    more = len(names) - _MOST_NAMED
    tasks = "task" if len(names) == 1 else f"{len(names)} tasks"
    return f"{tasks} {shown}{f' and {more} more' if more > 0 else ''}"
