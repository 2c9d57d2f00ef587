import errno
import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from bank_format.disk import locks
from bank_format.errors import LockedError, StorageError
from tests.robustness.faults.faults import failing
from tests.support.commands import ROOT

HOLD = """
import sys
from pathlib import Path
from bank_format.disk.locks import lock
with lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_lock_holds_against_another_process_and_ends_with_it(tmp_path: Path) -> None:
    path = tmp_path / "work" / "claim"
    with holder(path) as process:
        assert locks.is_locked(path)
        with pytest.raises(LockedError, match="held by another live process"), locks.lock(path):
            pass
        process.kill()
    assert path.exists()
    assert not locks.is_locked(path)
    with locks.lock(path):
        assert path.exists()
    assert not path.parent.exists()


def test_whoever_asks_for_a_lock_does_not_seem_to_hold_it(tmp_path: Path) -> None:
    path = tmp_path / "claim"
    path.touch()
    with path.open() as asking:
        fcntl.flock(asking, fcntl.LOCK_SH)  # as another process does that asks at this moment
        assert not locks.is_locked(path)


def test_a_claim_that_fails_leaves_no_empty_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "open", failing(errno.ENOSPC))
    path = tmp_path / "work" / "claim"
    with pytest.raises(StorageError, match="cannot claim"), locks.lock(path):
        pass
    assert not path.parent.exists()


def test_a_lock_that_ends_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "work" / "claim"
    with holder(path) as process:
        process.communicate("")
    assert process.returncode == 0
    assert not path.parent.exists()


def test_a_lock_on_a_file_removed_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "work" / "claim"
    flock = fcntl.flock
    calls: list[int] = []

    def remove_first(descriptor: int, operation: int) -> None:
        if not calls:
            path.unlink()
        calls.append(descriptor)
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", remove_first)
    with locks.lock(path):
        assert len(calls) == 2
        assert path.exists()


def test_a_file_system_without_locks_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.ENOTSUP))
    with locks.lock(tmp_path / "work" / "claim"):
        assert not locks.is_locked(tmp_path / "work" / "claim")
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(StorageError, match="cannot claim"), locks.lock(tmp_path / "x" / "claim"):
        pass
