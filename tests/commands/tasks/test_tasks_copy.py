"""`tasks copy` and `tasks export`: equal bytes, nothing overwritten, safe to run again."""

import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.check.verify import verify
from tests.support.banks import add, create, spec
from tests.support.commands import answer, flip_bit, run


@pytest.fixture
def source(tmp_path: Path) -> Bank:
    source = create(tmp_path / "source")
    for seed, name in enumerate(("a", "b")):
        add(source, name, seed)
    return source


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return create(tmp_path / "bank")


def copy(bank: Bank, source: Bank, *words: object) -> list[dict[str, Any]]:
    tasks = answer("tasks", "copy", *words, "--from", source.path, "--bank", bank.path)["tasks"]
    assert isinstance(tasks, list)
    return tasks


def test_copies_are_equal_byte_by_byte_and_again_is_no_error(bank: Bank, source: Bank) -> None:
    for status in ("copied", "exists"):
        first, second = copy(bank, source, "a", "b")
        assert (first["status"], second["status"]) == (status, status)
        assert first["content_sha256"] == first["source_sha256"]
        for name in ("a", "b"):
            assert bank.task_path(name).read_bytes() == source.task_path(name).read_bytes()
    assert verify(bank.path).hints == ()


def test_a_copy_under_another_name(bank: Bank, source: Bank) -> None:
    (dry,) = copy(bank, source, "a", "--as", "new", "--dry-run")
    assert (dry["status"], dry["content_sha256"]) == ("would-copy", None)
    assert bank.tasks() == []
    for status in ("copied", "exists"):
        (one,) = copy(bank, source, "a", "--as", "new")
        assert (one["task"], one["status"], one["source_task"]) == ("new", status, "a")
        assert one["content_sha256"] == bank.read_task("new").content_sha256
        assert one["source_sha256"] == source.read_task("a").content_sha256
    (dry,) = copy(bank, source, "a", "--as", "new", "--dry-run")
    assert dry["status"] == "exists"
    assert copy(source, source, "a", "--as", "a2")[0]["status"] == "copied"


def test_another_content_under_the_name_is_refused_before_anything_is_copied(
    bank: Bank, source: Bank
) -> None:
    mine = add(bank, "b", 7)
    for more in ((), ("--dry-run",)):
        words = ("tasks", "copy", "a", "b", "--from", source.path, "--bank", bank.path, *more)
        ran = run(*words, "--json")
        assert (ran.code, ran.error["code"]) == (11, "name-taken")
        assert mine.content_sha256[:16] in ran.error["message"]
        assert source.read_task("b").content_sha256[:16] in ran.error["message"]
    assert bank.tasks() == ["b"]
    assert bank.read_task("b").content_sha256 == mine.content_sha256


def test_banks_of_other_bases_do_not_exchange_tasks(tmp_path: Path, source: Bank) -> None:
    other = create(tmp_path / "other", spec(seed=1))
    for more in ((), ("--dry-run",)):
        ran = run("tasks", "copy", "a", "--from", source.path, "--bank", other.path, *more)
        assert ran.code == 12
    assert other.tasks() == []


def test_wrong_copies(bank: Bank, source: Bank, tmp_path: Path) -> None:
    here = ("--from", source.path, "--bank", bank.path)
    assert run("tasks", "copy", "a", "b", "--as", "c", *here).code == 2
    assert run("tasks", "copy", "a", "--as", "../c", *here).code == 2
    assert run("tasks", "copy", "none", *here).code == 2
    assert run("tasks", "copy", "a", "--from", tmp_path / "no", "--bank", bank.path).code == 10
    flip_bit(source.task_path("b"), 300)
    assert run("tasks", "copy", "a", "b", *here).code == 5
    assert bank.tasks() == []


def test_a_name_that_is_being_learned_is_not_copied_over(bank: Bank, source: Bank) -> None:
    with bank.work.claim("a"):
        assert run("tasks", "copy", "a", "--from", source.path, "--bank", bank.path).code == 11
    assert copy(bank, source, "a")[0]["status"] == "copied"


def export(bank: Bank, name: str, file: Path, *words: str) -> dict[str, Any]:
    (task,) = answer("tasks", "export", "--sealed", name, file, *words, "--bank", bank.path)[
        "tasks"
    ]
    assert isinstance(task, dict)
    return task


def test_an_export_is_the_files_bytes_and_overwrites_nothing(source: Bank, tmp_path: Path) -> None:
    file = tmp_path / "a.safetensors"
    assert export(source, "a", file, "--dry-run")["status"] == "would-export"
    assert not file.exists()
    assert export(source, "a", file)["status"] == "exported"
    assert file.read_bytes() == source.task_path("a").read_bytes()
    assert export(source, "a", file)["status"] == "exists"
    ran = run("tasks", "export", "--sealed", "b", file, "--bank", source.path)
    assert ran.code == 11
    assert str(file) in ran.err
    assert file.read_bytes() == source.task_path("a").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "source"]


def test_an_export_can_be_put_into_a_bank_by_hand(bank: Bank, source: Bank, tmp_path: Path) -> None:
    export(source, "a", tmp_path / "a.safetensors")
    shutil.copy(tmp_path / "a.safetensors", bank.path / "masks")
    assert bank.read_task("a").content_sha256 == source.read_task("a").content_sha256


def test_masks_may_be_a_link_and_are_still_inside(source: Bank, tmp_path: Path) -> None:
    (source.path / "masks").rename(tmp_path / "elsewhere")
    (source.path / "masks").symlink_to(tmp_path / "elsewhere")
    assert (
        run(
            "tasks", "export", "--sealed", "a", tmp_path / "elsewhere/x", "--bank", source.path
        ).code
        == 2
    )
    assert export(source, "a", tmp_path / "x")["status"] == "exported"


def test_wrong_exports(source: Bank, tmp_path: Path) -> None:
    folder, pipe, link = tmp_path / "folder", tmp_path / "pipe", tmp_path / "link"
    folder.mkdir()
    os.mkfifo(pipe)
    link.symlink_to(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    (tmp_path / "inside").symlink_to(source.path / "masks")
    wrong = {
        folder: 11,
        pipe: 11,
        link: 11,
        tmp_path / "file": 11,
        tmp_path / "none" / "a": 13,
        tmp_path / "file" / "a": 11,
        source.path / "masks" / "c.safetensors": 2,
        source.path / "a": 2,
        tmp_path / "inside" / "c.safetensors": 2,
    }
    for file, code in wrong.items():
        ran = run("tasks", "export", "--sealed", "a", file, "--bank", source.path)
        assert (ran.code, ran.out) == (code, ""), file
        assert str(file) in ran.err
    assert not (tmp_path / "nowhere").exists()
    assert verify(source.path).hints == ()
    flip_bit(source.task_path("a"), 300)
    assert run("tasks", "export", "--sealed", "a", tmp_path / "x", "--bank", source.path).code == 5
