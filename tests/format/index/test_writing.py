"""Writing the index: few bytes in whatever order tasks come, and nothing waits for it."""

import os
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.disk import files
from bank_format.disk.locks import lock
from bank_format.index.coarse import coarse_row
from bank_format.index.coarse_files import CoarseIndex, read_coarse
from bank_format.index.known import know_tasks
from bank_format.index.part_files import part_of
from bank_format.index.survey import survey
from bank_format.index.writing import IndexKeeper, update_index
from bank_format.store.layout import INDEX_LOCK, WORK
from tests.support.banks import (
    FEATURES,
    add,
    add_signed,
    create,
    index_bytes,
    index_files,
    make_newer,
)


@pytest.fixture
def written(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    sizes: list[int] = []
    real = files.replace

    def count(path: Path, data: bytes) -> None:
        sizes.append(len(data))
        real(path, data)

    monkeypatch.setattr(files, "replace", count)
    return sizes


def whole(bank: Bank) -> bool:
    """Return whether every task has a row, and every signature as well."""
    found = survey(bank)
    parts, faults = read_coarse(bank, found.others, FEATURES)
    index = CoarseIndex(parts)
    seals = found.rows.signature_seals[found.rows.numbers["features"] > 0]
    return not found.rest and not faults and bool((index.find(seals) >= 0).all())


@pytest.mark.parametrize("batch", [1, 3, 40])
def test_all_bytes_written_are_few_beside_the_last(
    tmp_path: Path, written: list[int], batch: int
) -> None:
    bank = create(tmp_path / "bank")
    for number in range(120):
        add_signed(bank, f"task-{number:03}", number)
        if (number + 1) % batch == 0:
            update_index(bank)
            assert whole(bank)
    assert sum(written) < 20 * index_bytes(bank.folder)
    assert len(index_files(bank.folder)) <= 2 * 7


@pytest.mark.parametrize(("together", "alone"), [(40, 40), (0, 120)])
def test_bytes_stay_few_even_if_all_stamps_change_before_every_task(
    tmp_path: Path, written: list[int], together: int, alone: int
) -> None:
    bank = create(tmp_path / "bank")
    for number in range(together):
        add_signed(bank, f"task-{number:03}", number)
    update_index(bank)
    for number in range(together, together + alone):
        for path in (bank.folder / "masks").iterdir():
            os.utime(path, (number, number))
        add_signed(bank, f"task-{number:03}", number)
        update_index(bank)
    assert whole(bank)
    assert sum(written) < 20 * index_bytes(bank.folder)
    assert len(index_files(bank.folder)) <= 2 * 7


def test_a_command_that_goes_on_writes_it_for_many_tasks_alone(
    tmp_path: Path, written: list[int]
) -> None:
    bank = create(tmp_path / "bank")
    keeper = IndexKeeper(bank)
    for number in range(63):
        add_signed(bank, f"task-{number:03}", number)
        keeper.added()
    assert written == []
    add_signed(bank, "task-063", 63)
    keeper.added()
    assert whole(bank)
    assert len(written) == 2


def test_where_another_writes_it_nothing_is_done(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "pets")
    with lock(bank.folder / WORK / INDEX_LOCK / "lock"):
        assert update_index(bank) == 0
        assert index_files(bank.folder) == []
        assert verify(bank.path).hints == ()
    assert update_index(bank) == 1
    assert sorted(path.name for path in (bank.folder / WORK).iterdir()) == []


def test_a_bank_that_cannot_be_written_stays_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "pets")

    def refuse(path: Path, _: bytes) -> None:
        raise files.storage_error("write", path, OSError(30, "Read-only file system"))

    monkeypatch.setattr(files, "replace", refuse)
    assert update_index(bank) == 0
    assert index_files(bank.folder) == []


