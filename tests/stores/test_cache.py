"""What was read from a store is cached for its owner, checked at every read, and bounded."""

import hashlib
import os
import pwd
import stat
from pathlib import Path

import pytest

from supsup_cli.stores.cache import Cache
from tests.support.commands import answer, flip_bit
from tests.support.flaky_store import FlakyServer

S3 = "s3://banks/some/bank"


def sealed(text: bytes) -> bytes:
    return text + hashlib.sha256(text).digest()


def bodies(served: FlakyServer) -> list[str]:
    """List the objects that were read whole or in part."""
    return [one for one in served.trouble.asked if "masks/" in one and "list-type" not in one]


def test_files_are_read_once(served: FlakyServer, cache: Path) -> None:
    first = answer("tasks", "--bank", S3)
    assert len(bodies(served)) == 4
    served.trouble.asked.clear()
    assert answer("tasks", "--bank", S3) == first
    assert bodies(served) == []
    assert stat.S_IMODE(cache.stat().st_mode) == 0o700


def test_what_was_changed_here_is_read_again(served: FlakyServer, cache: Path) -> None:
    first = answer("tasks", "--bank", S3)
    for path in cache.iterdir():
        flip_bit(path, 20)
    served.trouble.asked.clear()
    assert answer("tasks", "--bank", S3) == first
    assert len(bodies(served)) >= 4


def test_a_cache_that_cannot_be_used_is_left_alone(
    served: FlakyServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("SUPSUP_CACHE", str(tmp_path / "file"))
    assert len(answer("tasks", "--bank", S3)["tasks"]) == 4
    assert (tmp_path / "file").read_text() == "no folder"


def test_a_user_without_a_home_reads_the_store(
    served: FlakyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(number: int) -> None:
        raise KeyError(f"getpwuid(): uid not found: {number}")

    for name in ("SUPSUP_CACHE", "XDG_CACHE_HOME", "HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    for _ in range(2):
        served.trouble.asked.clear()
        assert len(answer("tasks", "--bank", S3)["tasks"]) == 4
        assert len(bodies(served)) == 4


def test_a_link_in_its_place_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "elsewhere")
    Cache(tmp_path / "cache", 10**6).keep(sealed(b"a"))
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_what_was_used_longest_ago_goes(tmp_path: Path) -> None:
    files = [sealed(bytes([number]) * 968) for number in range(12)]
    kept = Cache(tmp_path / "cache", 10_000)
    for data in files:
        kept.keep(data)
        assert kept.read(files[0][-32:]) == files[0]  # used again and again
    assert sum(path.stat().st_size for path in (tmp_path / "cache").iterdir()) <= 10_000
    assert kept.read(files[-1][-32:]) == files[-1]
    assert kept.read(files[1][-32:]) is None


def test_files_of_others_in_its_folder_stay(tmp_path: Path) -> None:
    for name in ("thesis.tex", "of-old", "a" * 63, ".tmp"):
        (tmp_path / name).write_bytes(bytes(2000))
        os.utime(tmp_path / name, (1, 1))
    kept = Cache(tmp_path, 2000)
    files = [sealed(bytes([number]) * 968) for number in range(4)]
    for data in files:
        kept.keep(data)
    assert {path.stat().st_size for path in tmp_path.iterdir()} == {1000, 2000}
    assert sum(path.stat().st_size == 2000 for path in tmp_path.iterdir()) == 4
    assert kept.read(files[-1][-32:]) == files[-1]


def test_nothing_is_kept_where_nothing_may_be(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "cache", 0)
    kept.keep(sealed(b"a"))
    assert not (tmp_path / "cache").exists()


def test_a_file_under_another_seal_is_not_believed(tmp_path: Path) -> None:
    kept = Cache(tmp_path / "cache", 10**6)
    one, other = sealed(b"one"), sealed(b"other")
    kept.keep(one)
    (tmp_path / "cache" / other[-32:].hex()).write_bytes(one)
    assert kept.read(other[-32:]) is None
    assert kept.read(one[-32:]) == one
