"""Combinations in repair, `tasks show`, `tasks copy` and `tasks export`."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.check.verify import verify
from tests.support.banks import add, add_combination, create
from tests.support.commands import answer, flip_bit, run

CHILD = "masks/mixed.safetensors"


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    for seed, name in enumerate("ab"):
        add(made, name, seed)
    add_combination(made, "mixed", "a", "b")
    return made


@pytest.fixture
def other(bank: Bank, tmp_path: Path) -> Bank:
    return Bank.open(Path(shutil.copytree(bank.path, tmp_path / "other")))


def test_a_repair_leaves_a_combination_that_lacks_a_parent_until_it_is_back(
    bank: Bank, other: Bank
) -> None:
    known = bank.read_task("mixed").content_sha256
    whole = bank.task_path("mixed").read_bytes()
    flip_bit(bank.task_path("a"), 900)
    ran = run("verify", "--repair", "--bank", bank.path, "--json")
    assert ran.code == 5
    assert [(one["file"], one["action"]) for one in ran.json["repairs"]] == [
        ("masks/a.safetensors", "quarantined")
    ]
    assert bank.task_path("mixed").read_bytes() == whole
    (problem,) = verify(bank.path).problems
    assert (problem.file, problem.invariant, problem.exit_code) == (CHILD, "I11", 5)
    assert problem.message.startswith(f"{bank.path / CHILD}: task 'mixed' combines task 'a', which")
    assert problem.hint == "supsup tasks copy a --from ANOTHER-BANK"
    assert run("tasks", "copy", "a", "--from", other.path, "--bank", bank.path).code == 0
    assert verify(bank.path).problems == ()
    assert bank.read_task("mixed").content_sha256 == known


def test_a_repair_finds_the_names_of_parents_and_child_again(bank: Bank) -> None:
    known = {name: bank.read_task(name).content_sha256 for name in bank.tasks()}
    files = [bank.task_path(name) for name in ("a", "b", "mixed")]
    data = [file.read_bytes() for file in files]
    for file, moved in zip(files, [*data[1:], data[0]], strict=True):
        file.write_bytes(moved)
    report = repair(bank.path)
    assert report.problems == ()
    assert {one.action for one in report.repairs} == {"renamed"}
    assert {name: bank.read_task(name).content_sha256 for name in bank.tasks()} == known


def test_a_damaged_combination_is_set_aside_and_its_parents_are_free(bank: Bank) -> None:
    flip_bit(bank.task_path("mixed"), 900)
    assert [one.action for one in repair(bank.path).repairs] == ["quarantined"]
    assert bank.tasks() == ["a", "b"]
    bank.remove_task("a")


def test_seals_are_checked_without_a_bank_json(bank: Bank) -> None:
    (bank.path / "bank.json").unlink()
    assert [one.file for one in verify(bank.path).problems] == ["bank.json"]
    flip_bit(bank.task_path("mixed"), 900)
    assert CHILD in [one.file for one in verify(bank.path).problems]


def test_show_tells_coefficients_and_parents(bank: Bank) -> None:
    (task,) = answer("tasks", "show", "mixed", "--bank", bank.path)["tasks"]
    assert (task["kind"], [one["task"] for one in task["parents"]]) == ("combination", ["a", "b"])
    for layer in task["layers"]:
        assert (layer["coding"], layer["bytes"]) == ("coefficients", 12)
        assert layer["coefficients"] == [1, 1, 0]
    said = run("tasks", "show", "mixed", "a", "--bank", bank.path)
    assert said.code == 0
    assert said.out.count("coefficients last.weight") == 1
    assert "1, 1, 0" in said.out


def copy(bank: Bank, source: Bank, *words: object) -> list[dict[str, Any]]:
    tasks = answer("tasks", "copy", *words, "--from", source.path, "--bank", bank.path)["tasks"]
    assert isinstance(tasks, list)
    return tasks


def told(tasks: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(one["task"], one["status"]) for one in tasks]


def test_a_copy_tells_of_the_parents_that_come_along(bank: Bank, tmp_path: Path) -> None:
    empty = create(tmp_path / "empty")
    would = [(name, "would-copy") for name in ("mixed", "a", "b")]
    assert told(copy(empty, bank, "mixed", "--dry-run")) == would
    assert empty.tasks() == []
    copy(empty, bank, "b")
    assert told(copy(empty, bank, "mixed")) == [("mixed", "copied"), ("a", "copied")]
    assert told(copy(empty, bank, "mixed")) == [("mixed", "exists")]
    assert verify(empty.path).problems == ()
    assert told(copy(empty, bank, "mixed", "--as", "blend")) == [("blend", "copied")]
    assert told(copy(empty, bank, "mixed", "--as", "blend")) == [("blend", "exists")]
    assert told(copy(bank, bank, "mixed", "--as", "blend")) == [("blend", "copied")]


def test_asked_for_together_parents_are_copied_first(bank: Bank, tmp_path: Path) -> None:
    empty = create(tmp_path / "empty")
    copied = copy(empty, bank, "mixed", "b", "a")
    assert told(copied) == [(name, "copied") for name in ("mixed", "b", "a")]
    assert verify(empty.path).problems == ()


def test_another_task_under_a_parents_name_stops_the_copy_before_it_begins(
    bank: Bank, tmp_path: Path
) -> None:
    empty = create(tmp_path / "empty")
    mine = add(empty, "b", seed=9)
    ran = run("tasks", "copy", "a", "mixed", "--from", bank.path, "--bank", empty.path, "--json")
    assert (ran.code, ran.error["code"]) == (11, "name-taken")
    assert mine.content_sha256[:16] in ran.error["message"]
    assert bank.read_task("b").content_sha256[:16] in ran.error["message"]
    assert empty.tasks() == ["b"]


def test_a_copy_cannot_have_its_parents_name(bank: Bank, tmp_path: Path) -> None:
    empty = create(tmp_path / "empty")
    words = ("tasks", "copy", "mixed", "--as", "a", "--from", bank.path, "--bank", empty.path)
    assert run(*words).code == 2
    assert empty.tasks() == []


def test_a_combination_is_exported_as_it_is(bank: Bank, tmp_path: Path) -> None:
    file = tmp_path / "mixed.safetensors"
    assert run("tasks", "export", "--sealed", "mixed", file, "--bank", bank.path).code == 0
    assert file.read_bytes() == bank.task_path("mixed").read_bytes()
