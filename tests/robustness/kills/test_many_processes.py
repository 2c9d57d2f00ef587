"""Many processes on one bank: writers that are killed at any moment, readers that never wait."""

import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.disk import system_calls
from bank_format.errors import LockedError, NameTakenError
from tests.robustness.faults.faults import fast_folder
from tests.support.banks import add, create

PATIENCE = 240  # seconds


def start(work: Callable[[], None], complaints: Path) -> int:
    """Fork a process that does the work, and writes its errors to its own file."""
    child = os.fork()
    if child:
        return child
    try:
        work()
        os._exit(0)
    except BaseException:
        (complaints / str(os.getpid())).write_text(traceback.format_exc())
    finally:
        os._exit(1)


def _write(path: Path, names: list[str], acknowledged: Path, seed: int) -> None:
    """Add every missing task, in a random order; every writer wants to add them all."""
    order = random.Random(seed).sample(names, len(names))
    bank = Bank.open(path)
    with (acknowledged / str(os.getpid())).open("a", buffering=1) as told:
        while left := set(order).difference(bank.tasks()):
            for name in order:
                if name in left:
                    with suppress(NameTakenError, LockedError), bank.work.claim(name):
                        task = add(bank, name, seed)
                        told.write(f"{name} {task.content_sha256}\n")


def _read(path: Path, stop: Path) -> None:
    """Read and check everything, over and over; what was seen once must stay."""
    known: dict[str, str] = {}
    while not stop.exists():
        tasks, _ = Bank.open(path).read_tasks()
        found = {task.content.task: task.content_sha256 for task in tasks}
        assert known.items() <= found.items()
        known = found
        assert verify(path).problems == ()


def _swarm(
    folder: Path, *, writers: int, readers: int, tasks: int, kills: int, locks: bool = True
) -> int:
    chance = random.Random(20)
    bank = create(folder / "bank")
    names = [f"task-{number}" for number in range(tasks)]
    acknowledged, complaints, stop = (folder / name for name in ("acks", "complaints", "stop"))
    acknowledged.mkdir()
    complaints.mkdir()
    seeds = iter(range(10**6))

    def start_writer() -> int:
        seed = next(seeds)
        return start(lambda: _write(bank.path, names, acknowledged, seed), complaints)

    reading = [start(lambda: _read(bank.path, stop), complaints) for _ in range(readers)]
    writing = [start_writer() for _ in range(writers)]
    deadline = time.monotonic() + PATIENCE
    killed = 0
    while writing and time.monotonic() < deadline:
        time.sleep(chance.uniform(0.002, 0.03))
        if killed < kills:
            victim = writing.pop(chance.randrange(len(writing)))
            os.kill(victim, signal.SIGKILL)
            _, status = os.waitpid(victim, 0)
            killed += os.WIFSIGNALED(status)
            writing.append(start_writer())
        writing = [one for one in writing if os.waitpid(one, os.WNOHANG) == (0, 0)]
    stop.touch()
    ended = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in reading]
    told = [one.read_text() for one in complaints.iterdir()]
    assert told == []
    assert writing == []
    assert ended == [0] * readers

    acks = [line.split() for one in acknowledged.iterdir() for line in one.open()]
    assert max(Counter(name for name, _ in acks).values()) == 1
    found = {name: bank.read_task(name).content_sha256 for name in bank.tasks()}
    assert dict(acks).items() <= found.items()
    assert sorted(found) == sorted(names)
    assert verify(bank.path).problems == ()
    if locks:
        for name in bank.work.unfinished():
            bank.work.discard(name)
        assert list((bank.folder / "work").iterdir()) == []
    return killed


def test_where_locks_always_succeed_the_link_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulate a network file system with locks that only one machine knows."""
    monkeypatch.setattr(system_calls, "flock", lambda *_: None)
    with fast_folder() as folder:
        assert _swarm(folder, writers=4, readers=1, tasks=40, kills=6, locks=False) > 0


def test_two_readers_and_four_writers_that_die() -> None:
    with fast_folder() as folder:
        assert _swarm(folder, writers=4, readers=2, tasks=40, kills=12) > 0


@pytest.mark.slow
def test_four_readers_and_eight_writers_that_die(tmp_path: Path) -> None:
    assert _swarm(tmp_path, writers=8, readers=4, tasks=400, kills=100) >= 50
