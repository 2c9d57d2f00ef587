"""What a repair would do to a bank. Finding out only reads; nothing is changed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path
from typing import Literal, TypeAlias

from bank_format.check.problems import Problem
from bank_format.disk import files
from bank_format.encoding.canonical_json import Json
from bank_format.encoding.sealed import unseal
from bank_format.errors import BankError, DamagedError, OtherBaseError
from bank_format.index.part_files import INDEX_LIMIT, part_of
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import regenerate_base
from bank_format.kinds.hopfield import hopfield_limit
from bank_format.names import is_task_name
from bank_format.store.layout import (
    BASE_FILE,
    FEATURES_FILE,
    HOPFIELD_FILE,
    MASKS,
    QUARANTINE,
    SIGNATURES,
    SUFFIX,
    WORK,
    file_limit,
    read_base,
)
from bank_format.store.tasks import check_alone

__all__ = ["Action", "Repair", "plan_repairs"]

Action: TypeAlias = Literal["quarantined", "renamed", "regenerated", "made"]

_REPAIRABLE = (DamagedError.slug, OtherBaseError.slug)


@dataclass(frozen=True, slots=True)
class Repair:
    """One step of a repair.

    Args:
        file: its path below the bank.
        action: moved to quarantine/; given the name that its content states; written again from
            the seed; a missing folder made.
        to: its new path below the bank, or the same one if it does not move.
        message: what was wrong with it.
        lossless: whether the bank still has all that it needs from the file afterwards.
    """

    file: str
    action: Action
    to: str
    message: str
    lossless: bool


def plan_repairs(bank: Path, record: BankRecord, problems: Sequence[Problem]) -> tuple[Repair, ...]:
    """Find what a repair would do, in the order of doing it.

    Files of a newer format and files that the system refuses to read are left alone. A damaged file
    is read a second time before it counts as damaged.

    Args:
        bank: the bank's folder.
        record: what bank.json says.
        problems: what `verify` found.

    Raises:
        StorageError: the system refused.
    """
    plan = _Plan(bank, record, {problem.file for problem in problems})
    for problem in problems:
        if problem.slug in _REPAIRABLE:
            plan.add(problem)
    plan.place()
    plan.make_folders()
    return tuple(plan.repairs)


@dataclass(frozen=True, slots=True)
class _Misplaced:
    """A task file that is whole but has the wrong name."""

    problem: Problem
    rightful: str
    data: bytes


class _Plan:
    def __init__(self, bank: Path, record: BankRecord, problems: set[str]) -> None:
        self.bank = bank
        self.record = record
        self.problems = problems
        self.repairs: list[Repair] = []
        self.misplaced: dict[str, _Misplaced] = {}

    def add(self, problem: Problem) -> None:
        file = problem.file
        if file == BASE_FILE:
            self.add_base(problem)
        elif (
            part_of(file) is not None
            or file in (FEATURES_FILE, HOPFIELD_FILE, SIGNATURES, WORK)
            or file.startswith(f"{SIGNATURES}/")
        ):
            self.set_aside(problem, lossless=True)
        elif file == MASKS:
            self.set_aside(problem, lossless=False)
        elif file.startswith(f"{MASKS}/"):
            self.add_task(problem)

    def add_base(self, problem: Problem) -> None:
        try:
            regenerate_base(self.record)
        except ValueError:
            return
        try:
            read_base(self.bank, self.record)
        except (DamagedError, OtherBaseError):
            if files.exists(self.bank / BASE_FILE):
                self.set_aside(problem, lossless=True)
            self.repairs.append(Repair(BASE_FILE, "regenerated", BASE_FILE, problem.message, True))

    def add_task(self, problem: Problem) -> None:
        data = self.read(problem.file)
        rightful = None if data is None else self.rightful_file(data)
        if rightful == problem.file:
            return  # whole when read again
        if data is None or rightful is None:
            if files.exists(self.bank / problem.file):
                self.set_aside(problem, lossless=False)
        else:
            self.misplaced[problem.file] = _Misplaced(problem, rightful, data)

    def place(self) -> None:
        """Plan to rename misplaced files to their own names if free, else to set them aside."""
        leaving = {one.file for one in self.repairs} | self.misplaced.keys()
        holders: dict[str, str] = {}  # rightful name -> the file that has it, or will
        renames: list[Repair] = []
        for file, one in self.misplaced.items():
            rightful = one.rightful
            if rightful not in leaving and files.exists(self.bank / rightful):
                if rightful in self.problems:
                    continue  # nothing is known of what could not be read, or is newer
                holders.setdefault(rightful, rightful)
            holder = holders.setdefault(rightful, file)
            # A move that was killed between its two steps left one file under two names.
            if files.identity(self.bank / holder) == files.identity(self.bank / file):
                renames.append(Repair(file, "renamed", rightful, one.problem.message, True))
            else:
                self.set_aside(one.problem, lossless=self.read(holder) == one.data)
        self.repairs.extend(renames)

    def make_folders(self) -> None:
        leaving = {one.file for one in self.repairs}
        for folder in (MASKS, WORK):
            if folder in leaving or not files.exists(self.bank / folder):
                missing = f"{self.bank / folder}: no such folder found, expected one"
                self.repairs.append(Repair(folder, "made", folder, missing, True))

    def set_aside(self, problem: Problem, *, lossless: bool) -> None:
        target = next(self.names_aside(problem.file))
        self.repairs.append(Repair(problem.file, "quarantined", target, problem.message, lossless))

    def names_aside(self, file: str) -> Iterator[str]:
        """Yield free names in quarantine/, first the one with only the digest of the bytes."""
        data = self.read(file)
        here = files.identity(self.bank / file)
        tag = f"inode-{here[1] if here else 0}" if data is None else sha256(data).hexdigest()[:16]
        name = file.replace("/", "-")
        stem, suffix = name.removesuffix(SUFFIX), SUFFIX if name.endswith(SUFFIX) else ""
        for number in count(1):
            again = "" if number == 1 else f"-{number}"
            target = f"{QUARANTINE}/{stem}-{tag}{again}{suffix}"
            if files.identity(self.bank / target) in (None, here):
                yield target

    def rightful_file(self, data: bytes) -> str | None:
        """Return where a whole task file of this bank belongs; None if it is not one.

        A combination counts as whole if its own file is whole: a missing parent may come back.
        """
        try:
            _, metadata = unseal(data, "file")
            task = _task_inside(metadata)
            check_alone(data, self.record, task, "file")
        except BankError:
            return None
        return f"{MASKS}/{task}{SUFFIX}"

    def read(self, file: str) -> bytes | None:
        """Read a file of the bank; None if it is not a regular file, too long, or gone."""
        limit = (hopfield_limit if file == HOPFIELD_FILE else file_limit)(self.record)
        try:
            return files.read_bytes(self.bank / file, INDEX_LIMIT if part_of(file) else limit)
        except (DamagedError, FileNotFoundError, NotADirectoryError):
            return None


def _task_inside(metadata: Json) -> str:
    content = metadata.get("content") if isinstance(metadata, dict) else None
    task = content.get("task") if isinstance(content, dict) else None
    return task if isinstance(task, str) and is_task_name(task) else ""
