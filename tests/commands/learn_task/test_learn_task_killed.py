"""learn-task killed by real signals at random moments, then the same command again."""

import os
import random
import re
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from supsup_cli.workflows.learning import checkpoints
from tests.support.commands import Ran, answer, make_bank, run, start

SIGNALS = (signal.SIGTERM, signal.SIGKILL, signal.SIGINT, signal.SIGHUP)
TASKS = ("mnist-split-3", "mnist-split-4")
WHOLE = ("--arch", "lenet-300-100")


def _fork(words: list[str], folder: Path) -> int:
    """Start a command in a child that has imported everything; it saves its state all the time."""
    child = os.fork()
    if child:
        return child
    code = 99
    try:
        checkpoints._INTERVAL = 0.0
        checkpoints._SHARE = 1.0
        ran = run(*words)
        (folder / "out").write_text(ran.out)
        (folder / "err").write_text(ran.err)
        code = ran.code
    except KeyboardInterrupt:  # before or after the command
        code = 130
    finally:
        os._exit(code)


def _signalled(words: list[str], folder: Path, number: signal.Signals, after: float) -> Ran:
    for name in ("out", "err"):
        (folder / name).write_text("")
    child = _fork(words, folder)
    time.sleep(after)
    os.kill(child, number)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return Ran(code, (folder / "out").read_text(), (folder / "err").read_text())


def _check(ran: Ran, number: signal.Signals) -> None:
    """Check the answer of a signalled command; one that was faster has done its work."""
    assert "Traceback" not in ran.err
    assert ran.code in (0, 130, -number)
    if ran.out:
        assert ran.json["ok"] is (ran.code == 0)
        assert ran.code == 0 or ran.error["code"] == "interrupted"


def _contents(bank: Path) -> dict[str, str]:
    return {one["task"]: one["content_sha256"] for one in answer("tasks", "--bank", bank)["tasks"]}


def _delays(seed: int, longest: float, growth: float = 1.0) -> Iterator[float]:
    moments = random.Random(seed)
    while True:
        yield moments.uniform(0, longest)
        longest *= growth


def _killed_until_done(
    words: list[str], bank: Path, whole: Path, folder: Path, seed: int
) -> set[int]:
    """Signal the command until it ends by itself; return the exit codes."""
    kinds = set()
    # growing, so that the slowest machine finishes
    for delay, number in zip(_delays(seed, 0.4, growth=1.05), SIGNALS * 25, strict=False):
        ran = _signalled([*words, str(bank)], folder, number, delay)
        _check(ran, number)
        kinds.add(ran.code)
        assert _contents(bank).items() <= _contents(whole).items()
        if ran.code == 0:
            break
    return kinds


@pytest.mark.parametrize("recipe", ["default", pytest.param("paper", marks=pytest.mark.slow)])
def test_killed_until_it_is_done_it_learns_the_same(recipe: str, tmp_path: Path) -> None:
    data = [word for task in TASKS for word in ("--data", task)]
    words = ["learn-task", *data, "--steps", "200", "--recipe", recipe, "--json", "--bank"]
    whole = make_bank(tmp_path / "whole")
    assert run(*words, whole).code == 0
    # A child may be faster than the first signals, or lose one that comes while it forks.
    for attempt in range(3):
        bank = make_bank(tmp_path / f"bank-{attempt}")
        kinds = _killed_until_done(words, bank, whole, tmp_path, seed=attempt)
        if {130, -signal.SIGKILL} <= kinds:
            break
    assert {130, -signal.SIGKILL, 0} <= kinds
    assert _contents(bank) == _contents(whole)
    assert answer("verify", "--bank", bank)["problems"] == []
    assert run(*words, bank).code == 0
    assert list((bank / "work").iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["default", "paper"])
def test_twenty_signals_to_real_commands(recipe: str, tmp_path: Path) -> None:
    """A whole LeNet, whole processes, torch's import included; a state every 15 seconds."""
    options = ("--data", "mnist-perm-0", "--steps", 12_000, "--recipe", recipe)
    banks = [tmp_path / name for name in ("whole", "bank")]
    for bank in banks:
        answer("init-base", "--bank", bank, *WHOLE)
    answer("learn-task", "--bank", banks[0], *options)
    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL)
    stopped = 0
    reached: list[int] = []
    for delay, number in zip(_delays(2, 9.0), signals * 5, strict=False):
        process = start("learn-task", "--bank", banks[1], *options, "--json")
        time.sleep(delay + 1)
        process.send_signal(number)
        out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        # a command that has no handlers yet, or no longer, dies of the signal
        assert process.returncode in (130, -number)
        stopped += 1
        reached += map(int, re.findall(r" at step (\d+) of 12000, saved", out))
    assert stopped == 20
    assert reached == sorted(reached)
    assert reached[-1] > reached[0]
    answer("learn-task", "--bank", banks[1], *options)
    assert _contents(banks[1]) == _contents(banks[0])
    assert answer("verify", "--bank", banks[1])["hints"] == []
