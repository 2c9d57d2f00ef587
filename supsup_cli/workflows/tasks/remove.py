"""`tasks remove`: remove tasks, unless another task needs them."""

from collections.abc import Callable, Sequence
from pathlib import Path

from bank_format.bank import Bank
from bank_format.errors import BankError, NoSuchTaskError
from bank_format.index.writing import index_kept
from bank_format.kinds.task_records import ParentRecord
from bank_format.names import few_of
from bank_format.store.lineage import children_of, named_parents, refuse_parent
from bank_format.store.signatures import remove_signature
from bank_format.store.tasks import no_such_task, read_task_file
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.tasks import RemovedTask, RemoveResult


def remove_tasks(
    path: Path,
    names: Sequence[str],
    *,
    missing_ok: bool,
    dry_run: bool,
    confirm: Callable[[str], None],
    reporter: Reporter,
) -> RemoveResult:
    """Remove tasks; everything is checked first, and children are removed before parents.

    Children are combinations, which cannot be read without their parents. A mask that only started
    from other masks needs none of them.

    Args:
        path: the bank's folder.
        names: the tasks.
        missing_ok: do not fail if a task is missing.
        dry_run: change nothing.
        confirm: called before the first is removed; raises to refuse.
        reporter: gets a note for each unreadable task.

    Raises:
        BankError: no bank, an impossible name, no such task, or the system refused.
        InUseError: a combination is made of one of these.
    """
    bank = Bank.open(path)
    asked = list(dict.fromkeys(names))
    for name in asked:
        bank.task_path(name)
    there = bank.tasks()
    present = [name for name in asked if name in there]
    if not missing_ok and len(present) < len(asked):
        raise no_such_task(path, next(name for name in asked if name not in there))
    parents = _read_parents(bank, there, reporter) if present else {}
    for name, children in children_of(path, bank.record, present).items():
        refuse_parent(path, name, children)
    done = {name: "missing" if name not in there else "would-remove" for name in asked}
    if dry_run:
        return RemoveResult(tuple(RemovedTask(*one) for one in done.items()), dry_run)
    if present:
        confirm(f"remove {_named(present)} from {path}")
    masks = [name for name in present if parents.get(name) == ()]
    children = [name for name in present if parents.get(name)]
    unknown = [name for name in present if name not in parents]
    with index_kept(bank):
        for name in (*children, *unknown, *masks):
            try:
                bank.remove_task(name)
                done[name] = "removed"
            except NoSuchTaskError:  # another command was faster
                if not missing_ok:
                    raise
                done[name] = "missing"
        for name in set(asked) - set(bank.tasks()):  # left by a killed command
            remove_signature(path, name)
        bank.settle()
    return RemoveResult(tuple(RemovedTask(*one) for one in done.items()), dry_run)


def _read_parents(
    bank: Bank, names: Sequence[str], reporter: Reporter
) -> dict[str, tuple[ParentRecord, ...]]:
    """Map each task to those it cannot be read without: a combination needs its parents."""
    parents = {}
    for name in names:
        try:
            data = read_task_file(bank.path, bank.record, name)
            parents[name] = named_parents(data, str(bank.task_path(name)))
        except BankError as error:
            reporter.note(f"{error.message}; what it is built on is unknown")
    return parents


def _named(names: Sequence[str]) -> str:
    tasks = "task" if len(names) == 1 else f"{len(names)} tasks"
    return f"{tasks} {few_of(names)}"
