"""What is left when learn-task is stopped: Ctrl+C, claims of others, disks that refuse."""

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.commands import ROOT, answer, learn, make_bank, run, start

CLAIM = """
import sys
from pathlib import Path
from bank_format.bank import Bank
with Bank.open(Path(sys.argv[1])).claim(sys.argv[2]):
    print("claimed", flush=True)
    sys.stdin.read()
"""


@contextmanager
def _claimed_by_another_process(bank: Path, task: str) -> Iterator[None]:
    command = [sys.executable, "-c", CLAIM, str(bank), task]
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, cwd=ROOT, **pipes) as process:
        assert process.stdout.readline() == "claimed\n"
        yield
        process.communicate("")


def _files(bank: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(bank.rglob("*")) if path.is_file()}


def test_ctrl_c_keeps_what_is_done_and_the_same_command_does_the_rest(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    words = ("learn-task", "--bank", bank, "--data", "mnist-perm-0..3", "--steps", 300)
    process = start(*words, "--json")
    deadline = time.monotonic() + 60
    while not list((bank / "masks").glob("[!.]*")) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, (out, err)
    assert '"code": "interrupted", "exit": 130' in out
    assert "Traceback" not in err
    kept = [one["task"] for one in answer("tasks", "--bank", bank)["tasks"]]
    assert 1 <= len(kept) < 4
    whole = answer("verify", "--bank", bank)
    assert (whole["ok"], whole["hints"]) == (True, [])
    tasks = learn(bank, "mnist-perm-0..3", steps=300)
    assert [one["task"] for one in tasks if one["status"] == "exists"] == kept
    assert [one["status"] for one in tasks].count("learned") == 4 - len(kept)


def test_a_task_that_another_process_learns_is_refused_at_once(tmp_path: Path) -> None:
    bank = make_bank(tmp_path / "bank")
    words = ("learn-task", "--bank", bank, "--data", "mnist-perm-0", "--steps", 5)
    with _claimed_by_another_process(bank, "mnist-perm-0"):
        ran = run(*words, "--json")
        assert (ran.code, ran.error["code"]) == (11, "locked")
        assert "mnist-perm-0" in ran.error["message"]
        assert learn(bank, "mnist-perm-1", steps=5)[0]["status"] == "learned"
    assert run(*words).code == 0


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES, errno.ENOSPC])
def test_a_bank_that_cannot_be_written_exits_13_and_loses_nothing(
    number: int, own_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(own_bank)
    whole = os.open

    def refuse(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_CREAT and str(path).startswith(str(own_bank)):
            raise OSError(number, os.strerror(number), str(path))
        return whole(path, flags, *rest, **named)

    words = ("learn-task", "--bank", own_bank, "--data", "mnist-perm-5", "--steps", 5)
    with monkeypatch.context() as patch:
        patch.setattr(os, "open", refuse)
        ran = run(*words, "--json")
    assert (ran.code, ran.error["code"]) == (13, "storage")
    assert os.strerror(number) in ran.error["message"]
    assert "mnist-perm-5" in ran.error["message"]
    assert ran.error["hint"]
    assert _files(own_bank) == before
    assert run(*words).code == 0


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
def test_a_disk_that_fills_up_leaves_no_half_task(
    call: str, own_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(own_bank)

    def refuse(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(os, call, refuse)
        ran = run("learn-task", "--bank", own_bank, "--data", "mnist-perm-5", "--steps", 5)
    assert (ran.code, ran.out) == (13, "")
    assert ran.err.startswith(f"supsup: {own_bank}/masks/mnist-perm-5.safetensors: cannot write")
    assert "free some disk space" in ran.err
    assert _files(own_bank) == before
    assert answer("verify", "--bank", own_bank)["hints"] == []


def test_a_folder_without_permission_exits_13(own_bank: Path) -> None:
    folders = [own_bank, own_bank / "masks"]
    try:
        for folder in folders:
            folder.chmod(0o555)
        if os.access(own_bank, os.W_OK):
            pytest.skip("permissions do not bind this user")
        ran = run("learn-task", "--bank", own_bank, "--data", "mnist-perm-5", "--steps", 5)
        assert ran.code == 13
        assert run("verify", "--bank", own_bank).code == 0
    finally:
        for folder in folders:
            folder.chmod(0o755)
