"""Time learning and predicting alone and next to two busy processes; run by name.

    python -m tests.benchmarks.learning.neighbours [--runs 5] [--steps 100]

Each figure is a whole command with as many threads as there are processors. It runs in turn alone
and next to two processes that compute without a pause, so that other work of the machine affects
both. On two processors, a fair share already makes a command twice as slow. "spinning" is the same
with threads that spin while they wait, as torch's do if OMP_WAIT_POLICY is not set.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.benchmarks.made.timing import Timing, machine, row

NEIGHBOURS = 2
_BUSY = "while True: pass"
# The console command sets a policy unless there is one; OpenMP ignores the value "undefined".
_WAYS = {"sleeping": "passive", "spinning": "undefined"}


def main() -> None:
    """Print a row for each command and way of waiting."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--arch", default="conv-4")
    options = parser.parse_args()
    print(f"{machine()}; median (least … most) of {options.runs} runs\n")
    print(row("whole command", "alone", f"beside {NEIGHBOURS} busy processes", "times slower"))
    print(row("---", "---:", "---:", "---:"))
    with tempfile.TemporaryDirectory() as folder:
        bank = Path(folder) / "bank"
        _supsup("passive", "init-base", "--bank", bank, "--arch", options.arch)
        learn = ("learn-task", "--bank", bank, "--data", "mnist-split-0", "--steps", options.steps)
        _supsup("passive", *learn)
        ask = ("predict", "--bank", bank, "--data", "mnist-split-0", "--limit", 500)
        for way, policy in _WAYS.items():
            compare(f"`learn-task`, {options.arch}, {way}", policy, options.runs, bank, *learn)
            compare(f"`predict`, 500 images, {way}", policy, options.runs, bank, *ask)


def compare(what: str, policy: str, runs: int, bank: Path, *words: object) -> None:
    """Print how long a command takes alone and next to others, one run of each in turn."""
    alone, beside = [], []
    for _ in range(runs):
        alone.append(_seconds(policy, bank, *words))
        with _neighbours():
            beside.append(_seconds(policy, bank, *words))
    here, there = Timing(tuple(alone)), Timing(tuple(beside))
    print(row(what, here, there, f"{there.median / here.median:.2f}"), flush=True)


def _seconds(policy: str, bank: Path, *words: object) -> float:
    if words[0] == "learn-task":
        _supsup(policy, "tasks", "remove", "mnist-split-0", "--bank", bank, "--yes")
    began = time.perf_counter()
    _supsup(policy, *words)
    return time.perf_counter() - began


def _supsup(policy: str, *words: object) -> None:
    environment = {name: one for name, one in os.environ.items() if name != "OMP_NUM_THREADS"}
    command = [sys.executable, "-m", "supsup_cli", *map(str, words), "--quiet"]
    environment["OMP_WAIT_POLICY"] = policy
    subprocess.run(command, check=True, capture_output=True, env=environment)


@contextmanager
def _neighbours() -> Iterator[None]:
    busy = [subprocess.Popen([sys.executable, "-c", _BUSY]) for _ in range(NEIGHBOURS)]
    try:
        yield
    finally:
        for one in busy:
            one.kill()
            one.wait()


if __name__ == "__main__":
    main()
