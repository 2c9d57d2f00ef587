"""State files of unfinished work: what is written is read back, and nothing else is accepted."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.encoding.sealed import Tensor, seal, unseal
from bank_format.errors import (
    BankError,
    DamagedError,
    LockedError,
    NewerFormatError,
    NoSuchTaskError,
    OtherBaseError,
)
from bank_format.kinds.state import STATE_FILE, WorkFolder, WorkState, build_state, state_limit
from tests.support.banks import create, flips, spec
from tests.support.commands import ROOT

PLAN = "ab" * 32
HOLD = """
import sys
from pathlib import Path
from bank_format.bank import Bank
with Bank.open(Path(sys.argv[1])).work.claim("pets"):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return create(tmp_path / "bank")


def _tensors() -> dict[str, Tensor]:
    return {
        "scores/first.weight": np.linspace(-1, 1, 30, dtype=np.float32).reshape(5, 6),
        "order/generator": np.arange(200, dtype=np.uint8),
        "order/used": np.asarray(17.0),
    }


def _state(step: int = 12) -> WorkState:
    return WorkState(PLAN, step, _tensors())


def _leave_state(bank: Bank, task: str = "pets") -> Path:
    """Leave a state as a killed learner does, together with the claim."""
    with bank.work.claim(task) as work:
        work.write(_state())
    (work.folder / "claim").touch()
    (work.folder / f".{STATE_FILE}.1.ab.tmp").write_bytes(b"half")
    return work.path


def test_a_state_is_read_as_it_was_written_and_replaced_by_the_next(bank: Bank) -> None:
    with bank.work.claim("pets") as work:
        assert work.read() is None
        for step in (12, 13):
            assert work.write(_state(step)) == work.path.stat().st_size
        state = work.read()
    assert state is not None
    assert (state.plan, state.step) == (PLAN, 13)
    assert state.tensors.keys() == _tensors().keys()
    for name, tensor in _tensors().items():
        assert state.tensors[name].dtype == tensor.dtype
        assert np.array_equal(state.tensors[name], tensor)
    assert bank.tasks() == []


def test_the_room_is_empty_once_its_state_is_discarded(bank: Bank) -> None:
    _leave_state(bank)
    with bank.work.claim("pets") as work:
        work.discard()
        assert work.read() is None
    assert list((bank.path / "work").iterdir()) == []


def test_every_flipped_bit_of_a_state_is_found(bank: Bank) -> None:
    path = _leave_state(bank)
    work = WorkFolder(path.parent, "pets", bank.record)
    for _, changed in flips(path.read_bytes(), every=7):
        path.write_bytes(changed)
        with pytest.raises(DamagedError, match=STATE_FILE):
            work.read()


def test_a_state_under_another_task_s_folder_or_of_another_base_is_refused(
    bank: Bank, tmp_path: Path
) -> None:
    path = _leave_state(bank)
    with pytest.raises(DamagedError, match="'pets' found inside, expected 'dogs'"):
        WorkFolder(path.parent, "dogs", bank.record).read()
    other = create(tmp_path / "other", spec(seed=1))
    with pytest.raises(OtherBaseError, match=STATE_FILE):
        WorkFolder(path.parent, "pets", other.record).read()


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"version": 2}, NewerFormatError),
        ({"kind": "mask"}, NewerFormatError),
        ({"version": 0}, DamagedError),
        ({"step": -1}, DamagedError),
        ({"step": 1.0}, DamagedError),
        ({"plan": "short"}, DamagedError),
        ({"task": "../x"}, DamagedError),
        ({"extra": 1}, DamagedError),
    ],
)
def test_a_resealed_state_that_says_something_else_is_refused(
    changes: dict[str, object], error: type[BankError], bank: Bank
) -> None:
    path = _leave_state(bank)
    tensors, metadata = unseal(path.read_bytes(), "state")
    assert isinstance(metadata, dict)
    content = metadata["content"]
    assert isinstance(content, dict)
    path.write_bytes(seal(tensors, {"content": content | changes}))  # type: ignore[dict-item]
    with pytest.raises(error, match=STATE_FILE):
        WorkFolder(path.parent, "pets", bank.record).read()


