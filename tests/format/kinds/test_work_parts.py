"""Parts of a state: found by their seals, accepted only if they are what was written."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.errors import DamagedError
from bank_format.kinds.state import (
    WorkFolder,
    WorkState,
    list_parts,
    read_part,
    remove_parts,
    write_part,
)
from tests.support.banks import create, flips

PLAN = "ab" * 32


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return create(tmp_path / "bank")


@pytest.fixture
def work(bank: Bank) -> WorkFolder:
    with bank.work.claim("pets") as work:
        write_part(work, part(1))
    return work


def part(step: int) -> WorkState:
    return WorkState(PLAN, step, {"scores/first.weight": np.full((5, 6), step, dtype=np.float32)})


def files(work: WorkFolder) -> list[Path]:
    return sorted(work.folder.glob("part-*"))


def test_parts_are_read_under_the_names_they_were_given(work: WorkFolder) -> None:
    names = [write_part(work, part(step)) for step in (1, 2, 3)]
    assert list_parts(work) == sorted(names)
    for step, name in enumerate(names, start=1):
        found = read_part(work, name)
        assert (found.plan, found.step) == (PLAN, step)
        assert float(found.tensors["scores/first.weight"].mean()) == step
    assert work.read() is None
    work.write(WorkState(PLAN, 3, {}))
    assert list_parts(work) == sorted(names)


def test_only_parts_that_no_state_names_are_removed(work: WorkFolder) -> None:
    names = [write_part(work, part(step)) for step in (1, 2, 3)]
    (work.folder / "part-notes.txt").write_text("mine")
    work.write(WorkState(PLAN, 3, {}))
    remove_parts(work, but=names[1:])
    assert list_parts(work) == sorted(names[1:])
    assert (work.folder / "part-notes.txt").exists()
    assert work.path.exists()


def test_every_flipped_bit_of_a_part_is_found(work: WorkFolder) -> None:
    (path,), (name,) = files(work), list_parts(work)
    for _, changed in flips(path.read_bytes(), every=7):
        path.write_bytes(changed)
        with pytest.raises(DamagedError, match=path.name):
            read_part(work, name)


def test_a_part_that_is_gone_or_under_another_name_is_damage(work: WorkFolder) -> None:
    other = "0" * 64
    with pytest.raises(DamagedError, match="no such file found"):
        read_part(work, other)
    files(work)[0].rename(work.folder / f"part-{other}.safetensors")
    with pytest.raises(DamagedError, match="expected its name"):
        read_part(work, other)


def test_parts_are_unfinished_work_and_go_with_it(bank: Bank, work: WorkFolder) -> None:
    assert bank.work.unfinished() == ["pets"]
    report = verify(bank.path)
    assert (len(report.problems), len(report.hints)) == (0, 1)
    files(work)[0].write_bytes(b"torn")
    report = verify(bank.path)
    assert (len(report.problems), len(report.hints)) == (0, 2)
    bank.work.discard("pets")
    assert list((bank.path / "work").iterdir()) == []
