import dataclasses
import errno
import multiprocessing
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.encoding import bits
from bank_format.errors import (
    BadNameError,
    DamagedError,
    LockedError,
    NameTakenError,
    NoSuchTaskError,
    OtherBaseError,
    StorageError,
)
from tests.support.banks import LENET, PROVENANCE, add, create, facts, flips, masks, spec


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return create(tmp_path / "bank")


def names_in(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def test_an_added_task_reads_back(bank: Bank) -> None:
    given = masks(bank, 1, 0.3)
    added = add(bank, "pets", 1, 0.3)
    read = Bank.open(bank.path).read_task("pets")
    for task in (added, read):
        assert task.content.task == "pets"
        assert task.provenance == PROVENANCE
        assert task.content_sha256 == added.content_sha256
        assert task.bytes_on_disk == bank.task_path("pets").stat().st_size
        assert list(task.masks) == [p.name for p in bank.record.masked]
        for name, mask in given.items():
            assert np.array_equal(task.masks[name], bits.pack(mask))
        assert task.statistics["norm.mean"].tolist() == [0, 1, 2]
        assert task.density == sum(m.sum() for m in given.values()) / 45
    assert bank.tasks() == ["pets"]
    assert names_in(bank.path / "masks") == ["pets.safetensors"]


def test_packed_masks_are_taken_as_well(bank: Bank, tmp_path: Path) -> None:
    packed = {name: bits.pack(mask) for name, mask in masks(bank).items()}
    first = bank.add_task(facts("pets"), masks(bank), {}, PROVENANCE)
    second = create(tmp_path / "other").add_task(facts("pets"), packed, {}, PROVENANCE)
    assert first.content_sha256 == second.content_sha256


def test_content_sha256_covers_content_and_masks_but_not_provenance(tmp_path: Path) -> None:
    digests = []
    later = dataclasses.replace(PROVENANCE, seconds=9.0, machine="another")
    for index, (seed, steps, provenance) in enumerate(
        ((0, 10, PROVENANCE), (0, 10, later), (1, 10, PROVENANCE), (0, 11, PROVENANCE))
    ):
        bank = create(tmp_path / str(index))
        task = bank.add_task(facts("pets", steps=steps), masks(bank, seed), {}, provenance)
        digests.append(task.content_sha256)
    assert digests[0] == digests[1]
    assert len(set(digests)) == 3


def test_a_task_is_never_overwritten(bank: Bank) -> None:
    add(bank, "pets", 1)
    before = bank.task_path("pets").read_bytes()
    with pytest.raises(NameTakenError, match="a task 'pets' found"):
        add(bank, "pets", 2)
    assert bank.task_path("pets").read_bytes() == before
    assert names_in(bank.path / "masks") == ["pets.safetensors"]


def test_what_does_not_fit_the_bank_is_refused(bank: Bank) -> None:
    good = masks(bank)
    attempts: list[tuple[Any, Any, Any]] = [
        (facts("x"), {"first.weight": good["first.weight"]}, {}),
        (facts("x"), {**good, "other": good["first.weight"]}, {}),
        (facts("x"), {**good, "last.weight": good["last.weight"].T}, {}),
        (facts("x"), {**good, "last.weight": good["last.weight"].astype(np.float32)}, {}),
        (facts("x"), {**good, "last.weight": np.zeros(9, np.uint8)}, {}),
        (facts("x"), good, {"mean": np.zeros(3)}),
        (facts("x"), good, {"a/b": np.zeros(3, np.float32)}),
        (facts("x", steps=1.5), good, {}),
        (facts("x", seed=np.int64(1)), good, {}),
        (facts("x", classes=(dataclasses.replace(facts("x").classes[0], output=2),)), good, {}),
    ]
    for fact, mask, statistics in attempts:
        with pytest.raises(ValueError, match=r"expected|found|JSON"):
            bank.add_task(fact, mask, statistics, PROVENANCE)
    assert bank.tasks() == []


@pytest.mark.parametrize("name", ["", "A", "a/b", "../a", ".a", "a" * 65, "ä", "a\n", "a b", "-a"])
def test_names_that_no_task_can_have(bank: Bank, name: str) -> None:
    for use in (
        bank.read_task,
        bank.remove_task,
        bank.task_path,
        lambda n: bank.work.claim(n).__enter__(),
    ):
        with pytest.raises(BadNameError) as caught:
            use(name)
        assert "a-z" in caught.value.hint


def test_a_missing_task_is_named(bank: Bank) -> None:
    for use in (bank.read_task, bank.remove_task):
        with pytest.raises(NoSuchTaskError, match="no task 'cats' found among 0") as caught:
            use("cats")
        assert caught.value.hint == f"supsup tasks --bank {bank.path}"


def test_listing_opens_no_file_and_skips_what_is_no_task(bank: Bank) -> None:
    folder = bank.path / "masks"
    for name in ("b", "a.1", ".hidden", "UPPER"):
        (folder / f"{name}.safetensors").touch()
    (folder / "notes.txt").touch()
    (folder / ".a.safetensors.1.ab.tmp").touch()
    assert bank.tasks() == ["a.1", "b"]
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    assert bank.tasks() == []
    add(bank, "pets")
    assert bank.tasks() == ["pets"]


def test_read_tasks_fills_one_row_per_task(bank: Bank) -> None:
    for seed, name in enumerate(("c", "a", "b")):
        add(bank, name, seed, 0.2 + seed / 4)
    stack = bank.read_tasks()[1]
    assert stack.shape == (3, bank.record.mask_bytes) == (3, 4 + 2)
    assert stack.flags.c_contiguous
    for row, seed in zip(stack, (1, 2, 0), strict=True):
        first, last = masks(bank, seed, 0.2 + seed / 4).values()
        assert row.tolist() == [*bits.pack(first), *bits.pack(last)]
    assert np.array_equal(bank.read_tasks(["c", "a"])[1], stack[[2, 0]])
    assert bank.read_tasks([])[1].shape == (0, 6)


def test_a_file_under_another_name_is_damage(bank: Bank) -> None:
    add(bank, "cats", 1)
    add(bank, "dogs", 2)
    cats, dogs = bank.task_path("cats"), bank.task_path("dogs")
    data = cats.read_bytes()
    cats.write_bytes(dogs.read_bytes())
    dogs.write_bytes(data)
    for name, other in (("cats", "dogs"), ("dogs", "cats")):
        with pytest.raises(DamagedError, match=f"task '{other}' found inside, expected '{name}'"):
            bank.read_task(name)


def test_a_task_of_another_base_is_refused_by_name(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    add(other, "pets")
    bank.task_path("pets").write_bytes(other.task_path("pets").read_bytes())
    with pytest.raises(OtherBaseError, match=other.record.base_sha256[:16]):
        bank.read_task("pets")
    with pytest.raises(OtherBaseError, match=str(other.path)):
        bank.copy_task("pets", other)


def test_copies_go_between_banks_of_one_base(bank: Bank, tmp_path: Path) -> None:
    other = create(tmp_path / "other")
    original = add(other, "pets", 5)
    copied = bank.copy_task("pets", other)
    assert copied.content_sha256 == original.content_sha256
    assert bank.task_path("pets").read_bytes() == other.task_path("pets").read_bytes()
    renamed = bank.copy_task("pets", other, "animals")
    assert renamed.content.task == "animals"
    assert renamed.provenance == original.provenance
    assert renamed.content_sha256 != original.content_sha256
    assert np.array_equal(*bank.read_tasks(["pets", "animals"])[1])
    with pytest.raises(NameTakenError):
        bank.copy_task("pets", other, "animals")
    with pytest.raises(BadNameError):
        bank.copy_task("pets", other, "../x")


def test_every_flipped_bit_of_a_task_file_is_refused(bank: Bank) -> None:
    add(bank, "pets")
    path = bank.task_path("pets")
    for _, changed in flips(path.read_bytes(), every=5):
        path.write_bytes(changed)
        with pytest.raises(DamagedError, match=r"pets\.safetensors"):
            bank.read_task("pets")


def test_ten_lenet_tasks_fit_their_budget(tmp_path: Path) -> None:
    lenet = create(tmp_path / "bank", spec(LENET, real_outputs=10))
    for index, density in enumerate((0.5, 0.48, 0.1)):
        task = add(lenet, f"task-{index}", index, density)
        assert task.bytes_on_disk <= 39_400 + 4_096
    assert task.bytes_on_disk < 0.55 * 39_400


def test_a_full_disk_leaves_the_bank_as_it_was(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    add(bank, "before")
    found = names_in(bank.path)

    def fail(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", fail)
        with pytest.raises(StorageError, match=r"after\.safetensors: cannot write: No space"):
            add(bank, "after")
    assert names_in(bank.path) == found
    assert add(bank, "after").content.task == "after"


def hold_claim(path: Path, claimed: Any, release: Any) -> None:
    with Bank.open(path).work.claim("pets"):
        claimed.set()
        release.wait()


def test_a_claim_keeps_a_second_process_out_until_it_ends(bank: Bank) -> None:
    context = multiprocessing.get_context("spawn")
    claimed, release = context.Event(), context.Event()
    process = context.Process(target=hold_claim, args=(bank.path, claimed, release))
    process.start()
    assert claimed.wait(30)
    try:
        held = f"held by process {process.pid} on "
        with pytest.raises(LockedError, match=held), bank.work.claim("pets"):
            pass
        with bank.work.claim("others"):
            assert names_in(bank.path / "work") == [
                "others", "others/claim", "pets", "pets/claim"
            ]  # fmt: skip
    finally:
        process.kill()  # a claim ends with its process, however that ends
        process.join()
    with bank.work.claim("pets"):
        assert verify(bank.path).hints == ()
    assert names_in(bank.path / "work") == []
