"""Moves and folders, and that they are on the disk before they are reported."""

import errno
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from bank_format.disk import files
from bank_format.errors import NameTakenError, StorageError
from tests.robustness.faults.faults import failing


def test_a_file_is_moved_and_never_onto_another(tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    source, target = tmp_path / "a", tmp_path / "aside" / "b"
    source.write_bytes(b"mask")
    target.write_bytes(b"other")
    with pytest.raises(NameTakenError):
        files.move_new(source, target)
    assert (source.read_bytes(), target.read_bytes()) == (b"mask", b"other")
    target.unlink()
    files.move_new(source, target)
    assert target.read_bytes() == b"mask"
    assert not source.exists()
    with pytest.raises(StorageError, match="cannot move"):
        files.move_new(source, target)
    with pytest.raises(ValueError, match="itself"):
        files.move_new(target, target)
    assert target.read_bytes() == b"mask"


def test_a_move_that_was_killed_between_its_steps_is_completed(tmp_path: Path) -> None:
    (tmp_path / "aside").mkdir()
    source, target = tmp_path / "a", tmp_path / "aside" / "b"
    source.write_bytes(b"mask")
    os.link(source, target)
    files.move_new(source, target)
    assert files.list_names(tmp_path) == ["aside"]
    assert target.read_bytes() == b"mask"


def test_a_folder_and_a_file_without_links_are_moved_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("folder", "aside"):
        (tmp_path / name).mkdir()
    (tmp_path / "folder" / "inside").touch()
    (tmp_path / "file").touch()
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    for name in ("folder", "file"):
        files.move_new(tmp_path / name, tmp_path / "aside" / name)
    assert files.list_names(tmp_path) == ["aside"]
    assert files.list_names(tmp_path / "aside") == ["file", "folder"]
    assert files.list_names(tmp_path / "aside" / "folder") == ["inside"]


@pytest.mark.parametrize("act", [files.write_new, lambda path, _: files.unlink(path)])
def test_what_a_killed_command_did_is_on_the_disk_before_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: Callable[[Path, bytes], None]
) -> None:
    path = tmp_path / "a"
    if act is files.write_new:
        path.touch()
    synced: list[bool] = []
    fsync = os.fsync

    def noting(descriptor: int) -> None:
        synced.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noting)
    with pytest.raises((NameTakenError, FileNotFoundError)):
        act(path, b"data")
    assert synced[-1]


def test_a_folder_is_made_with_those_above_it_and_each_name_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    monkeypatch.setattr(files, "sync_folder", lambda folder: synced.append(folder.name))
    files.make_folder(tmp_path / "a" / "b" / "c")
    assert synced == [tmp_path.name, "a", "b"]
    files.make_folder(tmp_path / "a" / "b")
    assert len(synced) == 3


def test_a_folder_that_may_not_be_listed_is_left_to_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files.settle(tmp_path / "none")
    monkeypatch.setattr(os, "open", failing(errno.EACCES))
    files.settle(tmp_path)
    monkeypatch.setattr(os, "open", failing(errno.EIO))
    with pytest.raises(StorageError, match="cannot sync"):
        files.settle(tmp_path)
