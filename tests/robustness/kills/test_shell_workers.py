"""Plain shell workers on one folder, killed at random: each task once, and little is wasted.

SUPSUP_TASKS, SUPSUP_ARCH and SUPSUP_STEPS set what they learn. The cost is printed together with
that of one command that learns the same tasks on all cores and is not killed, the best possible.
Processor seconds can be compared on a machine that others use; seconds only on a quiet one.
"""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from tests.support.commands import ROOT

TASKS = int(os.environ.get("SUPSUP_TASKS", "200"))
ARCH = os.environ.get("SUPSUP_ARCH", "mlp-16-16")
STEPS = os.environ.get("SUPSUP_STEPS", "400")
WORKERS = 8
KILLS = 16


def _learners(bank: Path) -> list[int]:
    """Find the processes that learn into a bank."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if b"learn-task" in words and os.fsencode(bank) in words:
            found.append(int(folder.name))
    return found


def _cost(work: Callable[[], None]) -> dict[str, float]:
    """Measure the work of other processes: seconds, and processor seconds of all of them."""

    def used() -> float:
        of_children = resource.getrusage(resource.RUSAGE_CHILDREN)
        return of_children.ru_utime + of_children.ru_stime

    began, before = time.monotonic(), used()
    work()
    return {
        "seconds": round(time.monotonic() - began, 1),
        "processor seconds": round(used() - before, 1),
    }


def _digests(bank: Bank) -> dict[str, str]:
    return {name: bank.read_task(name).content_sha256 for name in bank.tasks()}


def _killing(process: subprocess.Popen[str], bank: Path) -> int:
    """Kill learners, each when a random number of tasks is there, until all have ended."""
    chance = random.Random(20)
    moments = sorted(chance.sample(range(TASKS - WORKERS), KILLS))
    killed = 0
    while process.poll() is None:
        time.sleep(chance.uniform(0.1, 0.5))
        there = len(list(bank.glob("masks/*.safetensors")))
        victims = _learners(bank)
        if killed < KILLS and there >= moments[killed] and victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
            killed += 1
    return killed


@pytest.mark.slow
def test_eight_workers_that_are_killed_learn_each_task_once(tmp_path: Path) -> None:
    path, best = tmp_path / "work", tmp_path / "best"
    data = f"mnist-perm-0..{TASKS - 1}"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
    }
    settings = {"WORKERS": str(WORKERS), "ARCH": ARCH, "STEPS": STEPS, "DATA": data}
    settings["OMP_NUM_THREADS"] = "1"
    ended = []

    def workers() -> None:
        process = subprocess.Popen(
            ["sh", str(ROOT / "examples" / "workers.sh"), str(path)],
            env=environment | settings, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        killed = _killing(process, path / "bank")
        out, err = process.communicate()
        ended.append((process.returncode, killed, err.count(f"ended with {128 + signal.SIGKILL}")))
        assert ended == [(0, KILLS, KILLS)], (out, err)

    def one_command() -> None:
        threads = {"OMP_NUM_THREADS": str(os.cpu_count())}
        for words in (
            ("init-base", "--arch", ARCH),
            ("learn-task", "--data", data, "--steps", STEPS),
        ):
            command = [sys.executable, "-m", "supsup_cli", *words, "--bank", str(best), "--quiet"]
            subprocess.run(command, env=environment | threads, check=True, capture_output=True)

    costs = {"workers": _cost(workers), "one command": _cost(one_command)}
    bank = Bank.open(path / "bank")
    assert len(bank.tasks()) == TASKS
    assert verify(bank.path).problems == ()
    assert _digests(bank) == _digests(Bank.open(best))
    print(json.dumps(costs | {"cores": os.cpu_count()}))
