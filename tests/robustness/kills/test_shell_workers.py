"""Workers of plain shell on one folder, killed at random: each task once, and little is wasted."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from tests.support.commands import ROOT

TASKS = int(os.environ.get("SUPSUP_TASKS", "200"))
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


@pytest.mark.slow
def test_eight_workers_that_are_killed_learn_each_task_once(tmp_path: Path) -> None:
    chance = random.Random(20)
    path = tmp_path / "work"
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(ROOT),
        "WORKERS": str(WORKERS),
        "ARCH": "mlp-16-16",
        "STEPS": "400",
        "DATA": f"mnist-perm-0..{TASKS - 1}",
        "OMP_NUM_THREADS": "1",
    }
    began = time.monotonic()
    process = subprocess.Popen(
        ["sh", str(ROOT / "examples" / "workers.sh"), str(path)],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    killed = 0
    while process.poll() is None:
        time.sleep(chance.uniform(0.5, 3))
        victims = _learners(path / "bank")
        if killed < KILLS and victims:
            os.kill(chance.choice(victims), signal.SIGKILL)
            killed += 1
    took = time.monotonic() - began
    out, err = process.communicate()
    assert process.returncode == 0, (out, err)
    assert killed == KILLS
    bank = Bank.open(path / "bank")
    assert len(bank.tasks()) == TASKS
    assert verify(bank.path).problems == ()
    assert err.count(f"ended with {128 + signal.SIGKILL}") == KILLS
    # The best possible: the steps that were needed, on as many cores as there are.
    needed = sum(bank.read_task(name).provenance.seconds for name in bank.tasks())
    print(json.dumps({"seconds": took, "of learning": needed, "cores": os.cpu_count()}))
