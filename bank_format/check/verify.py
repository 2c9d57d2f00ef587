"""Every problem of a bank, as data: read all, check all, raise nothing for damage.

A problem means that some file cannot be used as it is, and cites the invariant of FORMAT.md that
the file breaks. A hint is about something harmless: files that a stopped command left, and files
that do not belong to a bank. Both say what to type next.
"""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bank_format.check.index_check import IndexCheck
from bank_format.check.problems import Problem, VerifyReport, problem_of
from bank_format.disk.atomic import is_temporary
from bank_format.disk.files import list_names, read_bytes
from bank_format.disk.stores import Place
from bank_format.encoding.sealed import unseal
from bank_format.errors import (
    BankError,
    DamagedError,
    NoBankError,
    NoSuchTaskError,
)
from bank_format.index.part_files import part_of
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.base import check_kind
from bank_format.kinds.features import parse_features
from bank_format.kinds.hopfield import HopfieldContent, PatternRecord
from bank_format.kinds.state import WorkFolder, is_work_file, list_parts, read_part
from bank_format.names import is_task_name
from bank_format.store.attractors import check_attractors, compare, encode_command
from bank_format.store.claims import unfinished_work
from bank_format.store.layout import (
    BANK_FILE,
    BASE_FILE,
    CLAIM,
    FEATURES_FILE,
    HOPFIELD_FILE,
    INDEX_LOCK,
    MASKS,
    QUARANTINE,
    SIGNATURES,
    SUFFIX,
    WORK,
    file_limit,
    read_base,
    read_record,
)
from bank_format.store.signatures import read_signature

__all__ = ["Problem", "VerifyReport", "verify"]

_LARGEST_FILE = 2**36  # bytes; for files whose size no record bounds
_KNOWN = {BANK_FILE, BASE_FILE, FEATURES_FILE, HOPFIELD_FILE, MASKS, SIGNATURES, WORK, QUARANTINE}


def verify(path: Place) -> VerifyReport:
    """Read every byte of a bank and report every problem; nothing is changed.

    Raises:
        NoBankError: the folder holds neither bank.json nor anything else of a bank.
    """
    survey = _Survey(path)
    if not survey.names("").intersection((BANK_FILE, BASE_FILE, MASKS)):
        read_record(path)
    survey.top()
    survey.tasks()
    survey.signatures()
    survey.tell_stale()
    if isinstance(path, Path):  # nobody learns in a store
        survey.work(path)
    return VerifyReport(tuple(survey.problems), tuple(survey.hints), survey.whole_tasks)


