"""Bring the index up to date: write rows for tasks that have none, in files written once.

A file is merged into a new one as soon as there are as many new rows as it holds, or half as many
if most of its stamps are old, as in a copy. So each row is written about log₂ T / 2 times, whether
tasks come one at a time or many at once, and there are never many files. The index is a cache: if
another process holds its lock, or the disk is full, it is left as it is. Files of a later version
are neither replaced nor removed.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.disk import files
from bank_format.disk.locks import lock
from bank_format.encoding.sealed import read_sealed
from bank_format.errors import (
    BankError,
    DamagedError,
    LockedError,
    NewerFormatError,
    OtherBaseError,
    StorageError,
)
from bank_format.index.coarse import CoarseRows
from bank_format.index.coarse_files import CoarseIndex, read_coarse
from bank_format.index.list_part import build_list
from bank_format.index.list_rows import ListRows, joined_lists, list_of
from bank_format.index.part_files import list_file, signatures_beside
from bank_format.index.rows import ListRow, sample_size
from bank_format.index.signature_part import build_signatures
from bank_format.index.survey import Segment, Survey, read_index_file, survey
from bank_format.index.task_rows import read_task_row, undamaged
from bank_format.kinds.base import check_kind
from bank_format.store.layout import INDEX_LOCK, WORK

__all__ = ["IndexKeeper", "index_kept", "update_index"]

# A command that goes on writes the index after so many new tasks, or after this share of all.
_MANY, _SHARE = 64, 0.1

# A file is merged once there are s new rows for each of its own: s = 1, or ½ if its stamps are old.
# This keeps what is written below 20 times the final size, even if all stamps change before every
# task. Let V(m) be the most rows written before a file of m rows is, for these m tasks. The last
# file that is merged into it has L ≤ x m rows, where x = 1 / (1 + s), so
#     V(m) ≤ V(m − L) + V(L) + L.
# Let H(x) = −x log₂ x − (1 − x) log₂(1 − x) and c = x / H(x), which grows with x. Then
# L ≤ c m H(L / m), and by induction V(m) ≤ c m log₂ m: T tasks cost at most T (1 + c log₂ T) rows.
# With s = 1, c is 0.5. With s = ½, c is 0.73: 15.5 T rows for a million tasks, 20 T for 75 million.
# With s = ¼, c would be 1.11, and 150,000 tasks would cost 20 T.
_ENOUGH, _ENOUGH_FOR_AGED = 1.0, 0.5


def update_index(bank: Bank, *, refresh: bool = False) -> int:
    """Write rows for all tasks that have none, and remove files with mostly outdated rows.

    If another process is writing the index, the disk refuses, or a file of a later version has the
    name that the new one would get, nothing is written: no answer depends on the index.

    Args:
        bank: the bank.
        refresh: whether files with old stamps, as in a copy, are merged in any case.

    Returns:
        number of rows written.
    """
    with suppress(LockedError, StorageError):
        if _is_current(survey(bank), refresh=refresh):
            return 0
        with lock(bank.folder / WORK / INDEX_LOCK / "lock"):
            return _update(bank, refresh=refresh)
    return 0


@dataclass
class IndexKeeper:
    """Keeps the index up to date while a command adds tasks.

    Attributes:
        bank: the bank.
        waiting: tasks that were added since the index was written.
        enough: of them for it to be written again.
    """

    bank: Bank
    waiting: int = 0
    enough: int = field(init=False)

    def __post_init__(self) -> None:
        self._wait()

    def added(self, count: int = 1) -> None:
        """Count tasks that were added; write the index once there are many."""
        self.waiting += count
        if self.waiting >= self.enough:
            update_index(self.bank)
            self._wait()

    def _wait(self) -> None:
        self.waiting, self.enough = 0, max(_MANY, int(_SHARE * len(self.bank.tasks())))


@contextmanager
def index_kept(bank: Bank) -> Iterator[IndexKeeper]:
    """Keep the index up to date while a command changes the bank, and however it ends.

    Yields:
        what counts tasks that were added, for commands that add many.
    """
    keeper = IndexKeeper(bank)
    try:
        yield keeper
    finally:
        update_index(bank)


def _is_current(found: Survey, *, refresh: bool) -> bool:
    beside = {signatures_beside(one.file) for one in found.segments}
    return (
        not found.rest
        and not found.faults
        and not found.leftovers
        and {*found.others} <= beside
        and not any(_is_worn(one, found) for one in found.segments)
        and not (refresh and any(_is_aged(one, _stamped(one, found)) for one in found.segments))
    )


def _is_worn(segment: Segment, found: Survey) -> bool:
    """Return whether a file is of little use: most tasks or all signatures are gone."""
    beside = signatures_beside(segment.file) in found.others
    lost = not beside and bool(segment.holding.numbers["features"].any())
    return lost or 2 * len(segment.holding) < len(segment.rows)


def _is_aged(segment: Segment, stamped: ListRows) -> bool:
    """Return whether most stamps differ, as in a copy: such a file is merged earlier."""
    aged = (segment.holding.numbers["file"] != stamped.numbers["file"]).any(axis=1)
    return 2 * int(aged.sum()) > len(stamped)


def _update(bank: Bank, *, refresh: bool) -> int:
    found = survey(bank)
    fresh = list(_made(bank, found, found.rest))
    parts = [list_of([row for row, _ in fresh], sample_size(bank.record))]
    absorbed: list[Segment] = []
    for one in sorted(found.segments, key=lambda one: len(one.holding)):
        new = sum(map(len, parts))
        stamped, enough = _stamped(one, found), _ENOUGH
        if _is_aged(one, stamped):
            enough = 0 if refresh else _ENOUGH_FOR_AGED
        if _is_worn(one, found) or new >= enough * len(one.holding):
            parts.append(stamped)
            absorbed.append(one)
    rows, name, merged = joined_lists(parts), "", [one.file for one in absorbed]
    if len(rows):
        name = list_file(map(bytes, rows.digests["file"]))
        if _may_be_newer(bank, name) or _may_be_newer(bank, signatures_beside(name)):
            _tidy(bank, found, (), "")
            return 0
        made = [coarse for _, coarse in fresh if coarse is not None]
        merged = _write(bank, name, found, rows, made, absorbed)
    _tidy(bank, found, merged, name)
    return len(rows)


def _made(
    bank: Bank, found: Survey, names: Iterable[str]
) -> Iterator[tuple[ListRow, CoarseRows | None]]:
    """Make rows from task files; a file that cannot be read gets none, and `verify` reports it."""
    for name in names:
        with suppress(BankError):
            made = undamaged(read_task_row(bank, name, found.stamps[name], found.later.get(name)))
            yield made.row, made.coarse


def _may_be_newer(bank: Bank, name: str) -> bool:
    """Return whether a file of the index is of a later version, or cannot be read to find out."""
    try:
        with suppress(DamagedError):
            data = read_index_file(bank.path, name)
            if data is not None:
                check_kind(read_sealed(data, name, views=True).metadata, "index", name)
    except (NewerFormatError, StorageError):
        return True
    return False


def _write(
    bank: Bank,
    name: str,
    found: Survey,
    rows: ListRows,
    made: Sequence[CoarseRows],
    absorbed: Sequence[Segment],
) -> list[str]:
    """Write a list of a name, and its signatures, and return the names of all files merged."""
    features = _most_common(rows.numbers["features"])
    beside = [signatures_beside(one.file) for one in absorbed]
    beside = [one for one in beside if one in found.others]
    kept, faults = read_coarse(bank, beside, features)
    parts = [*kept, *(one for one in made if one.features == features)]
    index = CoarseIndex(parts)
    wanted = np.flatnonzero((features > 0) & (rows.numbers["features"] == features))
    seals = rows.signature_seals[wanted]
    lost = [rows.names[place] for place in wanted[index.find(seals) < 0].tolist()]
    if lost:  # with its file
        again = [coarse for _, coarse in _made(bank, found, lost)]
        index = CoarseIndex([*parts, *(one for one in again if one and one.features == features)])
    places = index.find(seals)
    coarse = index.take(places[places >= 0])
    if coarse is not None:
        data = build_signatures(bank.record, coarse)
        files.replace(bank.folder / signatures_beside(name), data)
    files.replace(bank.folder / name, build_list(bank.record, rows))
    return [*(one.file for one in absorbed), *(one for one in beside if one not in faults)]


def _tidy(bank: Bank, found: Survey, merged: Sequence[str], written: str) -> None:
    """Remove merged and damaged files, and leftovers; files of a later version stay."""
    damaged = [
        name
        for name, error in found.faults.items()
        if isinstance(error, DamagedError | OtherBaseError)
    ]
    lists = {one.file for one in found.segments} | {*found.faults}
    kept = {*lists.difference(merged, damaged), written}
    beside = {signatures_beside(name) for name in kept}
    # Only the owner of the lock writes here: uncommitted files belong to writers that stopped.
    known = {*merged, *damaged}
    others = {*found.others} - known - kept - beside
    useless = known - kept - beside | {one for one in others if not _may_be_newer(bank, one)}
    for name in useless | {*found.leftovers}:
        with suppress(FileNotFoundError, NotADirectoryError):
            files.unlink(bank.folder / name)


def _stamped(segment: Segment, found: Survey) -> ListRows:
    """Return a segment's rows that hold, with the stamps that their files have now."""
    rows = segment.holding
    numbers = rows.numbers.copy()
    for place, (task, later) in enumerate(zip(rows.names, rows.has_later.tolist(), strict=True)):
        numbers["file"][place] = found.stamps[task] or numbers["file"][place]
        if later:
            numbers["later"][place] = found.later.get(task) or numbers["later"][place]
    return replace(rows, numbers=numbers)


def _most_common(features: NDArray[np.int64]) -> int:
    """Choose the D that most signatures have, the greater one if equal; 0 where there are none."""
    found, counts = np.unique(features[features > 0], return_counts=True)
    return int(found[counts == counts.max()].max()) if len(found) else 0
