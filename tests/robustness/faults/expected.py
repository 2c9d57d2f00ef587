"""What must hold of a bank after a command that was stopped, and after one that ended."""

from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.errors import DamagedError, NoBankError
from bank_format.index.known import know_tasks
from bank_format.store.attractors import read_attractors
from bank_format.store.layout import HOPFIELD_FILE, MASKS, SIGNATURES, SUFFIX
from tests.robustness.faults.fault_scenarios import Scenario
from tests.support.commands import run


@dataclass(frozen=True)
class Expected:
    """The bank before a command, and after it if nothing goes wrong.

    Attributes:
        scenario: the command.
        before: content_sha256 of each whole task of the bank it began with.
        after: the same, of the bank it left.
        masks: bytes of the files of learned masks that are there before and after.
        problems: files that verify complained of before.
        attractors: the bytes of the attractors before and after, None where there are none.
        signatures: the bytes of signatures made later, before and after.
    """

    scenario: Scenario
    before: dict[str, str]
    after: dict[str, str]
    masks: set[bytes]
    problems: set[str]
    attractors: tuple[bytes | None, bytes | None]
    signatures: tuple[set[bytes], set[bytes]]

    @classmethod
    def between(cls, scenario: Scenario, start: Path, end: Path) -> "Expected":
        """Compare the folder before a command and the one after it."""
        problems = _problems(start) if _bank(start).exists() else set()
        masks = _masks(start) & _masks(end)
        attractors = (_attractors(start), _attractors(end))
        signed = (_signatures(start), _signatures(end))
        return cls(scenario, _tasks(start), _tasks(end), masks, problems, attractors, signed)

    def check(self, folder: Path) -> None:
        """Assert that a stopped command has lost nothing and left no third state."""
        if (_bank(folder) / "bank.json").exists():
            # Misplaced files are all moved away before any gets its name.
            parked = {f"{MASKS}/misplaced-{number}{SUFFIX}" for number in (1, 2)}
            assert _problems(folder) <= self.problems | parked
            found = _tasks(folder)
            assert self.before.items() & self.after.items() <= found.items()
            assert found.items() <= self.before.items() | self.after.items()
            assert self.masks <= _masks(folder)
            # What is damaged may be listed: its file has not been read.
            assert found.items() <= _listed(folder).items()
            assert _attractors(folder) in self.attractors
            before, after = self.signatures
            assert before & after <= _signatures(folder) <= before | after

    def check_ended(self, folder: Path) -> None:
        """Assert that a command that reported success has done its work."""
        report = verify(_bank(folder))
        assert report.problems == ()
        assert _tasks(folder) == _listed(folder) == self.after
        assert self.masks <= _masks(folder)
        assert _attractors(folder) == self.attractors[1]
        assert _signatures(folder) == self.signatures[1]

    def check_again(self, folder: Path) -> None:
        """Assert that the same command, typed again, does what is left."""
        words = self.scenario.words(folder)
        again = run(*words)
        if again.code == self.scenario.code != 0:
            again = run(*words)
        assert again.code == 0, again
        self.check_ended(folder)
        assert not (self.scenario.tidy and verify(_bank(folder)).hints)


def _bank(folder: Path) -> Path:
    return folder / "a" / "bank" if (folder / "a").exists() else folder / "bank"


def _tasks(folder: Path) -> dict[str, str]:
    """Read every whole task."""
    try:
        bank = Bank.open(_bank(folder))
    except NoBankError:
        return {}
    found = {}
    for name in bank.tasks():
        with suppress(DamagedError):
            found[name] = bank.read_task(name).content_sha256
    return found


def _listed(folder: Path) -> dict[str, str]:
    """List every task that the index has, or whose file can be read."""
    found = know_tasks(Bank.open(_bank(folder)), 0)
    assert all(isinstance(error, DamagedError) for error in found.failed.values())
    return {name: row.content_sha256.hex() for name, row in found.rows.items()}


def _attractors(folder: Path) -> bytes | None:
    """Read the bytes of whole attractors."""
    path = _bank(folder) / HOPFIELD_FILE
    try:
        bank = Bank.open(_bank(folder))
        return path.read_bytes() if read_attractors(bank.path, bank.record) else None
    except (NoBankError, DamagedError):
        return None


def _signatures(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in _bank(folder).glob(f"{SIGNATURES}/[!.]*")}


def _masks(folder: Path) -> set[bytes]:
    """Read the bytes of every file of a learned mask, wherever in the bank it is."""
    return {path.read_bytes() for path in _bank(folder).glob("[mq]*/[!.]*")}


def _problems(folder: Path) -> set[str]:
    return {problem.file for problem in verify(_bank(folder)).problems}
