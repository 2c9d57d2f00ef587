"""The shared bank in stores: in this process's memory, and on a server that may fail."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from supsup_cli.stores.objects import memory
from tests.support.flaky_store import FlakyServer, Trouble, flaky_server, upload


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache for this test alone."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("SUPSUP_CACHE", str(folder))
    return folder


@pytest.fixture(scope="session")
def in_memory(bank: Path) -> str:
    """The address of the shared bank in a store in this process."""
    upload(bank, memory("shared"), "some/bank")
    return "memory://shared/some/bank"


@pytest.fixture(scope="session")
def _served(bank: Path) -> Iterator[FlakyServer]:
    with flaky_server(bank, "some/bank") as server:
        yield server


@pytest.fixture
def served(_served: FlakyServer, monkeypatch: pytest.MonkeyPatch) -> FlakyServer:
    """The shared bank at s3://banks/some/bank, on a server that does not fail yet."""
    for name, value in _served.environment.items():
        monkeypatch.setenv(name, value)
    fresh = Trouble()
    for name in ("fail", "cut", "flip", "seconds", "draws"):
        setattr(_served.trouble, name, getattr(fresh, name))
    _served.trouble.asked.clear()
    return _served
