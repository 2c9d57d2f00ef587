"""A run that was stopped continues with the number of threads that it started with."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from bank_format.encoding.sealed import seal, unseal
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.threads import threads_restored, use_threads
from supsup_cli.workflows.reporting import Silent
from tests.support.commands import answer, make_bank, run
from tests.support.stops import STATE, TASK, Notes, StopAfter, request

SIZES = ("--arch", "conv-4", "--input", "3x16x16", "--outputs", 50)
STEPS = 12


@pytest.fixture(autouse=True)
def _threads_afterwards() -> Iterator[None]:
    with threads_restored():
        yield


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("threads") / "bank"
    assert run("init-base", "--bank", path, *SIZES).code == 0
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Path:
    path = tmp_path / "bank"
    assert run("init-base", "--bank", path, *SIZES).code == 0
    return path


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_bank(tmp_path / "small")


def _learned(bank: Path) -> tuple[str, list[str]]:
    notes = Notes()
    task = learn_task(bank, request(steps=STEPS), notes).tasks[0]
    return task.content_sha256, notes.said


def _stopped(bank: Path, threads: int) -> Path:
    torch.set_num_threads(threads)
    with pytest.raises(StoppedError):
        learn_task(bank, request(steps=STEPS), Silent(), StopAfter(5))
    return bank / STATE


def _with_threads(state: Path, threads: float | None) -> None:
    tensors, metadata = unseal(state.read_bytes(), "state")
    assert tensors.pop("threads").dtype == np.float64
    if threads is not None:
        tensors["threads"] = np.asarray(threads)
    state.write_bytes(seal(tensors, metadata))


@pytest.mark.parametrize(("begun", "later"), [(2, 1), (1, 2)])
def test_a_stopped_run_goes_on_with_its_own_number_of_threads(
    begun: int, later: int, base: Path, fresh: Path
) -> None:
    torch.set_num_threads(begun)
    whole = _whole(base, begun)
    _stopped(fresh, begun)
    torch.set_num_threads(later)
    digest, said = _learned(fresh)
    assert digest == whole
    assert said == [
        f"task {TASK}: goes on after step 5",
        f"task {TASK}: with {begun} threads, as it began; without it, {later} would be used",
    ]
    assert torch.get_num_threads() == later
    machine = answer("tasks", "show", TASK, "--bank", fresh)["tasks"][0]["machine"]
    assert machine.endswith(f"{begun} threads")


def _whole(base: Path, threads: int) -> str:
    """Learn once without a stop for each number of threads."""
    bank = base.with_name(f"whole-{threads}")
    bank.mkdir()
    for name in ("bank.json", "base.safetensors"):
        (bank / name).write_bytes((base / name).read_bytes())
    digest, said = _learned(bank)
    assert said == []
    return digest


def test_with_as_many_threads_nothing_is_told(small: Path) -> None:
    _stopped(small, 1)
    assert _learned(small)[1] == [f"task {TASK}: goes on after step 5"]


def test_more_threads_than_can_be_started_are_told(small: Path) -> None:
    _with_threads(_stopped(small, 1), 100_000.0)
    said = _learned(small)[1]
    assert "begun with 100,000 threads, of which at most" in said[1]
    assert "may differ" in said[1]
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("threads", [None, 0.0, 1.5])
def test_a_state_without_a_number_of_threads_is_learned_anew(
    threads: float | None, small: Path
) -> None:
    _with_threads(_stopped(small, 1), threads)
    (said,) = _learned(small)[1]
    assert "threads found, expected a whole number, at least 1; learning starts anew" in said


@pytest.mark.parametrize("count", [-1.0, 0.0, 1.5, float("nan"), float("inf")])
def test_what_is_no_number_of_threads_is_refused(count: float) -> None:
    with pytest.raises(ValueError, match="threads found, expected a whole number"):
        use_threads(count)
