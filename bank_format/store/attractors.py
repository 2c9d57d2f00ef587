"""The attractors of a bank: their file, how it differs from the bank's tasks, and their order."""

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from bank_format.disk import files
from bank_format.disk.stores import Place
from bank_format.errors import DamagedError
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.hopfield import (
    Attractors,
    HopfieldContent,
    PatternRecord,
    build_hopfield,
    check_hopfield,
    hopfield_limit,
    parse_hopfield,
)
from bank_format.kinds.mask import Task
from bank_format.names import few_of
from bank_format.store.layout import HOPFIELD_FILE
from bank_format.store.tasks import settle_tasks

__all__ = [
    "Stale",
    "check_attractors",
    "compare",
    "encode_command",
    "in_order",
    "read_attractors",
    "write_attractors",
]


@dataclass(frozen=True, slots=True)
class Stale:
    """How the attractors differ from the bank's tasks.

    Args:
        missing: tasks of the bank that are not stored, or are stored with other content.
        gone: stored tasks that the bank no longer has, or has with other content.
    """

    missing: tuple[str, ...]
    gone: tuple[str, ...]

    @property
    def told(self) -> str:
        """The difference, in words that follow the file's name."""
        return " and ".join(
            f"{verb} {_named(names)}{end}"
            for verb, names, end in (
                ("lacks", self.missing, ""),
                ("still holds", self.gone, ", gone or changed since"),
            )
            if names
        )


def read_attractors(bank: Place, record: BankRecord) -> tuple[Attractors, int] | None:
    """Read a bank's attractors, checked in full; None if there are none.

    Returns:
        The attractors, and the size of their file, bytes.

    Raises:
        DamagedError, NewerFormatError, OtherBaseError: of the file.
        StorageError: the system refused.
    """
    data = _read(bank, record)
    if data is None:
        return None
    try:
        return parse_hopfield(data, record, str(bank / HOPFIELD_FILE)), len(data)
    except DamagedError as error:
        again = encode_command(bank)
        raise DamagedError(error.message, hint=again, invariant=error.invariant) from error


def check_attractors(bank: Place, record: BankRecord) -> HopfieldContent | None:
    """Check a bank's attractors in full and return what their file says; None if there is none.

    Raises:
        BankError: as `read_attractors`.
    """
    data = _read(bank, record)
    return None if data is None else check_hopfield(data, record, str(bank / HOPFIELD_FILE))


def write_attractors(bank: Path, record: BankRecord, attractors: Attractors) -> int:
    """Replace a bank's attractors, atomically and durably.

    Returns:
        The size of their file, bytes.

    Raises:
        StorageError: the system refused; the old file is unchanged.
        ValueError: see `build_hopfield`.
    """
    data = build_hopfield(record, attractors)
    settle_tasks(bank)  # else a crash may lose a task and keep its pattern
    files.replace(bank / HOPFIELD_FILE, data)
    return len(data)


def in_order(tasks: Iterable[Task]) -> list[Task]:
    """Sort tasks as they are stored: by the time they were learned, then by name.

    The order depends only on the task files, so lost attractors can be made again.
    """
    return sorted(tasks, key=lambda task: (task.provenance.created, task.content.task))


def compare(stored: Sequence[PatternRecord], tasks: Iterable[PatternRecord]) -> Stale | None:
    """Describe how stored tasks differ from a bank's; None if they are the same, in any order."""
    there, bank = set(stored), set(tasks)
    if there == bank:
        return None
    missing, gone = (sorted(one.task for one in part) for part in (bank - there, there - bank))
    return Stale(tuple(missing), tuple(gone))


def encode_command(bank: Place, rule: str = "storkey") -> str:
    """Spell the command that makes a bank's attractors, or brings them up to date."""
    option = "" if rule == "storkey" else f" --rule {rule}"
    return f"supsup encode-hopfield --bank {shlex.quote(str(bank))}{option}"


def _named(names: Sequence[str]) -> str:
    count = "1 task" if len(names) == 1 else f"{len(names)} tasks"
    return f"{count} ({few_of(names)})"


def _read(bank: Place, record: BankRecord) -> bytes | None:
    try:
        return files.read_bytes(bank / HOPFIELD_FILE, hopfield_limit(record))
    except (FileNotFoundError, NotADirectoryError):
        return None
