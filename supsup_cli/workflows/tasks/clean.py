"""`tasks clean`: remove what stopped learners and killed commands left, and nothing else."""

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from bank_format.bank import Bank
from bank_format.disk import files
from bank_format.errors import BankError, LockedError, NoSuchTaskError
from bank_format.names import few_of
from bank_format.store.layout import WORK
from bank_format.store.leftovers import Leftover, find_leftovers, remove_leftover
from bank_format.store.signatures import list_signatures, read_signature, signature_path
from supsup_cli.workflows.results.tasks import CleanedFile, CleanedTask, CleanResult


def clean(
    path: Path, names: Sequence[str], *, dry_run: bool, confirm: Callable[[str], None]
) -> CleanResult:
    """Remove unfinished work that no learner holds, and files that no command needs.

    Such files are temporary files of killed commands, and signatures of removed tasks.

    Args:
        path: the bank's folder.
        names: tasks to clean up after; none means all tasks, and temporary files too.
        dry_run: change nothing.
        confirm: called before anything is removed; raises to refuse.

    Raises:
        BankError: no bank, an impossible name, or the system refused.
        LockedError: a live process is learning one of the named tasks.
    """
    bank = Bank.open(path)
    asked = list(dict.fromkeys(names))
    for name in asked:
        bank.work.check_claimable(name)
    work = asked or bank.work.unfinished()
    sizes = {name: _size(path / WORK / name) for name in work}
    leftovers = [] if asked else [*find_leftovers(path), *_stale_signatures(bank)]
    there = [name for name in work if files.exists(path / WORK / name)]
    count = len(there) + sum(one.abandoned for one in leftovers)
    if count and not dry_run:
        confirm(f"remove {_named(there, count - len(there))} from {path}")
    tasks = [
        CleanedTask(name, _discard(bank, name, dry_run) if name in there else "none", sizes[name])
        for name in work
    ]
    cleaned = [CleanedFile(one.file, _remove(one, dry_run)) for one in leftovers]
    return CleanResult(tuple(tasks), tuple(cleaned), dry_run)


def _stale_signatures(bank: Bank) -> list[Leftover]:
    """List the signatures of removed tasks; those of unreadable tasks may stay."""
    stale = []
    for name in list_signatures(bank.path):
        with suppress(BankError):
            stored = read_signature(bank.path, bank.record, name)
            try:
                digest = bank.read_task(name).content_sha256
            except NoSuchTaskError:
                digest = ""
            if stored is not None and stored.content.task_sha256 != digest:
                path = signature_path(bank.folder, name)
                stale.append(Leftover(path, str(path.relative_to(bank.folder)), True))
    return stale


def _discard(bank: Bank, name: str, dry_run: bool) -> str:
    if dry_run:
        return "would-remove"
    try:
        bank.work.discard(name)
    except NoSuchTaskError:  # another command was faster
        return "none"
    except LockedError:  # a learner continued with it meanwhile
        return "held"
    return "kept" if files.exists(bank.folder / WORK / name) else "removed"


def _remove(leftover: Leftover, dry_run: bool) -> str:
    if not leftover.abandoned:
        return "kept"
    if dry_run:
        return "would-remove"
    remove_leftover(leftover)
    return "removed"


def _size(folder: Path) -> int:
    try:
        return sum(one.lstat().st_size for one in folder.iterdir())
    except OSError:  # gone, or not a folder: removing it reports that
        return 0


def _named(tasks: Sequence[str], temporaries: int) -> str:
    parts = []
    if tasks:
        parts.append(f"unfinished work of {few_of(tasks)}")
    if temporaries:
        parts.append(f"{temporaries} files that nothing needs")
    return " and ".join(parts)
