"""Several ranks: of torchrun in separate processes, or one after the other in this one."""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from supsup_cli.errors import PartDeliveredError
from supsup_cli.workflows.ranks import Part
from tests.support.commands import ROOT, Ran

_Result = TypeVar("_Result")


def start_ranks(
    count: int,
    *words: object,
    program: Sequence[str] = ("-m", "supsup_cli"),
    **options: Any,
) -> subprocess.Popen[str]:
    """Start one command on several ranks; the process is torchrun's."""
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launcher, f"--nproc-per-node={count}", *program, *map(str, words)]
    pipes: dict[str, Any] = {
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    }
    environment = {"env": {**os.environ, "OMP_NUM_THREADS": "1"}}
    return subprocess.Popen(command, cwd=ROOT, text=True, **(pipes | environment | options))


def run_ranks(count: int, *words: object, stdin: str | None = None) -> Ran:
    """Run one command on several ranks."""
    options: dict[str, Any] = {} if stdin is None else {"stdin": subprocess.PIPE}
    process = start_ranks(count, *words, **options)
    out, err = process.communicate(stdin, timeout=240)
    return Ran(process.returncode, out, err)


def rank_processes(torchrun: subprocess.Popen[str]) -> dict[int, int]:
    """Find the processes of the ranks that run now: rank → process number."""
    found = {}
    for children in Path(f"/proc/{torchrun.pid}/task").glob("*/children"):
        for child in children.read_text().split():
            try:
                variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
            except OSError:  # it has ended
                continue
            for one in variables:
                if one.startswith(b"RANK="):
                    found[int(one[5:])] = int(child)
    return found


class RankInTurn:
    """One of several ranks that do their parts one after the other, rank 0 last."""

    def __init__(self, rank: int, count: int, parts: dict[int, Part]) -> None:
        self.rank = rank
        self.count = count
        self._parts = parts

    def meet(self) -> None:
        """Wait for no one: the other ranks have ended, or have not begun."""

    def gathered(self, part: Part) -> list[Part]:
        self._parts[self.rank] = part
        if self.rank:
            raise PartDeliveredError
        return [self._parts[rank] for rank in range(self.count)]


def in_turn(count: int, work: Callable[[RankInTurn], _Result]) -> tuple[_Result, Sequence[Part]]:
    """Do some work on several ranks one after the other; return rank 0's result, and all parts."""
    parts: dict[int, Part] = {}
    for rank in range(count - 1, 0, -1):
        try:
            work(RankInTurn(rank, count, parts))
        except PartDeliveredError:
            continue
        raise AssertionError(f"rank {rank} went on after its part")
    return work(RankInTurn(0, count, parts)), [parts[rank] for rank in range(count)]
