"""A row holds for its own file and no other, by stamp or by the last bytes."""

import os
import shutil
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.disk import system_calls
from bank_format.index.known import know_tasks
from bank_format.index.survey import survey
from bank_format.index.writing import update_index
from bank_format.store.signatures import add_signature, remove_signature, signature_path
from tests.support.banks import (
    FEATURES,
    SIGNATURE,
    add,
    add_signed,
    create,
    flips,
    gaussians,
    index_files,
)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    for seed, name in enumerate(("cars", "dogs", "pets")):
        add_signed(made, name, seed)
    assert update_index(made) == 3
    return made


def _opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    opened: list[str] = []
    real = system_calls.open_file

    def note(path: Path, flags: int) -> int:
        opened.append(path.name)
        return real(path, flags)

    monkeypatch.setattr(system_calls, "open_file", note)
    return opened


def test_where_nothing_changed_no_task_is_opened(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened = _opened(monkeypatch)
    found = survey(bank)
    assert list(found.rows) == ["cars", "dogs", "pets"]
    assert found.rest == []
    assert [name for name in opened if not name.startswith("index-list")] == []


def test_a_copy_keeps_its_index(bank: Bank, tmp_path: Path) -> None:
    copy = Bank.open(shutil.copytree(bank.folder, tmp_path / "copy", copy_function=shutil.copyfile))
    for path in (copy.folder / "masks").iterdir():
        os.utime(path, (1, 1))
    assert list(survey(copy).rows) == ["cars", "dogs", "pets"]
    # Once there are half as many new rows, the new stamps are noted: no file need be opened again.
    assert update_index(copy) == 0
    add_signed(copy, "mice", 7)
    assert update_index(copy) == 1
    add_signed(copy, "rats", 8)
    assert update_index(copy) == 5
    assert all(
        row.file.stamp == survey(copy).stamps[row.task] for row in survey(copy).rows.values()
    )
    assert update_index(copy) == 0


def test_tasks_that_are_gone_or_new_or_others_have_no_row(bank: Bank) -> None:
    bank.remove_task("dogs")
    add_signed(bank, "mice", 5)
    bank.remove_task("pets")
    add_signed(bank, "pets", 6)
    found = survey(bank)
    assert list(found.rows) == ["cars"]
    assert found.rest == ["mice", "pets"]


def test_another_task_of_the_same_size_and_time_is_told_by_its_last_bytes(bank: Bank) -> None:
    path = bank.task_path("cars")
    assert isinstance(path, Path)
    stamp = path.stat()
    other = create(bank.folder.parent / "other")
    add_signed(other, "cars", 9)
    shutil.copyfile(other.folder / "masks" / "cars.safetensors", path.with_name("x"))
    path.with_name("x").replace(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    assert survey(bank).rest == ["cars"]


def test_a_signature_made_later_ends_the_row_of_a_task_without_one(bank: Bank) -> None:
    task = add(bank, "mice")
    update_index(bank)
    assert survey(bank).rows["mice"].features == 0
    add_signature(bank.folder, bank.record, task, SIGNATURE, gaussians(1))
    assert survey(bank).rest == ["mice"]
    update_index(bank)
    row = survey(bank).rows["mice"]
    assert row.features == FEATURES
    path = signature_path(bank.folder, "mice")
    assert row.signature_seal == row.later.seal == path.read_bytes()[-32:]
    remove_signature(bank.folder, "mice")
    assert survey(bank).rest == ["mice"]


@pytest.mark.parametrize("part", ["list", "signatures"])
def test_a_damaged_file_is_done_without(bank: Bank, part: str) -> None:
    (path,) = [path for path in index_files(bank.folder) if part in path.name]
    path.write_bytes(next(iter(flips(path.read_bytes())))[1])
    found = survey(bank)
    assert list(found.faults) == ([path.name] if part == "list" else [])
    assert len(found.rest) == (3 if part == "list" else 0)


def test_a_folder_in_the_place_of_an_index_is_done_without(bank: Bank) -> None:
    for path in index_files(bank.folder):
        path.unlink()
        path.mkdir()
    assert len(survey(bank).rest) == 3


@pytest.mark.parametrize("features", [0, FEATURES], ids=["list", "decision"])
def test_a_merge_while_the_index_is_read_costs_a_second_look_and_no_file_of_a_task(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, features: int
) -> None:
    real = system_calls.open_file

    def merge(path: Path, flags: int) -> int:
        if not path.name.startswith("index-"):
            return real(path, flags)
        monkeypatch.setattr(system_calls, "open_file", real)
        for seed, name in enumerate(("apes", "bees", "dingos", "ducks")):
            add_signed(bank, name, seed)
        update_index(bank)
        merged.append(path.name)
        return real(path, flags)

    merged: list[str] = []
    monkeypatch.setattr(system_calls, "open_file", merge)
    found = know_tasks(bank, features)
    assert len(merged) == 1
    assert merged[0] not in {path.name for path in index_files(bank.folder)}
    assert [*found.rows] == bank.tasks()
    assert len(found.rows) == 7
    assert not found.read
