"""`doctor`: what it tries, what it finds, and that it leaves no files."""

import errno
import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from bank_format.bank import Bank
from bank_format.disk import system_calls
from bank_format.kinds.seeded import seeded_signs
from supsup_cli.workflows.bank import file_system, self_test, two_processes
from supsup_cli.workflows.bank.file_system import check_file_system
from tests.support.banks import add, create
from tests.support.commands import answer, flip_bit, run

MACHINE = ["python", "supsup", "torch", "torchvision", "numpy", "safetensors", "bitarray", "pillow"]
COMPUTING = ["devices", "threads", "device", "random signs", "masked forward"]
ABILITIES = [
    "write and fsync a file",
    "atomic replace",
    "fsync a folder",
    "lock between processes",
    "hard link",
    "exclusive rename",
    "names between processes",
    "free space",
]


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = create(tmp_path / "bank")
    add(bank, "pets")
    return bank


def statuses(checks: list[dict[str, Any]]) -> dict[str, str]:
    return {one["check"]: one["status"] for one in checks}


def everything(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_whole_bank_is_usable_and_stays_as_it_was(bank: Bank) -> None:
    before = everything(bank.path)
    document = answer("doctor", "--bank", bank.path)
    found = statuses(document["checks"])
    assert set(found) - {"free inodes"} == {*MACHINE, *COMPUTING, "bank", "base", *ABILITIES}
    assert set(found.values()) == {"ok"}
    assert everything(bank.path) == before
    assert sorted(os.listdir(bank.path)) == [  # noqa: PTH208
        "bank.json", "base.safetensors", "masks", "work"
    ]  # fmt: skip


def test_it_prints_a_row_for_each_check(bank: Bank) -> None:
    ran = run("doctor", "--bank", bank.path, "--device", "cpu")
    assert (ran.code, ran.err) == (0, "")
    assert "drawn again from seed 0, equal" in ran.out
    assert ran.out.splitlines()[-1] == "everything a bank needs is there"


def test_without_a_bank_the_machine_alone_or_the_folder_is_checked(tmp_path: Path) -> None:
    none = answer("doctor", "--bank", tmp_path / "none")
    assert (none["ok"], statuses(none["checks"])["bank"]) == (True, "skipped")
    assert set(ABILITIES).isdisjoint(statuses(none["checks"]))
    folder = statuses(answer("doctor", "--bank", tmp_path)["checks"])
    assert folder["bank"] == "skipped"
    assert {folder[name] for name in ABILITIES} == {"ok"}
    assert list(tmp_path.iterdir()) == []


def test_damage_of_the_base_exits_5(bank: Bank) -> None:
    flip_bit(bank.path / "base.safetensors", 400)
    ran = run("doctor", "--bank", bank.path, "--json")
    assert (ran.code, ran.json["ok"]) == (5, False)
    assert statuses(ran.json["checks"])["base"] == "failed"
    told = run("doctor", "--bank", bank.path)
    assert told.code == 5
    assert "base.safetensors" in told.out
    assert told.out.splitlines()[-1] == "1 checks failed"


def test_a_damaged_or_newer_bank_json_has_its_code(bank: Bank) -> None:
    flip_bit(bank.path / "bank.json", 40)
    ran = run("doctor", "--bank", bank.path, "--json")
    assert (ran.code, statuses(ran.json["checks"])["bank"]) == (5, "failed")


def test_wrong_arithmetic_exits_5(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(self_test, "seeded_signs", lambda *words: seeded_signs(*words) ^ 1)
    monkeypatch.setattr(self_test, "_largest_error", lambda _device: 0.5)
    ran = run("doctor", "--bank", bank.path, "--json")
    found = statuses(ran.json["checks"])
    assert (ran.code, found["random signs"], found["masked forward"]) == (5, "failed", "failed")


def test_a_device_that_is_not_there_exits_2(bank: Bank) -> None:
    ran = run("doctor", "--bank", bank.path, "--device", "cuda:99", "--json")
    assert (ran.code, statuses(ran.json["checks"])["device"]) == (2, "failed")


def test_a_library_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "bitarray", None)
    ran = run("doctor", "--bank", tmp_path / "none", "--json")
    check = next(one for one in ran.json["checks"] if one["check"] == "bitarray")
    assert (ran.code, check["status"], check["hint"]) == (1, "failed", "pip install bitarray")


def _refuse(monkeypatch: pytest.MonkeyPatch, call: str, code: int) -> None:
    def refuse(*_: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(system_calls, call, refuse)


@pytest.mark.parametrize(
    ("calls", "code", "check", "status"),
    [
        (("link",), errno.EPERM, "hard link", "warning"),
        (("rename_exclusively",), errno.EINVAL, "exclusive rename", "warning"),
        (("link", "rename_exclusively"), errno.ENOSYS, "hard link", "failed"),
        (("flock",), errno.ENOLCK, "lock between processes", "warning"),
        (("rename",), errno.EXDEV, "atomic replace", "failed"),
        (("write",), errno.ENOSPC, "write and fsync a file", "failed"),
        (("fsync",), errno.EIO, "write and fsync a file", "failed"),
        (("mkdir",), errno.ENOSPC, "file system", "failed"),
        (("mkdir",), errno.EROFS, "file system", "skipped"),
        (("mkdir",), errno.EACCES, "file system", "skipped"),
    ],
)
def test_what_a_file_system_refuses(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    calls: tuple[str, ...],
    code: int,
    check: str,
    status: str,
) -> None:
    for call in calls:
        _refuse(monkeypatch, call, code)
    found = next(one for one in check_file_system(tmp_path, 1) if one.check == check)
    assert (found.status, found.exit) == (status, 13 if status == "failed" else 0)
    assert status == "skipped" or os.strerror(code) in found.found
    assert found.hint
    assert list(tmp_path.iterdir()) == []


def test_an_unfit_file_system_exits_13_and_a_read_only_one_0(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    _refuse(monkeypatch, "mkdir", errno.EROFS)
    assert answer("doctor", "--bank", bank.path)["ok"] is True
    _refuse(monkeypatch, "mkdir", errno.EIO)
    ran = run("doctor", "--bank", bank.path, "--json")
    assert (ran.code, ran.json["ok"]) == (13, False)


def test_calls_that_only_pretend_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def overwrite(source: Path, target: Path) -> None:
        target.unlink(missing_ok=True)
        os.link(source, target)

    monkeypatch.setattr(system_calls, "link", overwrite)
    monkeypatch.setattr(system_calls, "rename_exclusively", lambda one, other: one.replace(other))
    monkeypatch.setattr(system_calls, "rename", lambda *_: None)
    monkeypatch.setattr(system_calls, "flock", lambda *_: None)
    found = {one.check: one for one in check_file_system(tmp_path, 1)}
    assert "took the place" in found["hard link"].found
    assert "took the place" in found["exclusive rename"].found
    assert found["hard link"].exit == found["exclusive rename"].exit == 13
    assert found["atomic replace"].exit == 13
    assert found["lock between processes"].status == "warning"


@pytest.mark.parametrize(
    ("code", "found"),
    [(4, "did not see"), (5, "took a name"), (1, "could not name")],
)
def test_what_a_second_process_does_not_see(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, found: str
) -> None:
    """Simulate a network file system with clients that cache what they saw."""
    elsewhere = two_processes._elsewhere
    monkeypatch.setattr(
        two_processes,
        "_elsewhere",
        lambda script, path: code if path.is_dir() else elsewhere(script, path),
    )
    checks = {one.check: one for one in check_file_system(tmp_path, 1)}
    check = checks["names between processes"]
    assert (check.status, check.exit) == ("failed", 13)
    assert found in check.found


class Statvfs(NamedTuple):
    """The part of os.statvfs that is used."""

    f_bavail: int
    f_frsize: int
    f_files: int
    f_favail: int


@pytest.mark.parametrize(
    ("free", "expected"),
    [
        (Statvfs(0, 4096, 100, 100), {"free space": "failed", "free inodes": "ok"}),
        (Statvfs(10, 4096, 100, 5), {"free space": "warning", "free inodes": "warning"}),
        (Statvfs(10**6, 4096, 0, 0), {"free space": "ok"}),
    ],
)
def test_free_space_is_counted_in_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, free: Statvfs, expected: dict[str, str]
) -> None:
    monkeypatch.setattr(file_system.os, "statvfs", lambda _folder: free)
    found = {one.check: one.status for one in check_file_system(tmp_path, 4096)}
    assert {name: found[name] for name in found if name.startswith("free")} == expected