class _Survey:
    """Problems and hints of one bank, as they are found."""

    def __init__(self, path: Place) -> None:
        self.path = path
        self.bank = shlex.quote(str(path))
        self.record: BankRecord | None = None
        self.problems: list[Problem] = []
        self.hints: list[str] = []
        self.whole_tasks = 0
        self.patterns: list[PatternRecord] = []  # what attractors of all whole tasks would hold
        self.stored: HopfieldContent | None = None
        self.index: IndexCheck | None = None

    def top(self) -> None:
        with self.reporting(BANK_FILE):
            try:
                self.record = read_record(self.path)
            except NoBankError as error:
                lost = f"{error}: it was lost, or supsup init-base was stopped"
                raise DamagedError(lost) from error
            self.index = IndexCheck(self.path, self.record)
        with self.reporting(BASE_FILE):
            self.check_base(self.record)
        names = self.names("")
        if HOPFIELD_FILE in names:
            with self.reporting(HOPFIELD_FILE):
                self.check_attractors()
        if FEATURES_FILE in names:
            with self.reporting(FEATURES_FILE):
                self.check_features()
        for name in sorted(names):
            if part_of(name) is not None:
                with self.reporting(name):
                    self.check_index(name)
            if name in _KNOWN or part_of(name) is not None:
                self.tell_link(name)
            else:
                self.leftover(name)
        aside = self.names(QUARANTINE)
        if aside:
            self.hints.append(
                f"{QUARANTINE}/ holds {len(aside)} files set aside, which no command reads: "
                f"ls -l {shlex.quote(str(self.path / QUARANTINE))}"
            )

    def tasks(self) -> None:
        for name in sorted(self.names(MASKS)):
            task, file = name.removesuffix(SUFFIX), f"{MASKS}/{name}"
            if task == name or not is_task_name(task):
                self.leftover(file)
                continue
            self.tell_link(file)
            with self.reporting(file):
                try:
                    self.check_task(task, file)
                except NoSuchTaskError:
                    continue  # removed since the folder was listed
                self.whole_tasks += 1
        for name, lie in self.index.lies.items() if self.index is not None else ():
            self.problems.append(problem_of(lie, name, self.path, self.record))

    def signatures(self) -> None:
        digests = {pattern.task: pattern.content_sha256 for pattern in self.patterns}
        unknown = {problem.file for problem in self.problems}
        for name in sorted(self.names(SIGNATURES)):
            task, file = name.removesuffix(SUFFIX), f"{SIGNATURES}/{name}"
            if task == name or not is_task_name(task):
                self.leftover(file)
                continue
            self.tell_link(file)
            with self.reporting(file):
                if self.record is None:
                    self.check_seal(file, "signature")
                    continue
                found = read_signature(self.path, self.record, task)
                known = f"{MASKS}/{task}{SUFFIX}" not in unknown
                if found and known and found.content.task_sha256 != digests.get(task):
                    self.hints.append(
                        f"{file} belongs to a task that is gone: "
                        f"supsup tasks clean --bank {self.bank}"
                    )

    def work(self, bank: Path) -> None:
        names = self.names(WORK) - {INDEX_LOCK}
        stopped: list[str] = []
        with self.reporting(WORK):
            stopped = unfinished_work(bank / WORK)
        for name in sorted(names):
            folder = f"{WORK}/{name}"
            if not is_task_name(name) or not (bank / folder).is_dir():
                self.leftover(folder)
                continue
            self.tell_link(folder)
            if name in stopped:
                self.hints.append(
                    f"{folder} is left from a learner that stopped: the same command "
                    f"goes on with it, supsup tasks clean {name} --bank {self.bank} discards it"
                )
            if self.record is not None:
                self.check_state(bank, name, self.record)
            for other in sorted(self.names(folder) - {CLAIM}):
                if is_temporary(other) or not is_work_file(other):
                    self.leftover(f"{folder}/{other}")

    def check_base(self, record: BankRecord | None) -> None:
        if record is None:
            self.check_seal(BASE_FILE, "base")
        else:
            read_base(self.path, record)

    def check_task(self, task: str, file: str) -> None:
        if self.index is None:
            self.check_seal(file, "mask", "combination")
            return
        self.patterns.append(PatternRecord(task, self.index.read_task(task)))

    def check_index(self, file: str) -> None:
        if self.index is None:
            self.check_seal(file, "index")
        else:
            self.index.read(file)

    def check_attractors(self) -> None:
        if self.record is None:
            self.check_seal(HOPFIELD_FILE, "hopfield")
        else:
            self.stored = check_attractors(self.path, self.record)

    def check_features(self) -> None:
        if self.record is None:
            self.check_seal(FEATURES_FILE, "features")
            return
        path = self.path / FEATURES_FILE
        parse_features(read_bytes(path, file_limit(self.record)), self.record, str(path))

    def tell_stale(self) -> None:
        """Report how attractors differ from the tasks; damaged tasks are left out."""
        if self.stored is None:
            return
        unknown = {problem.file for problem in self.problems}
        known = [one for one in self.stored.tasks if f"{MASKS}/{one.task}{SUFFIX}" not in unknown]
        stale = compare(known, self.patterns)
        if stale is not None:
            command = encode_command(self.path, self.stored.rule)
            self.hints.append(f"{HOPFIELD_FILE} {stale.told}: {command}")

    def check_state(self, bank: Path, task: str, record: BankRecord) -> None:
        work = WorkFolder(bank / WORK / task, task, record)
        try:
            work.read()
            for part in list_parts(work):
                read_part(work, part)
        except BankError as error:
            self.hints.append(
                f"{error.message}; no task depends on it, learning starts anew: "
                f"supsup tasks clean {task} --bank {self.bank}"
            )

    def check_seal(self, file: str, *kinds: str) -> None:
        path = self.path / file
        try:
            data = read_bytes(path, _LARGEST_FILE)
        except (FileNotFoundError, NotADirectoryError):
            raise DamagedError(f"{path}: no such file found, expected one") from None
        _, metadata = unseal(data, str(path))
        content = metadata.get("content") if isinstance(metadata, dict) else None
        found = content.get("kind") if isinstance(content, dict) else None
        check_kind(metadata, next((one for one in kinds if one == found), kinds[0]), str(path))

    def names(self, folder: str) -> set[str]:
        path = self.path / folder
        found: list[str] = []
        with self.reporting(folder or "."), suppress(FileNotFoundError):
            try:
                found = list_names(path)
            except NotADirectoryError:
                raise DamagedError(f"{path}: a file found, expected a folder") from None
        return set(found)

    def tell_link(self, file: str) -> None:
        path = self.path / file
        if isinstance(path, Path) and path.is_symlink():
            self.hints.append(
                f"{file} is a link to {path.readlink()}, which a copy of the bank may lack: "
                f"cp -rL {self.bank} FOLDER makes a copy without links"
            )

    def leftover(self, file: str) -> None:
        if is_temporary(file.rpartition("/")[2]):
            self.hints.append(
                f"{file} is left from a command that stopped, or belongs to one that runs: "
                f"supsup tasks clean --bank {self.bank}"
            )
        else:
            self.hints.append(f"{file} does not belong to a bank: move it elsewhere")

    @contextmanager
    def reporting(self, file: str) -> Iterator[None]:
        """Turn an error about a file into a problem; without an invariant, it is unreadable."""
        try:
            yield
        except BankError as error:
            self.problems.append(problem_of(error, file, self.path, self.record))
