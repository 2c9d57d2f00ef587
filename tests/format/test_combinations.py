"""Combinations of other tasks' masks: what they are, what they need, what breaks them."""

import dataclasses
import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.disk import system_calls
from bank_format.encoding import bits
from bank_format.errors import (
    DamagedError,
    InUseError,
    NameTakenError,
    NoSuchTaskError,
    OtherBaseError,
    StorageError,
)
from bank_format.kinds.combination import combined_masks
from bank_format.kinds.mask import Task
from bank_format.kinds.task_records import ParentRecord
from tests.support.banks import PROVENANCE, add, add_combination, create, facts, flips, masks, spec

PARENTS = ("a", "b", "c")


def coefficients(bank: Bank, *values: float) -> dict[str, NDArray[np.float32]]:
    return {p.name: np.array(values, dtype=np.float32) for p in bank.record.masked}


def parents_of(*tasks: Task) -> tuple[ParentRecord, ...]:
    return tuple(ParentRecord(one.content.task, one.content_sha256) for one in tasks)


def add_mixed(bank: Bank, name: str = "mixed", **changes: Any) -> Task:
    return add_combination(bank, name, *PARENTS, **changes)


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    made = create(tmp_path / "bank")
    for seed, name in enumerate(PARENTS):
        add(made, name, seed)
    return made


def test_a_combination_reads_as_the_majority_of_its_parents(bank: Bank) -> None:
    added = add_mixed(bank)
    read = Bank.open(bank.path).read_task("mixed")
    kept = [masks(bank, seed) for seed in range(3)]
    for task in (added, read):
        assert (task.content.kind, task.content.task) == ("combination", "mixed")
        assert [one.task for one in task.content.parents] == list(PARENTS)
        assert task.content_sha256 == added.content_sha256
        assert task.statistics["norm.mean"].tolist() == [0, 1, 2]
        assert list(task.masks) == [p.name for p in bank.record.masked]
        for name, mask in task.masks.items():
            majority = sum(one[name].astype(int) for one in kept) >= 2
            assert np.array_equal(mask, bits.pack(majority))
    assert 0 < read.density < 1
    tasks, stack = bank.read_tasks()
    assert [task.content.kind for task in tasks] == ["mask"] * 3 + ["combination"]
    assert np.array_equal(stack[3], np.concatenate(list(read.masks.values())))
    report = verify(bank.path)
    assert (report.problems, report.tasks) == ((), 4)


def test_a_combination_holds_a_few_hundred_bytes_of_tensors(bank: Bank) -> None:
    added = add_mixed(bank)
    tensors = 2 * 4 * 4 + 3 * 4 + 32
    assert added.bytes_on_disk == bank.task_path("mixed").stat().st_size < tensors + 2_500


