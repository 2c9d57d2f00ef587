"""What is left if learn-task is stopped: by Ctrl+C, by disks that refuse."""

import errno
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.disk import system_calls
from bank_format.store.layout import WORK
from tests.support.commands import answer, learn, make_bank, run, start


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
    assert err == ""
    told = json.loads(out)
    assert (told["ok"], told["error"]["code"], told["error"]["exit"]) == (False, "interrupted", 130)
    kept = [one["task"] for one in answer("tasks", "--bank", bank)["tasks"]]
    assert [one["task"] for one in told["tasks"]] == kept
    assert 1 <= len(kept) < 4
    assert answer("verify", "--bank", bank)["ok"] is True
    assert set(Bank.open(bank).work.unfinished()) <= {f"mnist-perm-{len(kept)}"}
    tasks = learn(bank, "mnist-perm-0..3", steps=300)
    assert [one["task"] for one in tasks if one["status"] == "exists"] == kept
    assert [one["status"] for one in tasks].count("learned") == 4 - len(kept)


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


@pytest.mark.parametrize(
    ("call", "told"),
    [
        # a disk that takes no claim is noticed before anything is learned
        ("write", f"/{WORK}/mnist-perm-5/claim: cannot claim"),
        ("fsync", ": cannot sync"),
        ("link", "/masks/mnist-perm-5.safetensors: cannot write"),
    ],
)
def test_a_disk_that_fills_up_leaves_no_half_task(
    call: str, told: str, own_bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = _files(own_bank)

    def refuse(*_arguments: Any) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(system_calls, call, refuse)
        ran = run("learn-task", "--bank", own_bank, "--data", "mnist-perm-5", "--steps", 5)
    assert (ran.code, ran.out) == (13, "")
    assert ran.err.startswith(f"supsup: {own_bank}{told}")
    assert "free some disk space" in ran.err
    assert _files(own_bank) == before
    assert answer("verify", "--bank", own_bank)["hints"] == []
