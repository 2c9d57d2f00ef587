"""What `verify` says besides the problems: hints, and what to type next."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import Problem, VerifyReport, verify
from bank_format.kinds.state import WorkState
from tests.support.banks import PROVENANCE, add, create, facts, masks


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    made.add_task(facts("pets", calibration=None, parents=()), masks(made), {}, PROVENANCE)
    return made


def only(report: VerifyReport) -> Problem:
    (problem,) = report.problems
    return problem


def test_leftovers_are_hints_and_no_problems(bank: Bank) -> None:
    (bank.path / "masks" / ".cats.safetensors.1.ab.tmp").touch()
    (bank.path / "masks" / "Notes.txt").touch()
    (bank.path / "notes.txt").touch()
    (bank.path / "work" / "cats").mkdir()
    (bank.path / "work" / "cats" / "claim").touch()
    (bank.path / "work" / "cats" / "odd").touch()
    (bank.path / "work" / "Dogs").mkdir()
    (bank.path / "quarantine").mkdir()
    (bank.path / "quarantine" / "anything").touch()
    report = verify(bank.path)
    assert report.problems == ()
    beginnings = (
        "notes.txt does not belong to a bank",
        "quarantine/ holds 1 files set aside",
        "masks/.cats.safetensors.1.ab.tmp is left from a command that stopped",
        "masks/Notes.txt does not belong to a bank",
        "work/Dogs does not belong to a bank",
        "work/cats is left from a learner that stopped",
        "work/cats/odd does not belong to a bank",
    )
    for hint, beginning in zip(report.hints, beginnings, strict=True):
        assert hint.startswith(beginning)
    assert f"supsup tasks clean cats --bank {bank.path}" in report.hints[5]


def test_a_damaged_state_is_a_hint_that_names_it(bank: Bank) -> None:
    with bank.work.claim("cats") as work:
        work.write(WorkState("ab" * 32, 7, {"scores": np.ones(3, np.float32)}))
    report = verify(bank.path)
    assert report.problems == ()
    assert len(report.hints) == 1
    path = bank.path / "work" / "cats" / "state.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    report = verify(bank.path)
    assert report.problems == ()
    assert report.hints[1].startswith(f"{path}: seal ")
    assert report.hints[1].endswith(f"supsup tasks clean cats --bank {bank.path}")


def test_a_learner_at_work_is_no_hint(bank: Bank) -> None:
    with bank.work.claim("cats") as work:
        work.write(WorkState("ab" * 32, 7, {}))
        assert verify(bank.path) == VerifyReport((), (), tasks=1)


def test_links_are_named(bank: Bank, tmp_path: Path) -> None:
    moved = bank.task_path("pets").rename(tmp_path / "elsewhere")
    bank.task_path("pets").symlink_to(moved)
    report = verify(bank.path)
    assert (report.problems, report.tasks) == ((), 1)
    (hint,) = report.hints
    assert hint.startswith(f"masks/pets.safetensors is a link to {moved}")


def test_every_problem_cites_an_invariant_of_the_format_and_says_what_to_type(bank: Bank) -> None:
    add(bank, "cats")
    bank.task_path("cats").write_bytes(b"")
    bank.task_path("dogs").symlink_to("nowhere")
    (bank.path / "base.safetensors").unlink()
    (bank.path / "hopfield.safetensors").mkdir()
    problems = {one.file: one for one in verify(bank.path).problems}
    assert {file: one.invariant for file, one in problems.items()} == {
        "base.safetensors": "I1",
        "hopfield.safetensors": "I1",
        "masks/cats.safetensors": "I2",
        "masks/dogs.safetensors": "I1",
    }
    command = f"supsup verify --repair --bank {bank.path}"
    assert {one.hint for one in problems.values()} == {command}
    (bank.path / "bank.json").write_bytes(b"{}\n")
    record, *others = verify(bank.path).problems
    assert "supsup init-base" in record.hint
    assert {one.hint for one in others} == {"repair bank.json first"}
