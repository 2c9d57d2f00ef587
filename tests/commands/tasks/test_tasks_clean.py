"""`tasks clean`: files of dead processes go; files of live ones, and every task, stay."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from tests.support.banks import add, create
from tests.support.commands import answer, run


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    bank = create(tmp_path / "bank")
    add(bank, "pets")
    return bank


@pytest.fixture(scope="module")
def dead() -> int:
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-S", "-c", ""])
    process.wait()
    return process.pid


def leave_work(bank: Bank, name: str, *files: str) -> Path:
    folder = bank.path / "work" / name
    folder.mkdir(parents=True)
    for file in files:
        (folder / file).write_bytes(b"12345")
    return folder


def leave_temporary(bank: Bank, place: str, process: int, age: float) -> Path:
    path = bank.path / place / f".x.safetensors.{process}.0123456789abcdef.tmp"
    path.write_bytes(b"part")
    os.utime(path, (time.time() - age,) * 2)
    return path


def clean(bank: Bank, *words: object) -> tuple[dict[str, str], dict[str, str]]:
    document = answer("tasks", "clean", *words, "--bank", bank.path)
    return (
        {one["task"]: one["status"] for one in document["tasks"]},
        {one["file"]: one["status"] for one in document["files"]},
    )


def test_unfinished_work_goes_and_what_is_held_stays(bank: Bank) -> None:
    leave_work(bank, "stopped", "claim", "state.safetensors")
    leave_work(bank, "empty")
    strange = leave_work(bank, "strange", "claim", "notes.txt")
    with bank.work.claim("running"):
        expected = ["empty", "stopped", "strange"]
        dry, _ = clean(bank, "--dry-run")
        assert dry == dict.fromkeys(expected, "would-remove")
        assert all((bank.path / "work" / name).is_dir() for name in expected)
        ran = run("tasks", "clean", "--bank", bank.path)
        assert ran.code == 2
        assert "expected --yes" in ran.err
        done, _ = clean(bank, "--yes")
        assert done == {"empty": "removed", "stopped": "removed", "strange": "kept"}
        left = sorted(path.name for path in (bank.path / "work").iterdir())
        assert left == ["running", "strange"]
    assert sorted(path.name for path in strange.iterdir()) == ["notes.txt"]
    assert bank.tasks() == ["pets"]


def test_named_work_alone_goes(bank: Bank, dead: int) -> None:
    leave_work(bank, "one", "claim")
    leave_work(bank, "two", "claim")
    leave_temporary(bank, "masks", dead, 4000)
    assert clean(bank, "one", "none", "--yes") == ({"one": "removed", "none": "none"}, {})
    assert clean(bank, "one", "--yes") == ({"one": "none"}, {})
    assert bank.work.unfinished() == ["two"]


def test_work_of_a_running_learner_is_refused_by_name(bank: Bank) -> None:
    with bank.work.claim("running"):
        for more in ("--yes", "--dry-run"):
            ran = run("tasks", "clean", "running", more, "--bank", bank.path, "--json")
            assert (ran.code, ran.error["code"]) == (11, "locked")


def test_a_link_under_work_is_not_followed(bank: Bank, tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "claim").write_text("mine")
    (bank.path / "work" / "x").symlink_to(precious)
    clean(bank, "--yes")
    assert run("tasks", "clean", "x", "--yes", "--bank", bank.path).code == 5
    assert (precious / "claim").read_text() == "mine"


def test_temporary_files_of_the_dead_go(bank: Bank, dead: int) -> None:
    mine = os.getpid()
    gone = [
        leave_temporary(bank, "masks", dead, 100),
        leave_temporary(bank, "", dead, 100),
        leave_temporary(bank, "masks", 4_294_967_295, 4000),
    ]
    stay = [
        leave_temporary(bank, "masks", mine, 100),
        leave_temporary(bank, "", 4_294_967_294, 1),
        bank.task_path("pets"),
    ]
    strange = bank.path / "masks" / ".name-of-another-form.tmp"
    strange.touch()
    _, dry = clean(bank, "--dry-run")
    assert sorted(dry.values()) == ["kept"] * 3 + ["would-remove"] * 3
    _, files = clean(bank, "--yes")
    assert {str(path.relative_to(bank.path)) for path in gone} == {
        file for file, status in files.items() if status == "removed"
    }
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in (*stay, strange))


def test_an_hour_old_is_old_enough_whoever_made_it(bank: Bank) -> None:
    leave_temporary(bank, "masks", os.getpid(), 3700)
    strange = bank.path / ".strange.tmp"
    strange.touch()
    os.utime(strange, (time.time() - 3700,) * 2)
    probe = bank.path / ".doctor.1.0123456789abcdef.tmp"
    probe.mkdir()
    (probe / "file").touch()
    os.utime(probe, (time.time() - 3700,) * 2)
    _, files = clean(bank, "--yes")
    assert list(files.values()) == ["removed"] * 3
    assert verify(bank.path).hints == ()


def test_nothing_to_clean_asks_nothing(bank: Bank) -> None:
    ran = run("tasks", "clean", "--bank", bank.path)
    assert (ran.code, ran.out, ran.err) == (0, "nothing to clean\n", "")


@pytest.mark.parametrize("name", ["../masks", "..", "pets/..", ""])
def test_names_do_not_leave_the_folder(bank: Bank, name: str) -> None:
    assert run("tasks", "clean", name, "--yes", "--bank", bank.path).code == 2
    assert bank.tasks() == ["pets"]
