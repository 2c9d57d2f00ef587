"""Every way to learn a task continues where it stopped, even if the bank has changed."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bank_format.bank import Bank
from bank_format.encoding.sealed import seal, unseal
from bank_format.errors import DamagedError
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.learning import parents
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import answer, flip_bit, learn, make_bank, run
from tests.support.stops import STATE, STEPS, TASK, learn_to_the_end, request, stop_after

PARENTS = ("mnist-perm-3", "mnist-rot-0")
WAYS: dict[str, dict[str, Any]] = {
    "a share": {"density": "0.05"},
    "er": {"density": "er:2", "recipe": "paper"},
    "changed images": {"augment": "flip,shift"},
    "transfer": {"transfer": True},
    "no combination": {"combine": 1.0},
    "no combination, but transfer": {"combine": 1.0, "transfer": True},
}


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_bank(tmp_path_factory.mktemp("begun") / "bank", *PARENTS, steps=60)


@pytest.fixture
def bank(begun: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(begun, tmp_path / "bank"))


def whole(begun: Path, folder: Path, **way: Any) -> str:
    """Digest of the task learned without a stop."""
    return learn_to_the_end(Path(shutil.copytree(begun, folder)), **way)[0]


@pytest.mark.parametrize("way", WAYS)
def test_stopped_and_gone_on_with_in_a_bank_that_has_changed(
    way: str, begun: Path, bank: Path, tmp_path: Path
) -> None:
    expected = whole(begun, tmp_path / "whole", **WAYS[way])
    stop_after(bank, 1, **WAYS[way])
    learn(bank, "mnist-rot-10", steps=5)  # it would be a parent, and fit best
    for steps in (24, 5, 20):
        stop_after(bank, steps, **WAYS[way])
    assert run("tasks", "remove", "mnist-rot-0", "--yes", "--bank", bank).code == 0
    digest, said = learn_to_the_end(bank, **WAYS[way])
    assert digest == expected
    assert said == [f"task {TASK}: goes on after step 50"]
    assert answer("verify", "--bank", bank)["ok"] is True
    parents = Bank.open(bank).read_task(TASK).content.parents
    transferred = WAYS[way].get("transfer", False)
    assert {one.task for one in parents} == (set(PARENTS) if transferred else set())


def test_a_stop_before_the_first_step_asks_the_bank_anew(
    begun: Path, bank: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: Any, **_options: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(parents, "learn_coefficients", interrupted)
        with pytest.raises(StoppedError, match="0 of 1 tasks are done"):
            learn_task(bank, request(combine=0.2), Silent())
    assert Bank.open(bank).work.unfinished() == []
    digest, _ = learn_to_the_end(bank, combine=0.2)
    assert digest == whole(begun, tmp_path / "whole", combine=0.2)
    assert Bank.open(bank).read_task(TASK).content.kind == "combination"


@pytest.mark.parametrize("other", [{"transfer": True, "density": "0.1"}, {}])
def test_a_state_of_another_way_is_not_gone_on_with(
    other: dict[str, Any], begun: Path, bank: Path, tmp_path: Path
) -> None:
    stop_after(bank, 10, transfer=True)
    digest, said = learn_to_the_end(bank, **other)
    assert digest == whole(begun, tmp_path / "whole", **other)
    assert said[0].endswith("learning starts anew")


@pytest.mark.parametrize("text", [b"{", b"[1]", b"\xff", b'[{"task": "../x"}]', b"7"])
def test_parents_that_cannot_be_read_are_no_parents(
    text: bytes, begun: Path, bank: Path, tmp_path: Path
) -> None:
    stop_after(bank, 10, transfer=True)
    path = bank / STATE
    tensors, metadata = unseal(path.read_bytes(), "state")
    tensors["parents"] = np.frombuffer(text, np.uint8)
    path.write_bytes(seal(tensors, metadata))
    digest, said = learn_to_the_end(bank, transfer=True)
    assert digest == whole(begun, tmp_path / "whole", transfer=True)
    assert len(said) == 1
    assert said[0].endswith("learning starts anew")


def test_a_damaged_task_has_no_part_in_transfer(bank: Path) -> None:
    path = bank / "masks" / "mnist-rot-0.safetensors"
    flip_bit(path, 900)
    _, said = learn_to_the_end(bank, transfer=True, steps=STEPS)
    assert len(said) == 1
    assert str(path) in said[0]
    parents = Bank.open(bank).read_task(TASK).content.parents
    assert [one.task for one in parents] == ["mnist-perm-3"]
    with pytest.raises(DamagedError):
        Bank.open(bank).read_tasks()
