"""Every parser of the format under changed inputs: its own errors and no other, little memory.

A parser of files may raise a BankError; a pure function may raise the ValueError that it documents.
Memory is measured in a separate process: it may grow by 64 MiB, and is limited to 256 MiB.
"""

import json
import subprocess
import sys
from collections import Counter
from typing import Any

import pytest

from tests.support.commands import ROOT

MOST_GROWTH = 64 * 2**10  # KiB
FILE_PARSERS = ("bank.json", "bytes", "header", "metadata", "tensors")


def fuzz(seed: int, count: int) -> tuple[Counter[str], Any]:
    ran = subprocess.run(
        [sys.executable, "-m", "tests.robustness.fuzzing.format_fuzzer", str(seed), str(count)],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    report = json.loads(ran.stdout)
    return Counter(report["counts"]), report["grown_kib"]


def check(seed: int, count: int) -> None:
    counts, grown = fuzz(seed, count)
    assert counts.total() == count
    assert grown < MOST_GROWTH
    of_files = sum(n for name, n in counts.items() if name.split()[0] in FILE_PARSERS)
    assert of_files > count // 2
    # Some changes do no harm or give another valid file: the fuzzer reaches the end of parsers.
    for kind in ("metadata", "tensors", "codec", "records"):
        assert counts[f"{kind} accepted"] > 0
    for error in ("DamagedError", "NewerFormatError", "OtherBaseError"):
        assert counts[f"metadata {error}"] > 0


def test_changed_files_raise_the_formats_own_errors_alone() -> None:
    check(seed=0, count=2_000)


@pytest.mark.slow
def test_a_hundred_thousand_changed_files_raise_the_formats_own_errors_alone() -> None:
    check(seed=1, count=120_000)
