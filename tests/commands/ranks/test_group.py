"""How ranks meet, exchange values, and find out which one failed, on a board in this process."""

import json
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from supsup_cli.errors import RankFailedError
from supsup_cli.torchrun import group as groups
from supsup_cli.torchrun.group import Failure, RankGroup
from supsup_cli.torchrun.life import Life
from supsup_cli.torchrun.place import Place


class DictBoard:
    """The part of torch.distributed's store that is used, for threads of one process."""

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def set(self, key: str, value: str | bytes) -> None:
        with self._lock:
            self._values[key] = value.encode() if isinstance(value, str) else value

    def get(self, key: str) -> bytes:
        return self._values[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self._values for key in keys)

    def add(self, key: str, amount: int) -> int:
        with self._lock:
            total = int(self._values.get(key, b"0")) + amount
            self._values[key] = str(total).encode()
            return total


@pytest.fixture
def board() -> DictBoard:
    return DictBoard()


def pair(board: DictBoard) -> tuple[RankGroup, RankGroup]:
    first, second = (RankGroup(Place(rank, 2, rank), board) for rank in (0, 1))
    return first, second


def dead_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_ranks_wait_until_all_have_come(board: DictBoard) -> None:
    first, second = pair(board)
    came = []

    def come_late() -> None:
        time.sleep(0.2)
        came.append(1)
        second.meet()

    other = threading.Thread(target=come_late)
    other.start()
    first.meet()
    assert came == [1]
    other.join()


def test_what_ends_another_rank_is_told_by_rank_0(
    board: DictBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_STAYS", 0.1)
    first, second = pair(board)
    second.post(Failure("masks/a: damaged", "supsup verify", "damaged", 5, {"tasks": []}))
    second.check()  # only the first rank prints
    assert second.cause() is None
    with pytest.raises(RankFailedError) as failed:
        first.meet()
    error = failed.value
    assert (error.message, error.hint) == ("rank 1: masks/a: damaged", "supsup verify")
    assert (error.slug, error.exit_code, error.beside) == ("damaged", 5, {"tasks": []})


def test_a_failed_rank_goes_as_soon_as_it_is_told_of(board: DictBoard) -> None:
    first, second = pair(board)
    told = threading.Timer(0.2, first.end)
    told.start()
    before = time.monotonic()
    second.post(Failure("x", "", "usage", 2, {}))
    assert time.monotonic() - before < groups._STAYS
    told.join()


@pytest.mark.parametrize(("gone", "speaker"), [(1, 0), (0, 1)])
def test_the_first_rank_that_is_left_names_the_one_that_died(
    board: DictBoard, gone: int, speaker: int
) -> None:
    ranks = pair(board)
    dead = dead_process()
    board.set(f"process/{gone}", f"{dead} {socket.gethostname()}")
    ranks[speaker]._life.begin()
    cause = ranks[speaker].cause()
    ranks[speaker].end()
    assert cause is not None
    assert f"rank {gone} (process {dead} on {socket.gethostname()}) died" in cause.message
    assert (cause.slug, cause.exit_code) == ("rank-died", 1)


def test_a_process_of_another_machine_is_not_called_dead(board: DictBoard) -> None:
    first, _ = pair(board)
    board.set("process/1", f"{dead_process()} elsewhere")
    first._life.begin()
    assert first.cause() is None
    first.end()


def test_silence_is_noticed_after_a_while(board: DictBoard) -> None:
    life, clock = Life(board, 0, 3), [0.0]
    board.set("beat/1", "1")

    def silent() -> int:
        return life.silent([1, 2], lambda: clock[0])

    assert silent() == -1
    clock[0] = 14
    board.set("beat/1", "2")
    assert silent() == -1
    clock[0] = 16
    assert silent() == 2  # it has not reported since it was first asked about
    board.set("beat/2", "1")
    assert silent() == -1
    clock[0] = 40
    assert silent() == 1


def test_signs_are_given_while_a_rank_works(
    board: DictBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("supsup_cli.torchrun.life._BEAT_EVERY", 0.01)
    first, second = pair(board)
    second._life.begin()
    while not board.check(["beat/1"]) or int(board.get("beat/1")) < 3:
        time.sleep(0.01)
    second.end()
    assert board.get("process/1").decode() == f"{os.getpid()} {socket.gethostname()}"
    assert first.cause() is None


def test_work_of_all_is_counted_on_rank_0(board: DictBoard) -> None:
    first, second = pair(board)
    assert second.count_units(5) == 0
    assert first.count_units(3) == 5
    assert first.count_units(1) == 0
    second.count_units(2)
    assert first.count_units(0) == 2


def test_lines_that_rank_0_reads_reach_all(
    board: DictBoard, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(groups, "_LINE", 7)
    text = "images/chien à poil.png\n\udcff.png\n"
    first, second = pair(board)
    assert first.told(lambda: text) == text
    assert second.told(lambda: "another text") == text
    assert json.loads(board.get("told")) > 3
