"""A small bank with four tasks and folders of their images, made once; copies for changes."""

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

# Read when torch is first imported. Networks this small gain nothing from threads, and threads
# that wait for a busy core make one second of learning last half a minute.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # as the console command sets it

from tests.support.commands import answer, make_bank
from tests.support.summation import OtherSums

# A shell ignores SIGINT for background commands, nohup SIGHUP, and children inherit that: tests of
# interruptions would wait for what nothing receives.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
    signal.signal(signal.SIGHUP, signal.SIG_DFL)

TASKS = ("mnist-perm-0..2", "mnist-split-3")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark numeric tests, in modules that compute with torch: see tests/processors.sh."""
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item.module, "torch"):
            item.add_marker(pytest.mark.numeric)


@pytest.fixture(autouse=True)
def _no_bank_of_the_user(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SUPSUP_BANK", "SUPSUP_DATA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(autouse=True)
def _sums_as_elsewhere() -> Iterator[None]:
    """Let products add up in other orders where tests/processors.sh asks for it."""
    if not os.environ.get("SUPSUP_OTHER_SUMS"):
        yield
        return
    with OtherSums():
        yield


@pytest.fixture(scope="session")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bank that no test may change."""
    return make_bank(tmp_path_factory.mktemp("shared") / "bank", *TASKS)


@pytest.fixture
def own_bank(bank: Path, tmp_path: Path) -> Path:
    """A copy of the bank that a test may change."""
    return Path(shutil.copytree(bank, tmp_path / "own-bank"))


@pytest.fixture(scope="session")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Test images of two tasks: perm-0/CLASS/NNNNN.png and split-3/CLASS/NNNNN.png."""
    folder = tmp_path_factory.mktemp("images")
    for name in ("perm-0", "split-3"):
        answer("data", "export", f"mnist-{name}", folder / name, "--limit", 30)
    return folder
