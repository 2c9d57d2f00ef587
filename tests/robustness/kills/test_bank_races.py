"""Readers that run while writers remove tasks."""

from pathlib import Path

import pytest

from bank_format.bank import Bank
from bank_format.errors import NoSuchTaskError
from tests.support.banks import add, create


@pytest.fixture
def two_tasks(tmp_path: Path) -> Bank:
    bank = create(tmp_path / "bank")
    add(bank, "pets")
    add(bank, "wild", seed=1)
    return bank


def removed_once_listed(bank: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    listed = bank.tasks()

    def tasks(_: Bank) -> list[str]:
        return listed

    bank.remove_task("pets")
    monkeypatch.setattr(Bank, "tasks", tasks)


def test_a_task_removed_since_the_listing_is_left_out(
    two_tasks: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    removed_once_listed(two_tasks, monkeypatch)
    tasks, packed = two_tasks.read_tasks()
    assert [task.content.task for task in tasks] == ["wild"]
    assert packed.shape == (1, two_tasks.record.mask_bytes)
    assert (packed[0] == two_tasks.read_tasks(["wild"])[1][0]).all()


def test_a_task_that_was_named_is_missed(two_tasks: Bank, monkeypatch: pytest.MonkeyPatch) -> None:
    removed_once_listed(two_tasks, monkeypatch)
    with pytest.raises(NoSuchTaskError):
        two_tasks.read_tasks(["pets", "wild"])