def test_more_than_the_limit_is_neither_written_nor_read(bank: Bank) -> None:
    size = state_limit(bank.record)
    huge = WorkState(PLAN, 0, {"scores/first.weight": np.zeros(size, dtype=np.uint8)})
    with pytest.raises(ValueError, match="expected at most"):
        build_state(bank.record, "pets", huge)
    path = _leave_state(bank)
    os.truncate(path, size + 1)
    with pytest.raises(DamagedError, match="expected at most"):
        WorkFolder(path.parent, "pets", bank.record).read()


def test_a_state_that_cannot_be_written_down_is_a_programming_mistake(bank: Bank) -> None:
    for state in (
        dataclasses.replace(_state(), plan="x"),
        dataclasses.replace(_state(), step=-1),
        dataclasses.replace(_state(), tensors={"count": np.arange(3)}),
    ):
        with pytest.raises(ValueError, match=r"found|no place"):
            build_state(bank.record, "pets", state)


def test_unfinished_work_is_listed_and_discarded(bank: Bank) -> None:
    assert bank.work.unfinished() == []
    _leave_state(bank, "pets")
    (bank.path / "work" / "empty").mkdir()
    only_claim = bank.path / "work" / "killed-early"
    only_claim.mkdir()
    (only_claim / "claim").touch()
    strange = bank.path / "work" / "strange"
    strange.mkdir()
    (strange / "notes.txt").write_text("mine")
    (bank.path / "work" / "Not A Task").mkdir()
    (bank.path / "work" / "file").touch()
    (bank.path / "work" / "linked").symlink_to(strange)
    assert bank.work.unfinished() == ["empty", "killed-early", "pets"]
    for name in bank.work.unfinished():
        bank.work.discard(name)
    assert bank.work.unfinished() == []
    left = ["Not A Task", "file", "linked", "strange"]
    assert sorted(one.name for one in (bank.path / "work").iterdir()) == left
    assert (strange / "notes.txt").read_text() == "mine"


def test_only_files_known_by_name_are_discarded(bank: Bank) -> None:
    folder = _leave_state(bank).parent
    (folder / "notes.txt").write_text("mine")
    bank.work.discard("pets")
    assert [one.name for one in folder.iterdir()] == ["notes.txt"]
    assert bank.work.unfinished() == []


def test_nothing_a_link_and_a_file_are_not_discarded(bank: Bank, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / STATE_FILE).write_text("precious")
    (bank.path / "work" / "linked").symlink_to(outside)
    (bank.path / "work" / "file").touch()
    with pytest.raises(NoSuchTaskError):
        bank.work.discard("pets")
    for name in ("linked", "file"):
        with pytest.raises(DamagedError, match=name):
            bank.work.discard(name)
    assert (outside / STATE_FILE).read_text() == "precious"
    assert (bank.path / "work" / "file").exists()


def test_the_work_of_a_live_learner_is_neither_listed_nor_discarded(bank: Bank) -> None:
    path = _leave_state(bank)
    command = [sys.executable, "-c", HOLD, str(bank.path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "claimed\n"
        assert bank.work.unfinished() == []
        for refused in (bank.work.discard, bank.work.check_claimable):
            with pytest.raises(LockedError, match=f"held by process {process.pid} on "):
                refused("pets")
        process.communicate("")
    bank.work.check_claimable("pets")
    assert path.parent.is_dir()
    bank.work.discard("pets")


@pytest.mark.parametrize("written", [b"", b"12", b"1 \x1b[31mhost 2026\n", b"\xff" * 5000])
def test_a_claim_file_that_says_nothing_of_use_is_not_repeated(written: bytes, bank: Bank) -> None:
    with bank.work.claim("pets") as work:
        (work.folder / "claim").write_bytes(written)
        # flock distinguishes descriptors of one process
        with pytest.raises(LockedError, match="held by a live process, expected free"):
            bank.work.check_claimable("pets")
