"""All tasks of a bank as a decision needs them: from the index where it knows, else from files."""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.disk.stores import StorePath
from bank_format.encoding.sealed import SEAL_SIZE
from bank_format.errors import BankError, NewerFormatError, NoSuchTaskError
from bank_format.index.coarse import CoarseRows
from bank_format.index.coarse_files import CoarseIndex, read_coarse
from bank_format.index.hints import Hint, hint_of
from bank_format.index.list_rows import ListRows, joined_lists, list_of
from bank_format.index.rows import ListRow, sample_size
from bank_format.index.survey import Survey, at_rest, survey
from bank_format.index.task_rows import ReadTask, read_task_row, undamaged
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
    rows: ListRows
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
    found, parts, faults = _indexed(bank, features) if indexed else (_unindexed(bank), [], {})
    if names is not None:
        found = replace(found, stamps={name: found.stamps.get(name) for name in names})
    index = CoarseIndex(parts)
    rest = [*found.rest, *_lost(found, features, index)]
    read, failed = _read(bank, found, rest, undamaged)
    hints = {name: hint_of(bank, name) for name in failed}
    told = {name: hint for name, hint in hints.items() if hint is not None}
    rows = _with(bank, found.rows, {name: one.row for name, one in read.items()}, failed)
    if names is None:
        names = rows.names
        if failed:
            names = [name for name in found.stamps if name in rows or name in failed]
    made = [one.coarse for one in read.values()] + [hint.coarse for hint in told.values()]
    more = [one for one in made if one is not None and one.features == features]
    index = CoarseIndex([*parts, *more]) if more else index
    places, coarse = _placed(names, rows, told, features, index)
    unusable = {**found.faults, **faults}
    # What a later version wrote is done without; nothing is wrong with it.
    wrong = {n: one for n, one in unusable.items() if not isinstance(one, NewerFormatError)}
    return KnownTasks(names, rows, coarse, places, read, failed, told, wrong)


@many_objects()
def list_rows(bank: Bank) -> tuple[ListRows, dict[str, BankError]]:
    """Return what lists show of each task, sorted by name, and which tasks cannot be read.

    Raises:
        BankError: not one can be read, or the system refused to list a folder.
    """
    found = at_rest(bank, lambda listed: survey(bank, listed))
    read, failed = _read(bank, found, found.rest, lambda one: one.row)
    rows = _with(bank, found.rows, read, failed)
    if failed and not len(rows):
        raise next(iter(failed.values()))
    return rows, failed


def _indexed(bank: Bank, features: int) -> tuple[Survey, list[CoarseRows], dict[str, BankError]]:
    """Read the index's lists, and its coarse signatures if D, `features`, is not 0.

    Another thread reads and checks the signatures meanwhile, because they are most of the bytes.
    """

    def read(listed: Sequence[str]) -> tuple[Survey, list[CoarseRows], dict[str, BankError]]:
        if not features:
            return survey(bank, listed), [], {}
        if isinstance(bank.path, StorePath):
            return survey(bank, listed), *read_coarse(bank, listed, features)
        with ThreadPoolExecutor(1) as pool:
            reading = pool.submit(read_coarse, bank, listed, features)
            return survey(bank, listed), *reading.result()

    return at_rest(bank, read)


def _unindexed(bank: Bank) -> Survey:
    found = survey(bank)
    return Survey(found.stamps, found.later, list_of((), sample_size(bank.record)))


def _lost(found: Survey, features: int, index: CoarseIndex) -> list[str]:
    """List the tasks whose rows promise a signature that the index's files do not hold."""
    rows = found.rows
    signed = np.flatnonzero((rows.numbers["features"] == features) & (features > 0))
    missing = signed[index.find(rows.signature_seals[signed]) < 0]
    lost = [rows.names[place] for place in missing.tolist()]
    return [name for name in lost if name in found.stamps]


def _with(
    bank: Bank, rows: ListRows, read: Mapping[str, ListRow], failed: Collection[str]
) -> ListRows:
    """Put the rows of tasks that were read in the place of what the index has of them."""
    if not read and not failed:
        return rows
    kept = [p for p, name in enumerate(rows.names) if name not in read and name not in failed]
    more = list_of([*read.values()], sample_size(bank.record))
    return joined_lists([rows.take(np.array(kept, np.int64)), more])


def _placed(
    names: Sequence[str],
    rows: ListRows,
    hints: Mapping[str, Hint],
    features: int,
    index: CoarseIndex,
) -> tuple[NDArray[np.int64], CoarseRows | None]:
    """Find the coarse signatures of tasks: (T,) int64 places, −1 for none, and what is there."""
    if names is rows.names:
        here = np.arange(len(names))
    else:
        here = np.array([rows.places.get(name, -1) for name in names], np.int64)
    wanted = here >= 0
    wanted[wanted] = (rows.numbers["features"][here[wanted]] == features) & (features > 0)
    seals = np.zeros((len(names), SEAL_SIZE), np.uint8)
    seals[wanted] = rows.signature_seals[here[wanted]]
    if hints and features:
        for place, name in enumerate(names):
            if name in hints:
                seals[place], wanted[place] = hints[name].coarse.seals[0], True
    found = np.full(len(names), -1, np.int64)
    found[wanted] = index.find(seals[wanted])
    signed = np.flatnonzero(found >= 0)
    places = np.full(len(names), -1, np.int64)
    places[signed] = np.arange(len(signed))
    return places, index.take(found[signed])


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
