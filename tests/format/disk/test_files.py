import ctypes
import errno
import os
import stat
from pathlib import Path

import pytest

from bank_format.disk import files
from bank_format.errors import DamagedError, NameTakenError, StorageError
from tests.robustness.faults.faults import failing


def test_a_new_file_holds_the_bytes_and_nothing_else_is_left(tmp_path: Path) -> None:
    files.write_new(tmp_path / "a", b"x" * 100_000)
    assert (tmp_path / "a").read_bytes() == b"x" * 100_000
    assert files.list_names(tmp_path) == ["a"]


def test_an_existing_file_is_never_overwritten(tmp_path: Path) -> None:
    files.write_new(tmp_path / "a", b"first")
    with pytest.raises(NameTakenError, match="exists already"):
        files.write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert files.list_names(tmp_path) == ["a"]


def test_replace_changes_the_file_at_once(tmp_path: Path) -> None:
    files.replace(tmp_path / "a", b"first")
    with (tmp_path / "a").open("rb") as reader:
        files.replace(tmp_path / "a", b"second")
        assert reader.read() == b"first"
    assert (tmp_path / "a").read_bytes() == b"second"
    assert files.list_names(tmp_path) == ["a"]


@pytest.mark.parametrize("umask", [0o022, 0o002, 0o077])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        files.write_new(tmp_path / "new", b"")
        files.replace(tmp_path / "replaced", b"")
    finally:
        os.umask(before)
    for name in ("new", "replaced"):
        assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


def test_short_writes_are_carried_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write
    monkeypatch.setattr(os, "write", lambda descriptor, data: write(descriptor, data[:7]))
    files.write_new(tmp_path / "a", bytes(range(100)))
    assert (tmp_path / "a").read_bytes() == bytes(range(100))


@pytest.mark.parametrize("call", ["write", "fsync", "link"])
@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EACCES])
def test_a_failure_leaves_no_file_and_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, code: int
) -> None:
    monkeypatch.setattr(os, call, failing(code))
    with pytest.raises(StorageError, match=os.strerror(code)) as caught:
        files.write_new(tmp_path / "a", b"data")
    assert str(tmp_path / "a") in caught.value.message
    assert caught.value.hint
    assert files.list_names(tmp_path) == []


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EXDEV])
def test_without_links_a_rename_that_does_not_overwrite_is_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    monkeypatch.setattr(os, "link", failing(code))
    files.write_new(tmp_path / "a", b"first")
    with pytest.raises(NameTakenError):
        files.write_new(tmp_path / "a", b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    assert files.list_names(tmp_path) == ["a"]


def test_without_links_and_exclusive_renames_it_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "link", failing(errno.EPERM))
    monkeypatch.setattr(ctypes, "CDLL", lambda *_, **__: object())
    with pytest.raises(StorageError, match="neither hard links nor an exclusive rename") as caught:
        files.write_new(tmp_path / "a", b"data")
    assert "local disk" in caught.value.hint
    assert files.list_names(tmp_path) == []


def test_a_lost_reply_is_recognised_by_the_inode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def link_and_lose_the_reply(source: Path, target: Path, **options: bool) -> None:
        link(source, target, **options)
        raise FileExistsError(errno.EEXIST, "File exists")

    monkeypatch.setattr(os, "link", link_and_lose_the_reply)
    files.write_new(tmp_path / "a", b"data")
    assert (tmp_path / "a").read_bytes() == b"data"


def test_a_folder_that_cannot_be_synced_is_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync = os.fsync

    def only_files(descriptor: int) -> None:
        if stat.S_ISDIR(os.fstat(descriptor).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", only_files)
    files.write_new(tmp_path / "a", b"data")
    assert files.list_names(tmp_path) == ["a"]


def test_what_is_missing_stays_recognisable(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, error in (
        (tmp_path / "none", FileNotFoundError),
        (tmp_path / "file" / "x", NotADirectoryError),
    ):
        with pytest.raises(error):
            files.read_bytes(path, 10)
        with pytest.raises(error):
            files.unlink(path)
        with pytest.raises(error):
            files.list_names(path)


def test_only_regular_files_up_to_the_limit_are_read(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    assert files.read_bytes(tmp_path / "file", 5) == b"12345"
    with pytest.raises(DamagedError, match="5 bytes, expected at most 4"):
        files.read_bytes(tmp_path / "file", 4)
    with pytest.raises(DamagedError, match=r"folder|regular"):
        files.read_bytes(tmp_path, 100)
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DamagedError, match="regular file"):
        files.read_bytes(tmp_path / "pipe", 100)


def test_a_file_that_grows_while_it_is_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    fstat = os.fstat

    def grow(descriptor: int) -> os.stat_result:
        status = fstat(descriptor)
        with (tmp_path / "file").open("ab") as file:
            file.write(bytes(200_000))
        return status

    monkeypatch.setattr(os, "fstat", grow)
    with pytest.raises(DamagedError, match="100001 bytes, expected at most 100000"):
        files.read_bytes(tmp_path / "file", 100_000)


def test_other_failures_name_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="cannot make the folder"):
        files.make_folder(tmp_path / "file" / "x")
    with pytest.raises(StorageError, match="cannot read: File name too long"):
        files.read_bytes(tmp_path / ("n" * 300), 1)
    with pytest.raises(StorageError, match="cannot remove"):
        files.unlink(tmp_path)
    monkeypatch.setattr(os, "listdir", failing(errno.EIO))
    with pytest.raises(StorageError, match="cannot list: Input/output error"):
        files.list_names(tmp_path)
