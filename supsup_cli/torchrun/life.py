"""Signs of life: how ranks notice that one of them died."""

import os
import socket
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

# torchrun notices at once if a rank on this machine dies. On another machine its silence shows it:
# longer than a busy machine ever takes to run a thread again.
_BEAT_EVERY = 1.0  # seconds
_SILENCE = 15.0  # seconds


class Board(Protocol):
    """What all ranks read and write: torch.distributed's store."""

    def set(self, key: str, value: str | bytes) -> None:
        """Write a value."""

    def add(self, key: str, amount: int) -> int:
        """Add to a number, and read it."""

    def get(self, key: str) -> bytes:
        """Read a value."""

    def check(self, keys: list[str]) -> bool:
        """Return whether all of the keys are there."""


@dataclass(frozen=True)
class Process:
    """Where a rank runs: its machine and process."""

    number: int
    host: str

    def __str__(self) -> str:
        return f"process {self.number} on {self.host}"

    @property
    def gone(self) -> bool:
        """Whether it has stopped running; False if this machine cannot know that."""
        if self.host != socket.gethostname():
            return False
        with suppress(OSError):
            os.kill(self.number, 0)
            return False
        return True


class Life:
    """Signs of life of all ranks, including this one's.

    Args:
        board: where signs are left.
        rank: of this process.
        count: number of ranks.
    """

    def __init__(self, board: Board, rank: int, count: int) -> None:
        self._board = board
        self._rank = rank
        self._others = [one for one in range(count) if one != rank]
        self._heard: dict[int, tuple[bytes, float]] = {}
        self._processes: dict[int, Process] = {}
        self._ended = threading.Event()
        board.set(f"process/{rank}", f"{os.getpid()} {socket.gethostname()}")

    def begin(self) -> None:
        """Read where the other ranks run (all are there), and start giving signs of life."""
        for other in self._others:
            number, _, host = self._board.get(f"process/{other}").decode().partition(" ")
            self._processes[other] = Process(int(number), host)
        threading.Thread(target=self._beat, daemon=True).start()

    def end(self) -> None:
        """Stop giving signs of life."""
        self._ended.set()

    def who(self, rank: int) -> str:
        """Name a rank with its process and machine."""
        process = self._processes.get(rank)
        return f"rank {rank}" if process is None else f"rank {rank} ({process})"

    def gone(self) -> list[int]:
        """List the ranks on this machine that have no process any more."""
        return [rank for rank in self._others if rank in self._processes and self._dead(rank)]

    def silent(self, waited_for: Sequence[int], now: Callable[[], float] = time.monotonic) -> int:
        """Find an awaited rank that has given no sign for too long; -1 if there is none.

        The time of a rank counts from the first question about it.
        """
        for rank in waited_for:
            key = f"beat/{rank}"
            beat = self._board.get(key) if self._board.check([key]) else b""
            if rank not in self._heard or self._heard[rank][0] != beat:
                self._heard[rank] = (beat, now())
            elif now() - self._heard[rank][1] > _SILENCE:
                return rank
        return -1

    def _dead(self, rank: int) -> bool:
        return self._processes[rank].gone

    def _beat(self) -> None:
        beats = 0
        while not self._ended.wait(_BEAT_EVERY):
            beats += 1
            try:
                self._board.set(f"beat/{self._rank}", str(beats))
            except RuntimeError:  # torchrun has ended, and ends its workers too
                return
