"""Which of the index's rows hold: compared with a listing of the folders, no task is opened.

A row holds while its task's file has the size, time and inode that it had, or else the same last 32
bytes: so a bank that was copied, unpacked or checked out keeps its index. What the index says of
tasks that are gone, or of others of their names, is passed over.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.disk import files
from bank_format.disk.atomic import is_temporary
from bank_format.disk.stamps import Listing, Stamp, list_stamps, read_seal
from bank_format.disk.stores import Place, StorePath
from bank_format.errors import BankError, StorageError
from bank_format.index.list_part import parse_list
from bank_format.index.list_rows import ListRows, joined_lists, list_of
from bank_format.index.part_files import INDEX_LIMIT, part_of
from bank_format.index.rows import NO_FILE, ListRow, TaskFile, sample_size
from bank_format.names import is_task_name
from bank_format.store.layout import MASKS, SIGNATURES, SUFFIX

__all__ = ["Segment", "Survey", "at_rest", "read_index_file", "survey"]

Stamps = Mapping[str, Stamp | None]
_Read = TypeVar("_Read")
_TRIES = 3
_BEGUN = ".index-"  # begins the temporary name of a file of the index


@dataclass(frozen=True, slots=True)
class Segment:
    """One file of the index's lists.

    Attributes:
        file: its name in the bank's folder.
        rows: of all tasks that it tells of.
        holding: those of them that are still true, and that no segment before it tells of.
    """

    file: str
    rows: ListRows
    holding: ListRows


@dataclass(frozen=True, slots=True)
class Survey:
    """The tasks of a bank, as far as the index knows them.

    Attributes:
        stamps: task → stamp of its file, sorted by name; None where it is no regular file, or the
            bank lies in a store.
        later: task → stamp of a signature made later.
        rows: task → its row, where one holds.
        segments: the files that were read.
        faults: what is wrong with files of the index, which are done without.
        others: names of the index's other files.
        leftovers: names of what stopped writers of the index left, or one writes now.
    """

    stamps: Stamps
    later: Stamps
    rows: ListRows
    segments: Sequence[Segment] = ()
    faults: Mapping[str, BankError] = field(default_factory=dict)
    others: Sequence[str] = ()
    leftovers: Sequence[str] = ()

    @property
    def rest(self) -> list[str]:
        """The tasks that have no row, sorted: their files must be read."""
        if [*self.stamps] == self.rows.names:
            return []
        return [name for name in self.stamps if name not in self.rows]


def survey(bank: Bank, listed: Sequence[str] | None = None) -> Survey:
    """List a bank's tasks, and find what its index says of them.

    Args:
        bank: the bank.
        listed: names in its folder; None to list them.

    Raises:
        StorageError: the system refused to list a folder.
    """
    stamps, later = _task_stamps(bank.path / MASKS), _task_stamps(bank.path / SIGNATURES)
    listed = _listed_in(bank.path) if listed is None else listed
    names = [name for name in listed if part_of(name)]
    none = list_of((), sample_size(bank.record))
    segments: list[Segment] = []
    faults: dict[str, BankError] = {}
    check = _Check(bank.path, stamps, later)
    for name in names:
        if part_of(name) != "list":
            continue
        try:
            data = read_index_file(bank.path, name)
            found = none if data is None else parse_list(data, bank.record, str(bank.path / name))
        except BankError as error:
            faults[name] = error
            continue
        segments.append(Segment(name, found, check.holding(found)))
    rows = joined_lists([none, *(one.holding for one in segments)])
    others = [name for name in names if part_of(name) != "list"]
    leftovers = [name for name in listed if is_temporary(name) and name.startswith(_BEGUN)]
    return Survey(stamps, later, rows, segments, faults, others, leftovers)


def at_rest(bank: Bank, read: Callable[[Sequence[str]], _Read]) -> _Read:
    """Read files of the index by a listing of the bank's folder; see `survey`.

    A writer may merge files while they are read. Then those that are gone are missed, and all their
    tasks would be read in their place: better to list the folder and read again, up to three times.

    Raises:
        StorageError: the system refused to list a folder.
    """
    listed = _listed_in(bank.path)
    tries = 1 if isinstance(bank.path, StorePath) else _TRIES  # nobody writes to a store
    for left in reversed(range(tries)):
        found = read(listed)
        if not left:
            break
        before, listed = listed, _listed_in(bank.path)
        if {name for name in before if part_of(name)} <= {*listed}:
            break
    return found


def read_index_file(bank: Place, name: str) -> bytes | None:
    """Read a file of the index whole, unchecked; None where it is gone by now.

    Raises:
        DamagedError: no regular file, or a huge one.
        StorageError: the system refused.
    """
    try:
        return files.read_bytes(bank / name, INDEX_LIMIT)
    except (FileNotFoundError, NotADirectoryError):
        return None


class _Check:
    """Whether rows hold; a file's last bytes are read once, and only where stamps differ."""

    def __init__(self, bank: Place, stamps: Listing, later: Listing) -> None:
        self._bank = bank
        self._stamps = stamps
        self._later = later
        self._seals: dict[str, bytes] = {}
        self._held: set[str] = set()

    @cached_property
    def _later_places(self) -> NDArray[np.int64]:
        """Each task's place among the signatures made later: (T + 1,) int64, −1 for none."""
        if not len(self._later):
            return np.full(len(self._stamps) + 1, -1, np.int64)
        places = [self._later.places.get(name, -1) for name in self._stamps.names]
        return np.array([*places, -1], np.int64)

    def holding(self, rows: ListRows) -> ListRows:
        """Return the rows that hold, of tasks that no rows before them told of.

        Where all stamps are those of the listing, nothing is done row by row.
        """
        here = self._places(rows.names)
        later = self._later_places[here]
        same = (self._stamps.numbers[here] == rows.numbers["file"]).all(axis=1) & (here >= 0)
        by_later = (self._later.numbers[later] == rows.numbers["later"]).all(axis=1) & (later >= 0)
        # What was made later says nothing of a task whose own file has a signature.
        by_own = (later < 0) | (rows.numbers["features"] > 0)
        same &= np.where(rows.has_later, by_later, by_own)
        in_doubt = np.flatnonzero(~same & (here >= 0)).tolist()
        several = [rows.at(place) for place in in_doubt]
        self._expect(several)
        same[in_doubt] = [self.holds(one) for one in several]
        places = np.flatnonzero(same)
        if self._held:
            new = [rows.names[place] not in self._held for place in places.tolist()]
            places = places[np.array(new, np.bool_)]
        found = rows.take(places)
        self._held.update(found.names)
        return found

    def _places(self, names: Sequence[str]) -> NDArray[np.int64]:
        """Find tasks in the listing: (N,) int64, −1 for those that are gone."""
        if names == self._stamps.names:
            return np.arange(len(names))
        where = self._stamps.places
        return np.fromiter((where.get(name, -1) for name in names), np.int64, len(names))

    def _expect(self, rows: Sequence[ListRow]) -> None:
        """Read the last bytes of many objects together; a store has no stamps that would do."""
        if not isinstance(self._bank, StorePath):
            return
        wanted = [f"{MASKS}/{row.task}{SUFFIX}" for row in rows]
        later = [row for row in rows if row.later != NO_FILE and row.task in self._later]
        wanted += [f"{SIGNATURES}/{row.task}{SUFFIX}" for row in later]
        names = [name for name in wanted if name not in self._seals]
        with suppress(OSError):  # whoever reads them one by one says what is wrong
            self._seals.update(zip(names, self._bank.store.read_seals(names), strict=True))

    def holds(self, row: ListRow) -> bool:
        task = row.task
        if task not in self._stamps or not self._is(row.file, MASKS, task, self._stamps[task]):
            return False
        if row.later == NO_FILE:
            # What was made later says nothing of a task whose own file has a signature.
            return row.features > 0 or task not in self._later
        return task in self._later and self._is(row.later, SIGNATURES, task, self._later[task])

    def _is(self, file: TaskFile, folder: str, task: str, stamp: Stamp | None) -> bool:
        if stamp is not None and stamp == file.stamp:
            return True
        if stamp is not None and stamp.size != file.stamp.size:
            return False
        name = f"{folder}/{task}{SUFFIX}"
        if name not in self._seals:
            try:
                self._seals[name] = read_seal(self._bank / folder / f"{task}{SUFFIX}")
            except (FileNotFoundError, NotADirectoryError, StorageError):
                self._seals[name] = b""  # whoever reads the file says what is wrong with it
        return self._seals[name] == file.seal


def _task_stamps(folder: Place) -> Listing:
    try:
        return list_stamps(folder, SUFFIX, is_task_name)
    except FileNotFoundError:  # copies and version control lose an empty folder
        return Listing((), np.full((1, 3), -1, np.int64))
    except NotADirectoryError as error:
        raise files.storage_error("list", folder, error) from error


def _listed_in(bank: Place) -> list[str]:
    """List the names in a bank's folder; none where there is no folder.

    Raises:
        StorageError: the system refused.
    """
    try:
        return files.list_names(bank)
    except (FileNotFoundError, NotADirectoryError):
        return []
