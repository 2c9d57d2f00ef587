"""Ranks of torchrun that are killed at random moments: named, nothing lost, the next run completes.

SUPSUP_KILLS sets how many runs are killed.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from tests.support.commands import make_bank
from tests.support.ranks import rank_processes, run_ranks, start_ranks

KILLS = int(os.environ.get("SUPSUP_KILLS", "30"))
RANKS = 2
TASKS = 30
SECONDS = 10  # time in which a command must end after one of its ranks has died


@pytest.mark.slow
def test_killed_ranks_lose_nothing_that_was_told(tmp_path: Path) -> None:
    chance = random.Random(20)
    bank = Bank.open(make_bank(tmp_path / "bank"))
    names = [f"mnist-perm-{number}" for number in range(TASKS)]
    words = ["learn-task", "--bank", bank.path, "--data", f"mnist-perm-0..{TASKS - 1}"]
    words += ["--steps", 150, "--json", "--quiet"]
    there: dict[str, str] = {}
    longest = 0.0
    codes = Counter[str]()
    for number in range(KILLS):
        while len(there) > TASKS // 2:  # leave something to learn
            gone = chance.choice(sorted(there))
            bank.remove_task(gone)
            del there[gone]
        process = start_ranks(RANKS, *words)
        rank = chance.randrange(RANKS)
        while rank not in (found := rank_processes(process)):
            assert process.poll() is None
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 7))
        killed = process.poll() is None and rank in (found := rank_processes(process))
        before = time.monotonic()
        if killed:
            os.kill(found[rank], signal.SIGKILL)
        out, err = process.communicate(timeout=120)
        if killed:
            longest = max(longest, time.monotonic() - before)
        if process.returncode:
            assert f"rank      : {rank} " in err  # torchrun's report
            codes[_told(out, f"rank {rank} (process {found[rank]}", names)] += 1
        else:
            codes["done before"] += 1
        report = verify(bank.path)
        assert report.problems == (), (number, report.problems)
        now = {name: bank.read_task(name).content_sha256 for name in bank.tasks()}
        assert there.items() <= now.items()
        there = now
    assert longest < SECONDS
    last = run_ranks(RANKS, *words)
    assert last.code == 0, last
    assert [one["task"] for one in last.json["tasks"]] == names
    assert there.items() <= {name: bank.read_task(name).content_sha256 for name in names}.items()
    assert list((bank.folder / "work").iterdir()) == []
    print(f"{KILLS} runs, the longest end took {longest:.1f} s: {dict(codes)}")


def _told(out: str, named: str, names: list[str]) -> str:
    """Check what the document says about a killed rank, and return its code."""
    if not out:
        return "killed before there was a command"
    document = json.loads(out)
    if document["ok"]:  # it was killed while it was ending
        assert [one["task"] for one in document["tasks"]] == names
        return "killed after the answer"
    code = str(document["error"]["code"])
    assert code in ("rank-died", "interrupted")
    if code == "rank-died":
        assert named in document["error"]["message"]
    else:  # before the ranks had met, when only torchrun knows
        assert "torchrun names it" in document["error"]["hint"]
    return code
