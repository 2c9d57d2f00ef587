"""The same faults caused by the kernel: strace kills real processes and fails their calls."""

import os
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.robustness.faults.expected import Expected
from tests.robustness.faults.fault_scenarios import SCENARIOS
from tests.robustness.faults.faults import fast_folder
from tests.support.commands import ROOT

SEED = 20
CALLS = (
    "openat", "write", "fsync", "flock", "rmdir", "link", "linkat", "unlink", "unlinkat", "mkdir",
    "mkdirat", "rename", "renameat", "renameat2",
)  # fmt: skip
FAULTS = ("signal=SIGKILL", "error=ENOSPC", "error=EIO", "error=EINTR")
CASES = {"tasks copy": 60, "tasks remove": 40, "tasks clean": 40, "init-base": 12, "learn-task": 12}
FEWEST = 10  # calls of each command that touch a bank

pytestmark = pytest.mark.slow


def _strace(words: tuple[object, ...], *options: str) -> subprocess.CompletedProcess[str]:
    command = ["strace", "-qq", *options, sys.executable, "-m", "supsup_cli", *map(str, words)]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "PYTHONHASHSEED": "0"}
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )


@pytest.fixture(autouse=True)
def _strace_can_inject(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    inject = ("-e", "inject=write:error=ENOSPC:when=1", "-o", str(tmp_path / "log"))
    probe = subprocess.run(
        ["strace", *inject, "echo", "text"], capture_output=True, text=True, check=False
    )
    if probe.returncode == 0 or "ptrace" in probe.stderr:
        pytest.skip(f"strace cannot inject faults here: {probe.stderr.strip()}")


def _calls_at(folder: Path, words: tuple[object, ...], log: Path) -> list[tuple[str, int]]:
    """List the main thread's calls that touch a bank: name, and number among calls of that name."""
    traced = ",".join(f"?{name}" for name in CALLS)
    ended = _strace(words, "-y", "-s", "4096", "-e", f"trace={traced}", "-o", str(log))
    assert ended.returncode == 0, ended
    count: Counter[str] = Counter()
    found = []
    banks = [str(folder / name) for name in ("bank", "a")]
    for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
        if call := re.match(r"(\w+)\(", line):
            count[call[1]] += 1
            if any(bank in line for bank in banks):
                found.append((call[1], count[call[1]]))
    return found


@pytest.mark.parametrize("name", CASES)
def test_a_real_process_meets_a_fault(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    with fast_folder() as folder:
        start, now = folder / "start", folder / "now"
        start.mkdir()
        scenario.prepare(start)
        shutil.copytree(start, now)
        calls = _calls_at(now, scenario.words(now), tmp_path / "log")
        assert len(calls) >= FEWEST
        expected = Expected.between(scenario, start, now)
        cases = [(call, nth, fault) for call, nth in calls for fault in FAULTS]
        met = 0
        for call, nth, fault in random.Random(SEED).sample(cases, min(CASES[name], len(cases))):
            shutil.rmtree(now)
            shutil.copytree(start, now)
            inject = f"inject={call}:{fault}:when={nth}"
            ended = _strace(scenario.words(now), "-e", inject, "-o", str(tmp_path / "log"))
            assert ended.returncode in (-9, 137, 0, 13), (inject, ended)
            assert "Traceback" not in ended.stderr
            met += "(INJECTED)" in (tmp_path / "log").read_text() or ended.returncode in (-9, 137)
            expected.check(now)
            if ended.returncode == 0:
                expected.check_ended(now)
            expected.check_again(now)
        assert met >= min(CASES[name], len(cases)) // 2
