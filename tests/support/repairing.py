"""A bank with three tasks, ways to damage it, and what is left of it."""

from pathlib import Path

from bank_format.bank import Bank
from bank_format.check.repair import RepairReport
from bank_format.check.verify import VerifyReport, verify
from tests.support.banks import PROVENANCE, create, facts, masks

TASKS = ("cats", "dogs", "pets")


def make(path: Path) -> Bank:
    made = create(path)
    for seed, name in enumerate(TASKS):
        made.add_task(facts(name, parents=()), masks(made, seed), {}, PROVENANCE)
    return made


def digests(bank: Bank) -> dict[str, str]:
    return {name: bank.read_task(name).content_sha256 for name in bank.tasks()}


def swap(one: Path, other: Path) -> None:
    first, second = one.read_bytes(), other.read_bytes()
    one.write_bytes(second)
    other.write_bytes(first)


def spoil(path: Path) -> bytes:
    """Damage a file and return its bytes as they are now."""
    changed = path.read_bytes()[:-1] + b"\0"
    path.write_bytes(changed)
    return changed


def contents(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def steps(report: RepairReport) -> list[tuple[str, str]]:
    return [(one.file, one.action) for one in report.repairs]


def only_aside(bank: Bank, count: int) -> VerifyReport:
    """Check that the bank is whole, with a hint about what was set aside."""
    report = verify(bank.path)
    assert report.problems == ()
    (hint,) = (one for one in report.hints if ".tmp is left" not in one)
    assert f"quarantine/ holds {count} files" in hint
    return report
