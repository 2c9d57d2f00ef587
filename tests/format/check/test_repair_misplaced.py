"""Files in each other's places, and files of other banks: a repair moves them where they belong."""

import dataclasses
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import verify
from bank_format.disk import system_calls
from bank_format.kinds.bank_json import build_bank_file
from tests.support.banks import PROVENANCE, create, facts, masks, spec
from tests.support.repairing import TASKS, contents, digests, make, only_aside, spoil, steps, swap


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make(tmp_path / "bank")


def test_files_of_each_others_names_are_exchanged(bank: Bank) -> None:
    known = digests(bank)
    swap(bank.task_path("cats"), bank.task_path("dogs"))
    swap(bank.task_path("dogs"), bank.task_path("pets"))
    assert [one.invariant for one in verify(bank.path).problems] == ["I7"] * 3
    report = repair(bank.path)
    assert report.problems == ()
    assert {one.action for one in report.repairs} == {"renamed"}
    assert digests(bank) == known
    assert verify(bank.path).hints == ()


def test_a_misplaced_task_takes_the_place_of_a_damaged_one(bank: Bank) -> None:
    whole = digests(bank)["dogs"]
    bank.task_path("other").write_bytes(bank.task_path("dogs").read_bytes())
    spoil(bank.task_path("dogs"))
    report = repair(bank.path)
    assert sorted(steps(report)) == [
        ("masks/dogs.safetensors", "quarantined"), ("masks/other.safetensors", "renamed")
    ]  # fmt: skip
    assert digests(bank)["dogs"] == whole


def test_a_second_file_of_one_task_is_no_loss_if_equal(bank: Bank) -> None:
    bank.task_path("twin").write_bytes(bank.task_path("dogs").read_bytes())
    assert repair(bank.path).problems == ()
    only_aside(bank, 1)


def test_a_second_file_of_one_task_is_a_loss_if_different(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other")
    other.add_task(facts("dogs", parents=()), masks(other, 9), {}, PROVENANCE)
    bank.task_path("twin").write_bytes(other.task_path("dogs").read_bytes())
    bank.task_path("twin-2").write_bytes(other.task_path("dogs").read_bytes())
    assert [one.file for one in repair(bank.path).problems] == [
        "masks/twin-2.safetensors", "masks/twin.safetensors"
    ]  # fmt: skip
    assert bank.read_task("dogs").content_sha256 == digests(bank)["dogs"]
    only_aside(bank, 2)


def test_two_misplaced_files_of_one_task_leave_it_once(bank: Bank) -> None:
    whole = bank.task_path("dogs").read_bytes()
    bank.task_path("dogs").unlink()
    for name in ("one", "two"):
        bank.task_path(name).write_bytes(whole)
    assert repair(bank.path).problems == ()
    assert bank.task_path("dogs").read_bytes() == whole
    assert bank.tasks() == list(TASKS)


def test_a_task_of_another_base_is_set_aside(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    other.add_task(facts("birds", parents=()), masks(other), {}, PROVENANCE)
    bank.task_path("birds").write_bytes(other.task_path("birds").read_bytes())
    (problem,) = repair(bank.path).problems
    assert (problem.slug, problem.exit_code, problem.invariant) == ("other-base", 12, "I8")
    only_aside(bank, 1)


@pytest.mark.parametrize("without", [(), ("base.safetensors",)])
def test_the_bank_json_of_another_bank_does_not_cost_the_tasks(
    bank: Bank, tmp_path: Path, without: tuple[str, ...]
) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    (bank.path / "bank.json").write_bytes((other.path / "bank.json").read_bytes())
    for file in without:
        (bank.path / file).unlink()
    before = contents(bank.path)
    report = repair(bank.path)
    assert report.repairs == ()
    assert "restore bank.json from a copy" in report.hints[-1]
    assert contents(bank.path) == before


def test_the_base_of_another_bank_is_replaced(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    path = bank.path / "base.safetensors"
    whole = path.read_bytes()
    path.write_bytes((other.path / "base.safetensors").read_bytes())
    assert repair(bank.path).problems == ()
    assert path.read_bytes() == whole


def test_a_bank_json_whose_seed_gives_another_base_changes_nothing(bank: Bank) -> None:
    changed = dataclasses.replace(bank.record, seed=1)
    (bank.path / "bank.json").write_bytes(build_bank_file(changed))
    (bank.path / "base.safetensors").unlink()
    report = repair(bank.path)
    assert (report.repairs, [one.file for one in report.problems]) == ((), ["base.safetensors"])


def test_a_file_whose_place_an_unreadable_one_holds_waits(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.task_path("twin").write_bytes(bank.task_path("dogs").read_bytes())
    before = contents(bank.path)
    open_file = system_calls.open_file

    def refuse(path: Path, flags: int) -> int:
        if path.name == "dogs.safetensors":
            raise OSError(5, "Input/output error")
        return open_file(path, flags)

    monkeypatch.setattr(system_calls, "open_file", refuse)
    report = repair(bank.path)
    assert (report.repairs, sorted(one.exit_code for one in report.problems)) == ((), [5, 13])
    assert contents(bank.path) == before
