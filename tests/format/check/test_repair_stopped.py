"""A repair that was stopped, or that cannot write or read: the next one completes it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.check.repair import repair
from bank_format.disk import files, system_calls
from bank_format.errors import StorageError
from tests.support.repairing import contents, digests, make, only_aside, spoil, swap

MOVING = ("link", "unlink", "mkdir", "write")


@pytest.fixture
def bank(tmp_path: Path) -> Bank:
    return make(tmp_path / "bank")


def damage_everything(bank: Bank) -> None:
    swap(bank.task_path("cats"), bank.task_path("dogs"))
    spoil(bank.task_path("pets"))
    spoil(bank.path / "base.safetensors")
    (bank.path / "hopfield.safetensors").write_bytes(b"spoilt")
    (bank.path / "work").rmdir()


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("verb", MOVING)
def test_stopped_at_any_step_the_next_run_finishes(
    bank: Bank, verb: str, after: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    known = digests(bank)
    del known["pets"]
    real: Callable[..., object] = getattr(system_calls, verb)
    left = 0

    def stop(*arguments: object) -> object:
        nonlocal left
        left -= 1
        if left < 0 and not after:
            raise StorageError("stopped")
        done = real(*arguments)
        if left < 0:
            raise StorageError("stopped")
        return done

    whole = {path: path.read_bytes() for path in bank.path.rglob("*") if path.is_file()}
    for calls in range(60):
        damage_everything(bank)
        damaged = contents(bank.path)
        monkeypatch.setattr(system_calls, verb, stop)
        left = calls
        try:
            repair(bank.path)
        except StorageError:
            pass
        else:
            break
        finally:
            monkeypatch.setattr(system_calls, verb, real)
        repair(bank.path)
        only_aside(bank, 3)
        assert digests(bank) == known
        assert damaged <= contents(bank.path)
        for path in bank.path.rglob("*"):
            if path.is_file():
                path.unlink()
        for path, data in whole.items():
            path.write_bytes(data)
    assert left >= 0
    only_aside(bank, 3)


def test_a_repair_of_a_bank_that_cannot_be_written_says_so(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil(bank.task_path("dogs"))

    def refuse(path: Path) -> None:
        raise OSError(30, "Read-only file system", str(path))

    monkeypatch.setattr(system_calls, "mkdir", refuse)
    with pytest.raises(StorageError, match="quarantine: cannot make the folder"):
        repair(bank.path)
    assert files.exists(bank.task_path("dogs"))


def test_a_file_that_cannot_be_read_is_left_where_it_is(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_file = system_calls.open_file

    def refuse(path: Path, flags: int) -> int:
        if path.name == "dogs.safetensors":
            raise OSError(5, "Input/output error")
        return open_file(path, flags)

    monkeypatch.setattr(system_calls, "open_file", refuse)
    report = repair(bank.path)
    assert (report.repairs, [one.exit_code for one in report.problems]) == ((), [13])