def test_rows_of_tasks_that_are_gone_go_with_their_files(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    for seed, name in enumerate(("cars", "dogs", "pets")):
        add_signed(bank, name, seed)
    update_index(bank)
    for name in ("cars", "dogs"):
        bank.remove_task(name)
    assert update_index(bank) == 1  # most of the file is useless
    assert len(index_files(bank.folder)) == 2
    bank.remove_task("pets")
    update_index(bank)
    assert index_files(bank.folder) == []


@pytest.mark.parametrize("part", ["list", "signatures"])
def test_what_was_lost_is_made_again(tmp_path: Path, part: str) -> None:
    bank = create(tmp_path / "bank")
    for seed, name in enumerate(("cars", "dogs")):
        add_signed(bank, name, seed)
    add(bank, "mice")
    update_index(bank)
    before = {path.name: path.read_bytes() for path in index_files(bank.folder)}
    next(path for path in index_files(bank.folder) if part in path.name).unlink()
    assert update_index(bank) == 3
    assert {path.name: path.read_bytes() for path in index_files(bank.folder)} == before
    assert whole(bank)


def test_a_newer_file_is_left_alone(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "pets")
    update_index(bank)
    newer = next(path for path in index_files(bank.folder) if "list" in path.name)
    newer = newer.rename(newer.with_name("index-list-0123456789abcdef.safetensors"))
    make_newer(newer)
    assert update_index(bank) == 1
    assert whole(bank)
    assert newer.exists()
    assert [one.exit_code for one in verify(bank.path).problems] == [12]


@pytest.mark.parametrize("parts", [("list",), ("signatures",), ("list", "signatures")])
def test_a_newer_file_of_the_same_name_is_left_alone(
    tmp_path: Path, parts: tuple[str, ...]
) -> None:
    bank = create(tmp_path / "bank")
    for seed, name in enumerate(("cars", "dogs")):
        add_signed(bank, name, seed)
    update_index(bank)
    paths = [path for path in index_files(bank.folder) if part_of(path.name) in parts]
    newer = {path: make_newer(path) for path in paths}
    for path in index_files(bank.folder):
        if path not in newer:
            path.unlink()
    assert update_index(bank) == 0
    assert {path: path.read_bytes() for path in index_files(bank.folder)} == newer
    assert [*know_tasks(bank, FEATURES).rows] == ["cars", "dogs"]
    # With one more task the files have other names.
    add_signed(bank, "mice", 2)
    assert update_index(bank) == 3
    assert len(index_files(bank.folder)) == len(newer) + 2
    assert survey(bank).rest == []
    assert {path: path.read_bytes() for path in newer} == newer
    for name in ("cars", "dogs", "mice"):
        bank.remove_task(name)
    update_index(bank)
    assert {path: path.read_bytes() for path in index_files(bank.folder)} == newer


def test_rows_stay_where_they_are_if_a_newer_file_has_the_name_of_all(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "cars", 0)
    update_index(bank)
    first = {path: path.read_bytes() for path in index_files(bank.folder)}
    add_signed(bank, "dogs", 1)
    update_index(bank)
    newer = {path: make_newer(path) for path in index_files(bank.folder)}
    for path, data in first.items():
        path.write_bytes(data)
    assert update_index(bank) == 0
    assert {path: path.read_bytes() for path in index_files(bank.folder)} == first | newer


def test_newer_signatures_beside_a_list_that_is_merged_stay(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "cars", 0)
    update_index(bank)
    (path,) = [path for path in index_files(bank.folder) if part_of(path.name) == "signatures"]
    newer = make_newer(path)
    add_signed(bank, "dogs", 1)
    assert update_index(bank) == 2
    assert path.read_bytes() == newer
    assert len(index_files(bank.folder)) == 3


def test_a_damaged_task_has_no_row_and_keeps_no_other_from_having_one(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    for seed, name in enumerate(("cars", "dogs")):
        add_signed(bank, name, seed)
    path = bank.task_path("cars")
    assert isinstance(path, Path)
    path.write_bytes(path.read_bytes()[:-1])
    assert update_index(bank) == 1
    assert survey(bank).rest == ["cars"]


def test_a_file_from_beyond_the_year_2262_has_a_row(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "late", 1)
    os.utime(bank.task_path("late"), ns=(2**63, 2**63))
    assert update_index(bank) == 1
    assert whole(bank)
    assert update_index(bank) == 0


def test_numbers_that_are_too_large_together_make_no_signature(tmp_path: Path) -> None:
    bank = create(tmp_path / "bank")
    add_signed(bank, "huge", 1)
    arrays = dict(bank.read_task("huge").arrays)
    coarse_row(bytes(32), arrays)
    arrays["signature/mean-scales"] = np.full_like(arrays["signature/mean-scales"], 1e36)
    with pytest.raises(ValueError, match="too large"):
        coarse_row(bytes(32), arrays)
