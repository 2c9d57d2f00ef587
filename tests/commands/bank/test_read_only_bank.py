"""A bank that cannot be written: reading works, learn-task is refused at its start."""

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from supsup_cli.data import catalog
from tests.support.banks import index_files
from tests.support.commands import ROOT, answer, flip_bit, run

NOBODY = 65534
READING = (
    ("stats",),
    ("tasks",),
    ("verify",),
    ("infer-task", "--data", "mnist-perm-0", "--limit", 3),
    ("predict", "--data", "mnist-perm-0", "--limit", 3),
    ("evaluate", "--limit", 3),
    ("learn-task", "--data", "mnist-perm-0..2", "--steps", 60),
)


def _files(bank: Path) -> dict[Path, tuple[int, bytes]]:
    return {
        path: (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else b"")
        for path in sorted(bank.rglob("*"))
    }


def _as_nobody(work: Callable[[], bool]) -> bool:
    """Do it in a child to which permissions apply."""
    child = os.fork()
    if child == 0:
        code = 2
        try:
            if os.geteuid() == 0:
                os.setgroups([])
                os.setgid(NOBODY)
                os.setuid(NOBODY)
            code = 0 if work() else 1
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


@pytest.fixture
def public_bank(bank: Path) -> Iterator[Path]:
    """A bank with folders that everyone may enter and nobody may write."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        copy = Path(shutil.copytree(bank, Path(name) / "bank"))
        for folder in (copy, *copy.rglob("*")):
            folder.chmod(0o555 if folder.is_dir() else 0o444)
        yield copy
        for folder in (copy, *copy.glob("*/")):
            folder.chmod(0o755)


def _refused_at_its_start(bank: Path) -> bool:
    patch = pytest.MonkeyPatch()
    patch.setattr(catalog, "load", None)
    patch.setattr(catalog, "digest", None)
    ran = run("learn-task", "--bank", bank, "--data", "mnist-perm-5", "--json")
    patch.undo()
    told = ran.error["message"]
    return ran.code == 13 and f"{bank}/work: cannot write: Permission denied" in told


def test_folders_without_permission_are_read_and_not_learned_into(public_bank: Path) -> None:
    before = _files(public_bank)
    for words in READING:
        assert _as_nobody(lambda: run(*words, "--bank", public_bank).code == 0), words  # noqa: B023
    assert _as_nobody(lambda: _refused_at_its_start(public_bank))
    assert _files(public_bank) == before


@pytest.mark.parametrize("damaged", [False, True])
def test_a_copied_bank_nobody_may_write_answers_by_its_index(
    bank: Path, public_bank: Path, *, damaged: bool
) -> None:
    """The stamps are others in a copy, so that rows are told by the last bytes of the files."""
    asked = ("infer-task", "--data", "mnist-perm-0", "--limit", 3)
    results, listed = answer(*asked, "--bank", bank)["results"], answer("tasks", "--bank", bank)
    files = index_files(public_bank)
    assert files
    if damaged:
        for path in files:
            path.chmod(0o644)
            flip_bit(path, 200)
            path.chmod(0o444)
    before = _files(public_bank)
    assert _as_nobody(lambda: answer(*asked, "--bank", public_bank)["results"] == results)
    assert _as_nobody(lambda: answer("tasks", "--bank", public_bank) == listed)
    assert _as_nobody(lambda: run("verify", "--bank", public_bank).code == (5 if damaged else 0))
    assert _files(public_bank) == before


def test_masks_alone_without_permission_are_found_out_at_the_start(public_bank: Path) -> None:
    (public_bank / "work").chmod(0o777)

    def refused() -> bool:
        ran = run("learn-task", "--bank", public_bank, "--data", "mnist-perm-5", "--json")
        return ran.code == 13 and f"{public_bank}/masks: cannot write" in ran.error["message"]

    assert _as_nobody(refused)
    assert list((public_bank / "work").iterdir()) == []


def test_a_read_only_file_system_is_read_and_not_learned_into(own_bank: Path) -> None:
    try:
        for options in (["--bind"], ["-o", "remount,bind,ro"]):
            command = ["mount", *options, str(own_bank), str(own_bank)]
            subprocess.run(command, check=True, capture_output=True, cwd=ROOT)
    except (OSError, subprocess.CalledProcessError) as error:
        subprocess.run(["umount", str(own_bank)], check=False, capture_output=True)
        pytest.skip(f"mounting is not allowed here ({error})")
    try:
        for words in READING:
            assert run(*words, "--bank", own_bank).code == 0
        ran = run("learn-task", "--bank", own_bank, "--data", "mnist-perm-5", "--json")
        assert (ran.code, ran.error["code"]) == (13, "storage")
        assert os.strerror(errno.EROFS) in ran.error["message"]
        assert "copy the bank" in ran.error["hint"]
    finally:
        subprocess.run(["umount", str(own_bank)], check=True)
