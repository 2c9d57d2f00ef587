"""Compare the index with the task files: each row must agree with its file."""

from functools import cached_property

from bank_format.bank import Bank
from bank_format.disk.stores import Place
from bank_format.errors import DamagedError
from bank_format.index.coarse import CoarseRows
from bank_format.index.list_part import parse_list
from bank_format.index.list_rows import ListRows
from bank_format.index.part_files import part_of
from bank_format.index.signature_part import parse_signatures
from bank_format.index.survey import read_index_file, survey
from bank_format.index.task_rows import ReadTask, read_task_row
from bank_format.kinds.bank_json import BankRecord

__all__ = ["IndexCheck"]


class IndexCheck:
    """What the index's files say, to compare with the tasks one after the other.

    Rows of files that are gone or have changed are no damage: nothing uses them.

    Attributes:
        lies: file of the index → the first wrong statement in it.
    """

    def __init__(self, path: Place, record: BankRecord) -> None:
        self._bank = Bank(path, record)
        self._listed = False
        self._coarse: list[tuple[str, CoarseRows, dict[bytes, int]]] = []
        self.lies: dict[str, DamagedError] = {}

    def read(self, name: str) -> None:
        """Read a file of the index.

        Raises:
            DamagedError, NewerFormatError, OtherBaseError: of the file.
            StorageError: the system refused.
        """
        data = read_index_file(self._bank.path, name)
        if data is None:
            return
        told = str(self._bank.path / name)
        if part_of(name) == "list":
            parse_list(data, self._bank.record, told)
            self._listed = True
        else:
            coarse = parse_signatures(data, self._bank.record, told)
            places = {seal: place for place, seal in enumerate(map(bytes, coarse.seals))}
            self._coarse.append((name, coarse, places))

    def read_task(self, name: str) -> str:
        """Read a task, checked in full, compare the index with it, and return its digest.

        Raises:
            BankError: as `Bank.read_task`.
        """
        if not self._listed and not self._coarse:
            return self._bank.read_task(name).content_sha256
        found = read_task_row(self._bank, name, None, None)
        self._compare(found)
        return found.task.content_sha256

    @cached_property
    def _holding(self) -> list[tuple[str, ListRows]]:
        """The rows that decisions and lists believe, of each file."""
        return [(one.file, one.holding) for one in survey(self._bank).segments]

    def _compare(self, found: ReadTask) -> None:
        true, coarse = found.row, found.coarse
        for file, rows in self._holding:
            row = rows.get(true.task)
            # A row from before a signature was made is only old.
            if row is None or row.later.seal != true.later.seal:
                continue
            told = row._replace(file=true.file, later=true.later)
            if told != true or row.file.seal != true.file.seal:
                self._tell(file, true.task)
        for file, several, places in self._coarse:
            place = places.get(true.signature_seal)
            if place is not None and (coarse is None or not several.same(place, coarse)):
                self._tell(file, true.task)

    def _tell(self, file: str, task: str) -> None:
        path = self._bank.path / file
        lie = f"{path}: a row of task {task!r} found that is not what its file says"
        self.lies.setdefault(file, DamagedError(lie, invariant="I13"))
