"""Several tasks learned at once: the same masks, the same promises."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bank_format.bank import Bank
from supsup_cli.workflows.learning.workers import Message, Tell, Workers, WorkerStop
from tests.support.commands import ROOT

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux alone")

RANGE = ("--data", "mnist-perm-0..2", "--batch-size", "16")


def _command(bank: Path, *options: str) -> list[str]:
    command = [sys.executable, "-m", "supsup_cli", "learn-task", "--bank", str(bank)]
    return [*command, *RANGE, *options, "--json"]


def _environment(threads: int) -> dict[str, str]:
    return os.environ | {"OMP_NUM_THREADS": str(threads)}


def _learn(bank: Path, threads: int, *options: str) -> dict[str, str]:
    ran = subprocess.run(
        _command(bank, *options),
        cwd=ROOT,
        env=_environment(threads),
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return {one["task"]: one["content_sha256"] for one in json.loads(ran.stdout)["tasks"]}


@pytest.fixture
def empty(tmp_path: Path) -> Path:
    bank = tmp_path / "bank"
    arguments = ["init-base", "--bank", str(bank), "--arch", "mlp-20", "--outputs", "100"]
    subprocess.run(
        [sys.executable, "-m", "supsup_cli", *arguments], cwd=ROOT, check=True, capture_output=True
    )
    return bank


def test_content_does_not_depend_on_how_many_are_learned_at_once(
    empty: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for name in ("bank.json", "base.safetensors"):
        (other / name).write_bytes((empty / name).read_bytes())
    at_once = _learn(empty, 2, "--steps", "30")
    assert list(at_once) == ["mnist-perm-0", "mnist-perm-1", "mnist-perm-2"]
    assert _learn(other, 1, "--steps", "30") == at_once
    machine = Bank.open(empty).read_task("mnist-perm-1").provenance.machine
    assert machine.endswith("1 threads")


def test_a_stop_keeps_the_work_of_every_worker(empty: Path) -> None:
    steps = ("--steps", "4000")
    running = subprocess.Popen(
        _command(empty, *steps),
        cwd=ROOT,
        env=_environment(2),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    claims = [empty / "work" / f"mnist-perm-{task}" / "claim" for task in (0, 1)]
    _until(lambda: all(claim.exists() for claim in claims))
    time.sleep(1)
    running.send_signal(signal.SIGINT)
    out, _ = running.communicate(timeout=60)
    assert running.returncode == 130
    assert json.loads(out)["error"]["message"].count("saved") == 2
    left = {path.parent.name for path in (empty / "work").glob("*/*") if path.name != "claim"}
    assert {"mnist-perm-0", "mnist-perm-1"} <= left


def _until(true: object, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():  # type: ignore[operator]
        assert time.monotonic() < end
        time.sleep(0.02)


def _odd(number: int, tell: Tell, _stop: WorkerStop) -> None:
    if number == 3:
        os._exit(9)
    tell({"square": number * number})


def test_a_worker_that_dies_is_told_and_the_others_go_on() -> None:
    workers = Workers(2, _odd)
    told: list[tuple[int, Message]] = list(workers.run(range(8), lambda: False))
    workers.close()
    assert sorted(n for n, one in told if "square" in one) == [0, 1, 2, 4, 5, 6, 7]
    assert [n for n, one in told if one.get("end") is False] == [3]


def _patient(number: int, tell: Tell, stop: WorkerStop) -> None:
    tell({"begun": number})
    while not stop.asked:
        time.sleep(0.01)
    tell({"stopped": number})


def test_all_workers_are_asked_to_stop_and_no_job_is_begun_after_that() -> None:
    workers = Workers(2, _patient)
    begun: list[int] = []
    stopped = []
    for number, message in workers.run(range(5), lambda: len(begun) == 2):
        if "begun" in message:
            begun.append(number)
        stopped += [number] if "stopped" in message else []
    workers.close()
    assert sorted(begun) == sorted(stopped) == [0, 1]


def test_workers_stop_when_their_parent_is_gone(tmp_path: Path) -> None:
    script = f"""
import os, sys, time
from pathlib import Path
from supsup_cli.workflows.learning.workers import Workers
def work(number, tell, stop):
    Path({str(tmp_path)!r}, f"begun-{{number}}").touch()
    while not stop.asked:
        time.sleep(0.01)
    Path({str(tmp_path)!r}, f"stopped-{{number}}").touch()
workers = Workers(2, work)
for _ in workers.run(range(2), lambda: False):
    pass
"""
    parent = subprocess.Popen([sys.executable, "-c", script], cwd=ROOT)
    _until(lambda: len(list(tmp_path.glob("begun-*"))) == 2)
    parent.kill()
    parent.wait()
    _until(lambda: len(list(tmp_path.glob("stopped-*"))) == 2)
