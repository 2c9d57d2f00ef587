"""Hostile names, patterns and images by the thousand: only our own errors, and bounded memory.

pytest -m slow tests/robustness/fuzzing/test_fuzz_inputs.py        # 110,000 inputs
"""

import json
import subprocess
import sys

import pytest

from tests.robustness.fuzzing.fuzz_inputs import MAX_PIXELS
from tests.support.commands import ROOT

# Bytes. Names: a range of up to 100,000 of them. Images: 24 for a pixel of the largest that is
# admitted, and 32 MiB for all else.
GROWTH = {"names": 96 * 2**20, "patterns": 8 * 2**20, "images": 24 * MAX_PIXELS + 32 * 2**20}


def fuzz(kind: str, seed: int, count: int) -> None:
    """Run inputs in a separate process: its stderr shows what libraries print, or a crash."""
    command = [
        sys.executable,
        "-m",
        "tests.robustness.fuzzing.fuzz_inputs",
        kind,
        str(seed),
        str(count),
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stderr) == (0, "")
    seen = json.loads(ran.stdout)
    print(kind, seed, seen)
    assert seen["accepted"] + seen["refused"] == count
    assert min(seen["accepted"], seen["refused"]) > count // 50
    assert seen["growth"] < GROWTH[kind]


@pytest.mark.parametrize(("kind", "count"), [("names", 1000), ("patterns", 200), ("images", 500)])
def test_hostile_inputs(kind: str, count: int) -> None:
    fuzz(kind, 0, count)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "count"), [("names", 20_000), ("patterns", 1500), ("images", 6000)]
)
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_hundred_thousand_hostile_inputs(kind: str, count: int, seed: int) -> None:
    fuzz(kind, seed, count)
