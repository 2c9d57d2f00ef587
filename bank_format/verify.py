"""Every problem of a bank, as data: read all, check all, raise nothing for damage.

A problem means that some file cannot be used as it is. A hint is about what does no harm: what
a killed process left, and files that are no part of a bank.
"""

import shlex
from dataclasses import dataclass
from pathlib import Path

from bank_format.bank import Bank
from bank_format.base_file import check_kind
from bank_format.errors import BankError, DamagedError, NoBankError
from bank_format.files import list_names, read_bytes
from bank_format.layout import (
    BANK_FILE,
    BASE_FILE,
    CLAIM,
    HOPFIELD_FILE,
    MASKS,
    SUFFIX,
    WORK,
    file_limit,
    is_temporary,
    read_base,
    read_record,
)
from bank_format.locks import is_locked
from bank_format.names import is_task_name
from bank_format.records import BankRecord
from bank_format.sealed import unseal
from bank_format.task_reading import parse_task

__all__ = ["Problem", "Report", "verify"]

_LARGEST_FILE = 2**36  # bytes; for files whose size no record bounds


@dataclass(frozen=True, slots=True)
class Problem:
    """One file that cannot be used.

    Args:
        file: its path below the bank.
        message: one line.
        slug: of the error that reading it raises.
        exit_code: of that error.
    """

    file: str
    message: str
    slug: str
    exit_code: int


@dataclass(frozen=True, slots=True)
class Report:
    """What `verify` found; the bank is whole if there are no problems.

    Args:
        problems: files that cannot be used.
        hints: what does no harm, with the command that cleans it up.
        tasks: number of whole task files.
    """

    problems: tuple[Problem, ...]
    hints: tuple[str, ...]
    tasks: int


def verify(path: Path) -> Report:
    """Read every byte of a bank and report every problem.

    Raises:
        NoBankError: the folder holds neither bank.json nor anything else of a bank.
    """
    survey = _Survey(path)
    if not survey.names(path).intersection((BANK_FILE, BASE_FILE, MASKS)):
        read_record(path)
    survey.top()
    survey.tasks()
    survey.work()
    return Report(tuple(survey.problems), tuple(survey.hints), survey.whole_tasks)


class _Survey:
    """Problems and hints of one bank, as they are found."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.record: BankRecord | None = None
        self.problems: list[Problem] = []
        self.hints: list[str] = []
        self.whole_tasks = 0

    def top(self) -> None:
        try:
            self.record = read_record(self.path)
        except NoBankError as error:
            lost = DamagedError(f"{error}: it was lost, or supsup init-base was stopped")
            self.problem(BANK_FILE, lost)
            self.hints.append(
                "run supsup init-base with the options the bank was made with: it completes it"
            )
        except BankError as error:
            self.problem(BANK_FILE, error)
        try:
            if self.record is None:
                self.check_seal(BASE_FILE, "base")
            else:
                read_base(self.path, self.record)
        except BankError as error:
            self.problem(BASE_FILE, error)
        names = self.names(self.path)
        if HOPFIELD_FILE in names:
            try:
                self.check_seal(HOPFIELD_FILE, "hopfield")
            except BankError as error:
                self.problem(HOPFIELD_FILE, error)
        known = {BANK_FILE, BASE_FILE, HOPFIELD_FILE, MASKS, WORK}
        for name in sorted(names - known):
            self.leftover(self.path / name)

    def tasks(self) -> None:
        for name in sorted(self.names(self.path / MASKS)):
            task = name.removesuffix(SUFFIX)
            if task == name or not is_task_name(task):
                self.leftover(self.path / MASKS / name)
                continue
            try:
                self.check_task(task, f"{MASKS}/{name}")
            except BankError as error:
                self.problem(f"{MASKS}/{name}", error)
            else:
                self.whole_tasks += 1

    def work(self) -> None:
        folder = self.path / WORK
        for name in sorted(self.names(folder)):
            if not is_locked(folder / name / CLAIM):
                self.hints.append(
                    f"{WORK}/{name} is left from a learner that stopped; no learner holds it: "
                    f"rm -r {shlex.quote(str(folder / name))}"
                )

    def check_task(self, task: str, file: str) -> None:
        if self.record is None:
            self.check_seal(file, "mask")
            return
        data = self.read(file, file_limit(self.record))
        read_parent = Bank(self.path, self.record).read_mask
        parse_task(data, self.record, task, str(self.path / file), read_parent)

    def check_seal(self, file: str, kind: str) -> None:
        name = str(self.path / file)
        _, metadata = unseal(self.read(file, _LARGEST_FILE), name)
        check_kind(metadata, kind, name)

    def read(self, file: str, limit: int) -> bytes:
        try:
            return read_bytes(self.path / file, limit)
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedError(f"{self.path / file}: no such file found, expected one") from None

    def names(self, folder: Path) -> set[str]:
        try:
            return set(list_names(folder))
        except FileNotFoundError:
            return set()
        except NotADirectoryError:
            self.problem(
                str(folder.relative_to(self.path)),
                DamagedError(f"{folder}: a file found, expected a folder"),
            )
            return set()
        except BankError as error:
            self.problem(str(folder.relative_to(self.path)), error)
            return set()

    def leftover(self, path: Path) -> None:
        if is_temporary(path.name):
            advice = (
                f"is left from a command that stopped; if none runs: rm {shlex.quote(str(path))}"
            )
        else:
            advice = "is no part of a bank: move it elsewhere"
        self.hints.append(f"{path.relative_to(self.path)} {advice}")

    def problem(self, file: str, error: BankError) -> None:
        self.problems.append(Problem(file, error.message, error.slug, error.exit_code))
