"""Learning that stops after a number of steps, inside the test process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from bank_format.bank import Bank
from supsup_cli.errors import StoppedError
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.reporting import Silent

TASK = "mnist-split-3"
STEPS = 60
STATE = f"work/{TASK}/state.safetensors"


class StopAfter:
    """Ask to stop once the given number of steps has been taken."""

    def __init__(self, steps: int) -> None:
        self._left = steps
        self._steps_run = False

    @property
    def asked(self) -> bool:
        self._left -= self._steps_run
        return self._left < 0

    @contextmanager
    def steps(self) -> Iterator[None]:
        self._steps_run = True
        yield
        self._steps_run = False


class Notes(Silent):
    """Keep the notes of a workflow."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


def request(*data: str, recipe: str = "default", steps: int = STEPS, **ways: Any) -> LearnRequest:
    return LearnRequest(data or (TASK,), None, recipe, steps, None, 0, "cpu", **ways)


def stop_after(bank: Path, steps: int, *data: str, **options: Any) -> StoppedError:
    with pytest.raises(StoppedError) as stopped:
        learn_task(bank, request(*data, **options), Silent(), StopAfter(steps))
    return stopped.value


def learn_to_the_end(bank: Path, *data: str, **options: Any) -> tuple[str, list[str]]:
    """Learn to the end; return the last task's digest and the notes."""
    notes = Notes()
    result = learn_task(bank, request(*data, **options), notes)
    assert Bank.open(bank).work.unfinished() == []
    assert list((bank / "work").iterdir()) == []
    return result.tasks[-1].content_sha256, notes.said
