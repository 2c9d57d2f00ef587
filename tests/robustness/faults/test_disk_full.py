"""Disks and quotas that end after any number of bytes: a clear error, no loss, resume later."""

import os
import resource
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bank_format.bank import Bank
from bank_format.check.verify import verify
from bank_format.errors import NoBankError
from tests.robustness.faults.faults import Ended, command, fast_folder, run_in_child
from tests.support.commands import run

STEP = 512  # bytes
PAGE = os.sysconf("SC_PAGESIZE")  # bytes
DISK = 64 * PAGE
INIT = ("init-base", "--arch", "mlp-200", "--input", "1x8x8", "--outputs", 40, "--bank")
LEARN = ("learn-task", "--steps", 2, "--batch-size", 4, "--device", "cpu", "--bank")


@pytest.fixture
def folder() -> Iterator[Path]:
    with fast_folder() as made:
        noise = np.random.default_rng(0)
        for name in ("cat", "dog"):
            (made / "pets" / name).mkdir(parents=True)
            for place in range(4):
                pixels = noise.integers(0, 255, (8, 8), dtype=np.uint8)
                Image.fromarray(pixels).save(made / "pets" / name / f"{place}.png")
        yield made


def _learn(folder: Path, bank: Path, task: str) -> tuple[object, ...]:
    return (*LEARN, bank, "--data", folder / "pets", "--name", task)


def _content(bank: Path) -> dict[str, str] | None:
    try:
        there = Bank.open(bank)
    except NoBankError:
        return None
    assert verify(bank).problems == ()
    return {name: there.read_task(name).content_sha256 for name in there.tasks()}


def _run_with_files_up_to(limit: int, *words: object) -> Ended:
    def act() -> int:
        # Python ignores SIGXFSZ, so that a write beyond the limit fails with EFBIG.
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        return command(*words)()

    return run_in_child(act)


def _assert_refused(ended: Ended, path: Path, reason: str, advice: str) -> None:
    assert ended.code == 13, ended
    *_, message, hint = ended.err.strip().splitlines()  # notes come first
    assert str(path) in message
    assert reason in message
    assert advice in hint


def test_files_that_may_not_grow_past_any_multiple_of_512_bytes(folder: Path) -> None:
    bank, whole = folder / "bank", folder / "whole"
    assert run(*INIT, whole).code == 0
    sizes = [(whole / name).stat().st_size for name in ("base.safetensors", "bank.json")]
    limits = range(0, max(sizes), STEP)
    for limit in limits:
        ended = _run_with_files_up_to(limit, *INIT, bank)
        _assert_refused(ended, bank, "File too large", "ulimit -f")
        assert _content(bank) is None
        assert list(bank.rglob("*.tmp")) == []
    assert run(*INIT, bank).code == 0

    assert run(*_learn(folder, bank, "first")).code == 0
    before = _content(bank)
    size = (bank / "masks" / "first.safetensors").stat().st_size
    words = _learn(folder, bank, "second")
    for limit in range(STEP, size - STEP, STEP):
        ended = _run_with_files_up_to(limit, *words)
        _assert_refused(ended, bank / "masks" / "second.safetensors", "File too large", "ulimit -f")
        assert _content(bank) == before
        assert list(bank.rglob("*.tmp")) == []
    assert run(*words).code == 0
    assert len(limits) + (size - 2 * STEP) // STEP >= 10
    after = _content(bank)
    assert before is not None
    assert after is not None
    assert before.items() < after.items()


def test_a_signature_that_may_not_grow_past_any_multiple_of_512_bytes(folder: Path) -> None:
    bank = folder / "bank"
    assert run(*INIT, bank).code == 0
    assert run(*_learn(folder, bank, "first"), "--no-signature").code == 0
    before, words = _content(bank), ("tasks", "sign", "--device", "cpu", "--bank", bank)
    path = bank / "signatures" / "first.safetensors"
    limits = range(0, 2048, STEP)
    for limit in limits:
        ended = _run_with_files_up_to(limit, *words)
        _assert_refused(ended, path, "File too large", "ulimit -f")
        assert not path.exists()
        assert _content(bank) == before
        assert list(bank.rglob("*.tmp")) == []
    assert run(*words).code == 0
    assert path.stat().st_size > limits[-1]
    assert _content(bank) == before


@contextmanager
def _small_disk(at: Path) -> Iterator[Path]:
    at.mkdir()
    options = ("-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(at))
    try:
        made = subprocess.run(["mount", *options], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("there is no mount command")
    if made.returncode:
        pytest.skip(f"this user cannot mount a disk in memory: {made.stderr.strip()}")
    try:
        yield at
    finally:
        subprocess.run(["umount", str(at)], check=True)


def _fill(disk: Path, free: int) -> None:
    """Leave the given number of pages of the disk free."""
    status = os.statvfs(disk)
    pages = status.f_bavail * status.f_frsize // PAGE - free
    assert pages >= 0
    (disk / "filler").write_bytes(bytes(pages * PAGE))


def test_a_disk_with_any_number_of_pages_left(folder: Path) -> None:
    with _small_disk(folder / "disk") as disk:
        ends = []
        for free in range(DISK // PAGE):
            _fill(disk, free)
            ended = run_in_child(command(*INIT, disk / "bank"))
            (disk / "filler").unlink()
            ends.append(ended.code)
            if ended.code == 0:
                break
            _assert_refused(ended, disk / "bank", "No space left", "free some disk space")
            assert _content(disk / "bank") is None
            shutil.rmtree(disk / "bank", ignore_errors=True)
        assert ends.count(0) == 1
        assert len(ends) >= 3

        assert run(*_learn(folder, disk / "bank", "first")).code == 0
        before = _content(disk / "bank")
        words = _learn(folder, disk / "bank", "second")
        ends = []
        for free in range(DISK // PAGE):
            _fill(disk, free)
            ended = run_in_child(command(*words))
            (disk / "filler").unlink()
            ends.append(ended.code)
            if ended.code == 0:
                break
            _assert_refused(ended, disk / "bank", "No space left", "free some disk space")
            assert _content(disk / "bank") == before
        assert ends.count(0) == 1
        assert len(ends) >= 2
        found = _content(disk / "bank")
        assert found is not None
        assert before is not None
        assert before.items() < found.items()
