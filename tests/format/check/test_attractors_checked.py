"""Attractors that are stale or damaged: what `verify` says of them, and what a repair does."""

from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import VerifyReport, verify
from bank_format.store.layout import HOPFIELD_FILE as FILE
from tests.support.banks import add, units_bank, written


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return units_bank(tmp_path / "bank")


def test_verify_hints_at_stale_attractors_and_says_what_to_type(bank: Bank) -> None:
    written(bank)
    assert verify(bank.path) == VerifyReport((), (), tasks=3)
    command = f"supsup encode-hopfield --bank {bank.path} --rule hebbian"
    bank.remove_task("dogs")
    gone = f"{FILE} still holds 1 task ('dogs'), gone or changed since: {command}"
    assert verify(bank.path) == VerifyReport((), (gone,), tasks=2)
    for seed in range(7):
        add(bank, f"new-{seed}", seed)
    (hint,) = verify(bank.path).hints
    names = ", ".join(f"'new-{seed}'" for seed in range(5))
    assert hint.startswith(f"{FILE} lacks 7 tasks ({names} and 2 more) and still holds 1 task")
    add(bank, "dogs", 1)  # the same content again
    (hint,) = verify(bank.path).hints
    assert hint.endswith(f"and 2 more): {command}")


def test_of_a_damaged_task_it_is_not_said_that_it_is_gone(bank: Bank) -> None:
    written(bank)
    bank.task_path("dogs").write_bytes(b"")
    report = verify(bank.path)
    assert [one.file for one in report.problems] == ["masks/dogs.safetensors"]
    assert report.hints == ()


def test_repair_sets_damage_aside_and_says_how_to_make_it_again(bank: Bank) -> None:
    data = written(bank)
    (bank.path / FILE).write_bytes(data[:-1] + b"\0")
    for dry_run in (True, False):
        report = repair(bank.path, dry_run=dry_run)
        (step,) = report.repairs
        assert (step.file, step.action, step.lossless) == (FILE, "quarantined", True)
        assert report.hints[-1].endswith(f"supsup encode-hopfield --bank {bank.path}")
    assert report.problems == ()
    (aside,) = (bank.path / "quarantine").iterdir()
    assert aside.read_bytes() == data[:-1] + b"\0"
    assert written(bank) == data
