"""Parts of a state: found under their seals, believed only when they are what was written."""

from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.errors import DamagedError
from bank_format.kinds.state import WorkRoom, WorkState
from bank_format.kinds.work_parts import list_parts, read_part, remove_parts, write_part
from tests.support.banks import create, flips

PLAN = "ab" * 32


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return create(tmp_path / "bank")


@pytest.fixture
def room(bank: Bank) -> WorkRoom:
    with bank.claim("pets") as room:
        write_part(room, part(1))
    return room


def part(step: int) -> WorkState:
    return WorkState(PLAN, step, {"scores/first.weight": np.full((5, 6), step, dtype=np.float32)})


def files(room: WorkRoom) -> list[Path]:
    return sorted(room.folder.glob("part-*"))


def test_parts_are_read_under_the_names_they_were_given(room: WorkRoom) -> None:
    names = [write_part(room, part(step)) for step in (1, 2, 3)]
    assert list_parts(room) == sorted(names)
    for step, name in enumerate(names, start=1):
        found = read_part(room, name)
        assert (found.plan, found.step) == (PLAN, step)
        assert float(found.tensors["scores/first.weight"].mean()) == step
    assert room.read() is None
    room.write(WorkState(PLAN, 3, {}))
    assert list_parts(room) == sorted(names)


def test_only_parts_that_no_state_names_are_removed(room: WorkRoom) -> None:
    names = [write_part(room, part(step)) for step in (1, 2, 3)]
    (room.folder / "part-notes.txt").write_text("mine")
    room.write(WorkState(PLAN, 3, {}))
    remove_parts(room, but=names[1:])
    assert list_parts(room) == sorted(names[1:])
    assert (room.folder / "part-notes.txt").exists()
    assert room.path.exists()


def test_every_flipped_bit_of_a_part_is_found(room: WorkRoom) -> None:
    (path,), (name,) = files(room), list_parts(room)
    for _, changed in flips(path.read_bytes(), every=7):
        path.write_bytes(changed)
        with pytest.raises(DamagedError, match=path.name):
            read_part(room, name)


def test_a_part_that_is_gone_or_under_another_name_is_damage(room: WorkRoom) -> None:
    other = "0" * 64
    with pytest.raises(DamagedError, match="no such file found"):
        read_part(room, other)
    files(room)[0].rename(room.folder / f"part-{other}.safetensors")
    with pytest.raises(DamagedError, match="expected its name"):
        read_part(room, other)


def test_parts_are_unfinished_work_and_go_with_it(bank: Bank, room: WorkRoom) -> None:
    assert bank.unfinished() == ["pets"]
    report = verify(bank.path)
    assert (len(report.problems), len(report.hints)) == (0, 1)
    files(room)[0].write_bytes(b"torn")
    report = verify(bank.path)
    assert (len(report.problems), len(report.hints)) == (0, 2)
    bank.discard_work("pets")
    assert list((bank.path / "work").iterdir()) == []
