"""Many writers of one index, killed at any moment: lists and files never disagree."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.disk import system_calls
from bank_format.index.known import know_tasks
from bank_format.index.survey import survey
from bank_format.index.writing import index_kept, update_index
from tests.robustness.faults.faults import fast_folder
from tests.robustness.kills.test_many_processes import PATIENCE, start
from tests.support.banks import FEATURES, add_signed, create, index_files

WRITERS, TASKS, KILLS = 8, 96, 24


def _learn(path: Path, share: int, gate: Path) -> None:
    """Add a share of the tasks as commands do, each with the index brought up to date.

    Writers wait if they are far ahead of the kills, one byte of the `gate` each.
    """
    bank = Bank.open(path)
    for number in range(share, TASKS, WRITERS):
        name = f"task-{number:02}"
        if name not in bank.tasks():
            while len(bank.tasks()) > 2 * gate.stat().st_size + WRITERS:
                time.sleep(0.001)
            with index_kept(bank) as keeper:
                add_signed(bank, name, number)
                keeper.added()


def _ask(path: Path, stop: Path) -> None:
    """Know the tasks by the index, over and over; what is known of a task never changes."""
    bank, known = Bank.open(path), dict[str, bytes]()
    while not stop.exists():
        found = know_tasks(bank, FEATURES)
        assert not found.failed
        assert not found.faults
        assert (found.places >= 0).all()
        digests = {name: row.content_sha256 for name, row in found.rows.items()}
        assert known.items() <= digests.items()
        known = digests


def _swarm(folder: Path, readers: int) -> Bank:
    """Run writers and readers, and kill writers; every one that is killed is started again."""
    chance = random.Random(20)
    bank, complaints, stop = create(folder / "bank"), folder / "complaints", folder / "stop"
    complaints.mkdir()
    gate = folder / "gate"
    gate.touch()

    def write(share: int) -> int:
        return start(lambda: _learn(bank.folder, share, gate), complaints)

    reading = [start(lambda: _ask(bank.folder, stop), complaints) for _ in range(readers)]
    writing = {write(share): share for share in range(WRITERS)}
    deadline, killed = time.monotonic() + PATIENCE, 0
    while writing and time.monotonic() < deadline:
        time.sleep(chance.uniform(0, 0.005))
        for one in [one for one in writing if os.waitpid(one, os.WNOHANG) != (0, 0)]:
            del writing[one]
        if writing and killed < min(KILLS, len(bank.tasks()) / 2):
            victim = chance.choice([*writing])
            os.kill(victim, signal.SIGKILL)
            _, status = os.waitpid(victim, 0)
            killed += os.WIFSIGNALED(status)
            share = writing.pop(victim)
            writing[write(share)] = share
            with gate.open("ab") as file:
                file.write(b"." * (TASKS if killed == KILLS else 1))
    stop.touch()
    ended = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in reading]
    assert [one.read_text() for one in complaints.iterdir()] == []
    assert not writing
    assert ended == [0] * readers
    assert killed == KILLS
    return bank


def _check(bank: Bank, pairs: int) -> None:
    """After one more command the index knows every task, and says what the files say.

    Args:
        bank: the bank.
        pairs: of files that the index may have at most.
    """
    update_index(bank)
    names = [f"task-{number:02}" for number in range(TASKS)]
    found = survey(bank)
    assert [*found.rows] == names == bank.tasks()
    assert {name: row.content_sha256.hex() for name, row in found.rows.items()} == {
        name: bank.read_task(name).content_sha256 for name in names
    }
    assert not found.leftovers
    assert len(index_files(bank.folder)) <= 2 * pairs
    report = verify(bank.folder)
    assert report.problems == ()


def test_eight_writers_that_die_and_two_readers() -> None:
    with fast_folder() as folder:
        _check(_swarm(folder, readers=2), TASKS.bit_length())


def test_where_locks_always_succeed(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a network file system with locks that only one machine knows."""
    monkeypatch.setattr(system_calls, "flock", lambda *_: None)
    with fast_folder() as folder:
        # Writers that merge at the same time may leave a pair each, all of one size.
        _check(_swarm(folder, readers=1), TASKS.bit_length() + WRITERS)
