"""learn-task continues where it stopped, and learns the masks of a run that never stopped."""

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from bank_format.disk import system_calls
from bank_format.encoding.sealed import seal, unseal
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.workflows.learning import checkpoints, one_task
from tests.support.commands import answer, learn, make_bank, run
from tests.support.stops import STATE, STEPS, TASK, learn_to_the_end, stop_after

RECIPES = ("default", "paper", "separable")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Digest of the task learned without a stop, for each recipe."""
    banks = {one: make_bank(tmp_path_factory.mktemp(one) / "bank") for one in RECIPES}
    return {recipe: learn_to_the_end(bank, recipe=recipe)[0] for recipe, bank in banks.items()}


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    return make_bank(tmp_path / "bank")


@pytest.fixture
def stopped(fresh: Path) -> Path:
    """A bank with a task that stopped after 25 of 60 steps."""
    stop_after(fresh, 25)
    return fresh


@pytest.fixture
def every_step_saved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "_INTERVAL", 0.0)
    monkeypatch.setattr(checkpoints, "_SHARE", float("inf"))


@pytest.mark.parametrize("recipe", RECIPES)
def test_stopped_ten_times_the_same_command_gives_the_same_content(
    recipe: str, fresh: Path, whole: dict[str, str]
) -> None:
    stops = sorted(random.Random(recipe).sample(range(STEPS + 1), 10))
    for before, stop in zip([0, *stops], stops, strict=False):
        error = stop_after(fresh, stop - before, recipe=recipe)
        assert f"at step {stop} of {STEPS}, saved" in error.message
        assert Bank.open(fresh).tasks() == []
        assert Bank.open(fresh).work.unfinished() == [TASK]
        assert answer("verify", "--bank", fresh)["ok"] is True
    digest, said = learn_to_the_end(fresh, recipe=recipe)
    assert digest == whole[recipe]
    assert said == [f"task {TASK}: goes on after step {stops[-1]}"]


def test_a_stop_says_how_far_it_got_and_what_is_done(fresh: Path) -> None:
    error = stop_after(fresh, STEPS + 1 + 3, "mnist-split-0", TASK, "mnist-split-1")
    place = f"task {TASK!r} at step 3 of {STEPS}, saved"
    assert error.message == f"interrupted; {place}; 1 of 3 tasks are done"
    assert error.hint
    assert [one["task"] for one in error.beside["tasks"]] == ["mnist-split-0"]  # type: ignore[attr-defined]
    digest, said = learn_to_the_end(fresh, "mnist-split-0", TASK, "mnist-split-1")
    assert digest
    assert said == [f"task {TASK}: goes on after step 3"]


def test_a_stop_while_the_masks_are_measured_keeps_every_step(
    fresh: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_arguments: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(one_task, "accuracy", interrupted)
        ran = run("learn-task", "--bank", fresh, "--data", TASK, "--steps", STEPS, "--json")
    assert (ran.code, ran.error["code"]) == (130, "interrupted")
    assert f"at step {STEPS} of {STEPS}, saved; 0 of 1" in ran.error["message"]
    assert ran.json["tasks"] == []
    monkeypatch.setattr(Learning, "advance", interrupted)
    assert learn_to_the_end(fresh)[0] == whole["default"]


def test_seconds_count_what_earlier_runs_spent(stopped: Path) -> None:
    path = stopped / STATE
    tensors, metadata = unseal(path.read_bytes(), "state")
    tensors["seconds"] = tensors["seconds"] + 5000.0  # type: ignore[operator]
    path.write_bytes(seal(tensors, metadata))
    task = learn(stopped, TASK, steps=STEPS)[0]
    assert 5000 < task["seconds"] < 5600


def test_a_task_that_is_there_has_no_work_left(stopped: Path) -> None:
    left = (stopped / STATE).read_bytes()
    learn_to_the_end(stopped)
    (stopped / STATE).parent.mkdir()
    (stopped / STATE).write_bytes(left)
    assert learn(stopped, TASK, steps=STEPS)[0]["status"] == "exists"
    assert list((stopped / "work").iterdir()) == []


@pytest.mark.usefixtures("every_step_saved")
def test_a_state_at_every_step_changes_nothing(fresh: Path, whole: dict[str, str]) -> None:
    assert learn_to_the_end(fresh) == (whole["default"], [])


@pytest.mark.usefixtures("every_step_saved")
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_keeps_no_state_is_told_once_and_the_task_is_learned(
    number: int, fresh: Path, whole: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    rename = system_calls.rename

    def refuse(source: Path, target: Path) -> None:
        if target.name == "state.safetensors":
            raise OSError(number, os.strerror(number), str(source))
        rename(source, target)

    monkeypatch.setattr(system_calls, "rename", refuse)
    digest, notes = learn_to_the_end(fresh)
    assert digest == whole["default"]
    assert len(notes) == 1
    assert STATE in notes[0]
    assert os.strerror(number) in notes[0]


def test_a_stop_whose_state_cannot_be_kept_says_so(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(source: Path, _target: Path) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(source))

    monkeypatch.setattr(system_calls, "rename", refuse)
    error = stop_after(fresh, 5)
    assert f"at step 5 of {STEPS}, which could not be saved" in error.message
    assert Bank.open(fresh).work.unfinished() == []
