"""All tasks of a bank as a decision needs them: from the index where it knows, else from files."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.errors import BankError, NewerFormatError, NoSuchTaskError
from bank_format.index.coarse import CoarseRows
from bank_format.index.coarse_files import CoarseIndex, read_coarse
from bank_format.index.hints import Hint, hint_of
from bank_format.index.rows import ListRow
from bank_format.index.survey import Survey, survey
from bank_format.index.task_rows import ReadTask, read_task_row
from bank_format.store.tasks import expect_tasks, many_objects

__all__ = ["KnownTasks", "know_tasks", "list_rows"]

_Kept = TypeVar("_Kept")


@dataclass(frozen=True)
class KnownTasks:
    """The tasks of a bank, sorted by name.

    Attributes:
        names: of all tasks, damaged ones too.
        rows: what lists show of each that could be read, or that the index knows.
        coarse: S coarse signatures; None where there are none.
        places: (T,) int64, each task's place among them; −1 without a signature.
        read: tasks that were read to know this; whoever takes them may take them away.
        failed: tasks that cannot be read, and why.
        hints: what damaged files seem to have as signatures; these have a place in `coarse`.
        faults: what is wrong with files of the index.
    """

    names: Sequence[str]
    rows: Mapping[str, ListRow]
    coarse: CoarseRows | None
    places: NDArray[np.int64]
    read: dict[str, ReadTask]
    failed: Mapping[str, BankError]
    hints: Mapping[str, Hint]
    faults: Mapping[str, BankError]


@many_objects()
def know_tasks(
    bank: Bank, features: int, *, indexed: bool = True, names: Sequence[str] | None = None
) -> KnownTasks:
    """Find out what there is to know of a bank's tasks.

    Args:
        bank: the bank.
        features: D of the network; 0 for one that has none.
        indexed: whether the index may be used; without it the same comes of the files.
        names: of the tasks; None for all that are there.

    Raises:
        StorageError: the system refused to list a folder.
    """
    found = survey(bank)
    if not indexed:
        found = Survey(found.stamps, found.later)
    if names is not None:
        found = replace(found, stamps={name: found.stamps.get(name) for name in names})
    parts, faults = read_coarse(bank, found.others, features) if features else ([], {})
    index = CoarseIndex(parts)
    rest = [name for name in found.stamps if not _is_known(found.rows.get(name), features, index)]
    read, failed = _read(bank, found, rest, lambda one: one)
    hints = {name: hint_of(bank, name) for name in failed}
    told = {name: hint for name, hint in hints.items() if hint is not None}
    rows = {**found.rows, **{name: one.row for name, one in read.items()}}
    every_name = [name for name in found.stamps if name in rows or name in failed]
    names = every_name if names is None else names
    seals = {name: row.signature_seal for name, row in rows.items() if row.features == features}
    seals |= {name: hint.coarse.seals[0] for name, hint in told.items()}
    made = [one.coarse for one in read.values()] + [hint.coarse for hint in told.values()]
    every = [*parts, *(one for one in made if one is not None and one.features == features)]
    index = CoarseIndex(every)
    signed = [name for name in names if features and seals.get(name, b"") in index]
    places = np.full(len(names), -1, np.int64)
    where = {name: place for place, name in enumerate(signed)}
    for place, name in enumerate(names):
        places[place] = where.get(name, -1)
    coarse = index.take([seals[name] for name in signed])
    unusable = {**found.faults, **faults}
    # What a later version wrote is done without; nothing is wrong with it.
    wrong = {n: one for n, one in unusable.items() if not isinstance(one, NewerFormatError)}
    return KnownTasks(names, rows, coarse, places, read, failed, told, wrong)


@many_objects()
def list_rows(bank: Bank) -> tuple[dict[str, ListRow], dict[str, BankError]]:
    """Return what lists show of each task, sorted by name, and which tasks cannot be read.

    Raises:
        BankError: not one can be read, or the system refused to list a folder.
    """
    found = survey(bank)
    read, failed = _read(bank, found, found.rest, lambda one: one.row)
    rows = {**found.rows, **read}
    if failed and not rows:
        raise next(iter(failed.values()))
    return {name: rows[name] for name in found.stamps if name in rows}, failed


def _is_known(row: ListRow | None, features: int, index: CoarseIndex) -> bool:
    return row is not None and (
        not features or row.features != features or row.signature_seal in index
    )


def _read(
    bank: Bank, found: Survey, names: Sequence[str], keep: Callable[[ReadTask], _Kept]
) -> tuple[dict[str, _Kept], dict[str, BankError]]:
    """Read tasks one after the other, and keep of each no more than is wanted."""
    read: dict[str, _Kept] = {}
    failed: dict[str, BankError] = {}
    expect_tasks(bank.path, names)
    for name in names:
        try:
            one = read_task_row(bank, name, found.stamps[name], found.later.get(name))
            read[name] = keep(one)
        except NoSuchTaskError:
            continue  # removed since the folder was listed
        except BankError as error:
            failed[name] = error
    return read, failed