@given(
    st.lists(
        st.floats(-10, 10, width=32).filter(lambda value: value == 0 or abs(value) > 1e-3),
        min_size=2,
        max_size=6,
    ),
    st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_masks_follow_the_sum_of_votes(values: list[float], seed: int) -> None:
    record = spec()
    generator = np.random.default_rng(seed)
    kept = [{p.name: generator.random(p.shape) < 0.5 for p in record.masked} for _ in values[1:]]
    packed = [{name: bits.pack(mask) for name, mask in one.items()} for one in kept]
    array = np.array(values, dtype=np.float32)
    combined = combined_masks(record, {p.name: array for p in record.masked}, packed)  # type: ignore[arg-type]
    for p in record.masked:
        votes = [
            sum(
                float(a) * (1 if one[p.name].flat[i] else -1)
                for a, one in zip(array[:-1], kept, strict=True)
            )
            for i in range(p.count)
        ]
        expected = np.array([vote > float(array[-1]) for vote in votes])
        assert np.array_equal(combined[p.name], bits.pack(expected))


def test_a_missing_parent_is_named_with_its_child(bank: Bank) -> None:
    add_mixed(bank)
    bank.task_path("b").unlink()
    with pytest.raises(DamagedError, match="task 'mixed' combines task 'b', which is missing") as e:
        bank.read_task("mixed")
    assert e.value.hint == "supsup tasks copy b --from ANOTHER-BANK"
    assert [(one.file, one.exit_code) for one in verify(bank.path).problems] == [
        ("masks/mixed.safetensors", 5)
    ]
    assert bank.children("a") == ["mixed"]


def test_a_damaged_parent_is_named_with_its_child(bank: Bank) -> None:
    add_mixed(bank)
    data = bytearray(bank.task_path("c").read_bytes())
    data[-40] ^= 1
    bank.task_path("c").write_bytes(data)
    with pytest.raises(DamagedError, match=r"task 'mixed' combines task 'c': .*c\.safetensors"):
        bank.read_task("mixed")
    files = [one.file for one in verify(bank.path).problems]
    assert files == ["masks/c.safetensors", "masks/mixed.safetensors"]


def test_another_task_under_a_parents_name_is_found_out(bank: Bank) -> None:
    add_mixed(bank)
    expected = bank.read_task("b").content_sha256
    bank.task_path("b").unlink()
    other = add(bank, "b", seed=9)
    with pytest.raises(DamagedError, match="task 'mixed' combines task 'b': content ") as error:
        bank.read_task("mixed")
    assert other.content_sha256[:16] in error.value.message
    assert expected[:16] in error.value.message


def test_combinations_of_combinations_are_refused_even_in_a_circle(
    bank: Bank, tmp_path: Path
) -> None:
    add_mixed(bank)
    with pytest.raises(
        DamagedError, match=r"task 'twice' combines task 'mixed': .* expected a mask"
    ):
        add_combination(bank, "twice", "mixed", "a", "b")
    assert bank.tasks() == [*PARENTS, "mixed"]
    # a combination with the name of its own parent, as a forger might write it
    other = create(tmp_path / "other")
    for seed, name in enumerate(("a", "mixed", "c")):
        add(other, name, seed)
    parents = parents_of(*(other.read_task(one) for one in ("a", "mixed", "c")))
    circular = other.add_combination(
        facts("b", parents=parents), coefficients(other, 1, 1, 1, 0), {}, PROVENANCE
    )
    assert circular.content.task == "b"
    bank.task_path("b").write_bytes(other.task_path("b").read_bytes())
    for name in ("mixed", "b"):
        with pytest.raises(DamagedError, match="expected a mask"):
            bank.read_task(name)


def test_parents_are_not_removed_before_their_children(bank: Bank) -> None:
    add_mixed(bank)
    add(bank, "d", 4)
    assert (bank.children("a"), bank.children("d"), bank.children("mixed")) == (["mixed"], [], [])
    before = bank.task_path("a").read_bytes()
    with pytest.raises(InUseError, match="combination 'mixed' found that needs this task") as error:
        bank.remove_task("a")
    assert error.value.exit_code == 11
    assert "supsup tasks remove mixed" in error.value.hint
    assert bank.task_path("a").read_bytes() == before
    for name in ("d", "mixed", "a"):
        bank.remove_task(name)
    assert bank.tasks() == ["b", "c"]
    with pytest.raises(NoSuchTaskError):
        bank.remove_task("a")


def test_nothing_is_removed_while_the_system_hides_who_needs_it(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_mixed(bank)
    opened = system_calls.open_file

    def refuse(path: Path, flags: int) -> int:
        if path.name.startswith("mixed"):
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(path))
        return opened(path, flags)

    monkeypatch.setattr(system_calls, "open_file", refuse)
    with pytest.raises(StorageError):
        bank.remove_task("a")
    assert "a" in bank.tasks()


def test_transfer_alone_makes_no_child(bank: Bank) -> None:
    stated = facts("later", parents=parents_of(bank.read_task("a")))
    bank.add_task(stated, masks(bank, 5), {}, PROVENANCE)
    assert bank.children("a") == []
    bank.remove_task("a")
    assert bank.read_task("later").content.parents[0].task == "a"


def test_a_copy_brings_the_parents_along(bank: Bank, tmp_path: Path) -> None:
    original = add_mixed(bank)
    other = create(tmp_path / "other")
    other.copy_task("b", bank)
    copied = other.copy_task("mixed", bank)
    assert other.tasks() == [*PARENTS, "mixed"]
    assert copied.content_sha256 == original.content_sha256
    for name in other.tasks():
        assert other.task_path(name).read_bytes() == bank.task_path(name).read_bytes()
    renamed = other.copy_task("mixed", bank, "blend")
    assert renamed.content.task == "blend"
    assert renamed.content_sha256 != original.content_sha256
    assert np.array_equal(*other.read_tasks(["mixed", "blend"])[1])
    assert other.children("a") == ["blend", "mixed"]


def test_a_copy_beside_another_parent_of_that_name_is_refused(bank: Bank, tmp_path: Path) -> None:
    add_mixed(bank)
    other = create(tmp_path / "other")
    add(other, "b", seed=9)
    with pytest.raises(DamagedError, match="task 'mixed' combines task 'b': content"):
        other.copy_task("mixed", bank)
    assert "mixed" not in other.tasks()


def test_a_combination_is_never_overwritten_and_belongs_to_one_base(
    bank: Bank, tmp_path: Path
) -> None:
    add_mixed(bank)
    with pytest.raises(NameTakenError):
        add_mixed(bank)
    stranger = create(tmp_path / "stranger", spec(seed=1))
    stranger.task_path("mixed").write_bytes(bank.task_path("mixed").read_bytes())
    with pytest.raises(OtherBaseError, match=r"mixed\.safetensors"):
        stranger.read_task("mixed")


def test_every_flipped_bit_is_refused(bank: Bank) -> None:
    add_mixed(bank)
    path = bank.task_path("mixed")
    for _, changed in flips(path.read_bytes(), every=5):
        path.write_bytes(changed)
        with pytest.raises(DamagedError, match=r"mixed\.safetensors"):
            bank.read_task("mixed")


def test_a_combination_under_another_name_is_damage(bank: Bank) -> None:
    add_mixed(bank)
    bank.task_path("mixed").rename(bank.task_path("other"))
    with pytest.raises(DamagedError, match="task 'mixed' found inside, expected 'other'"):
        bank.read_task("other")


def test_what_does_not_fit_is_refused(bank: Bank) -> None:
    good = coefficients(bank, 1, 1, 1, 0)
    known = parents_of(*(bank.read_task(one) for one in PARENTS))
    stated = facts("x", parents=known)
    many = tuple(dataclasses.replace(known[0], task=f"t{n}") for n in range(65))
    attempts: list[tuple[Any, Any, Any]] = [
        (stated, {"first.weight": good["first.weight"]}, {}),
        (stated, good | {"other": good["first.weight"]}, {}),
        (stated, coefficients(bank, 1, 1, 0), {}),
        (stated, coefficients(bank, 1, 1, np.nan, 0), {}),
        (stated, coefficients(bank, 1, 1, np.inf, 0), {}),
        (stated, {name: one.astype(np.float64) for name, one in good.items()}, {}),
        (stated, good, {"mean": np.zeros(3)}),
        (facts("x", parents=()), coefficients(bank, 0), {}),
        (facts("x", parents=known[:1] * 3), good, {}),
        (facts("a", parents=known), good, {}),
        (facts("x", parents=many), coefficients(bank, *range(66)), {}),
    ]
    for fact, values, statistics in attempts:
        with pytest.raises(ValueError, match=r"expected|found|place|missing"):
            bank.add_combination(fact, values, statistics, PROVENANCE)
    assert bank.tasks() == list(PARENTS)
