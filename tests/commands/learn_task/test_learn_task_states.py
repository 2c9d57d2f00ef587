"""States that learn-task cannot use: it says so, and starts again."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from bank_format.encoding.sealed import seal, unseal
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import answer, make_bank, run
from tests.support.stops import STATE, STEPS, TASK, Notes, learn_to_the_end, stop_after


def _resealed(data: bytes, *, without: str = "", **changes: object) -> bytes:
    tensors, metadata = unseal(data, "state")
    assert isinstance(metadata, dict)
    content = metadata["content"]
    assert isinstance(content, dict)
    kept = {name: tensor for name, tensor in tensors.items() if name != without}
    return seal(kept, {"content": content | changes})  # type: ignore[dict-item]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Digest of the task learned without a stop."""
    return learn_to_the_end(make_bank(tmp_path_factory.mktemp("whole") / "bank"))[0]


@pytest.fixture
def stopped(tmp_path: Path) -> Path:
    """A bank with a task that stopped after 25 of 60 steps."""
    bank = make_bank(tmp_path / "bank")
    stop_after(bank, 25)
    return bank


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda data: data[: len(data) // 2], "seal"),
        (lambda data: data[:-40] + bytes([data[-40] ^ 1]) + data[-39:], "seal"),
        (lambda _data: b"", "seal"),
        (lambda data: _resealed(data, version=2), "version 2 found"),
        (lambda data: _resealed(data, base_sha256="0" * 64), "base 0000"),
        (lambda data: _resealed(data, plan="0" * 64), "plan 0000"),
        (lambda data: _resealed(data, step=61), "61 steps done"),
        (lambda data: _resealed(data, without="order/generator"), "order"),
        (lambda data: _resealed(data, without="scores/layers.0.weight"), "scores/layers.0"),
    ],
)
def test_a_state_that_cannot_be_used_is_told_and_learning_starts_anew(
    damage: Callable[[bytes], bytes], said: str, stopped: Path, whole: str
) -> None:
    path = stopped / STATE
    path.write_bytes(damage(path.read_bytes()))
    digest, notes = learn_to_the_end(stopped)
    assert digest == whole
    assert len(notes) == 1
    assert notes[0].startswith(f"{path}: ")
    assert said in notes[0]
    assert notes[0].endswith("; learning starts anew")


def test_a_folder_in_the_state_s_place_does_not_stop_the_learning(
    stopped: Path, whole: str
) -> None:
    path = stopped / STATE
    path.unlink()
    path.mkdir()
    ran = run("learn-task", "--bank", stopped, "--data", TASK, "--steps", STEPS)
    assert ran.code == 0
    assert "learning starts anew" in ran.err
    listed = answer("tasks", "--bank", stopped)["tasks"]
    assert [one["content_sha256"] for one in listed] == [whole]


@pytest.mark.parametrize("changed", ["steps", "recipe", "seed", "batch size"])
def test_the_state_of_another_plan_is_not_taken_up(changed: str, stopped: Path) -> None:
    recipe = "paper" if changed == "recipe" else "default"
    steps = 20 if changed == "steps" else STEPS
    batch_size = 64 if changed == "batch size" else None
    seed = 1 if changed == "seed" else 0
    request = LearnRequest((TASK,), None, recipe, steps, batch_size, seed, "cpu")
    other = Path(shutil.copytree(stopped, stopped.with_name("other")))
    shutil.rmtree(other / "work")
    notes = Notes()
    found = learn_task(stopped, request, notes).tasks[0]
    assert found.content_sha256 == learn_task(other, request, Silent()).tasks[0].content_sha256
    assert [note.endswith("; learning starts anew") for note in notes.said] == [True]
