"""Checkpoints: the state of a task that is being learned, kept in the bank now and then."""

import hashlib
import json
import time
from collections.abc import Callable

import numpy as np
import torch

from bank_format.errors import BankError, StorageError
from bank_format.work_files import WorkRoom, WorkState
from supsup_cli import __version__
from supsup_cli.core.learning import Learning
from supsup_cli.core.recipes import Recipe
from supsup_cli.workflows.reporting import Reporter

_INTERVAL = 15.0  # seconds of learning between two states
_SHARE = 0.01  # of the time, at most, is spent on keeping them
_SECONDS = "seconds"


def plan_digest(task: str, data: str, recipe: Recipe, seed: int, device: str) -> str:
    """Digest all that decides what is learned: equal digests go on as if never stopped.

    Args:
        task: the task's name.
        data: digest of its data.
        recipe: with its steps and batch size.
        seed: of the learning.
        device: kind of device that it runs on.

    Returns:
        SHA-256, 64 hex digits. The versions of supsup and torch count too: another one may take
        other steps.
    """
    plan = {
        "task": task,
        "data": data,
        "recipe": [recipe.name, recipe.settings()],
        "steps": recipe.steps,
        "seed": seed,
        "device": device,
        "versions": [__version__, str(torch.__version__)],
    }
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Checkpoints:
    """One task's states: the one that an earlier run left, and those of this run.

    A state that cannot be read or written is told and never ends the learning.

    Args:
        room: of the task, which the caller has claimed.
        plan: see `plan_digest`.
        reporter: who is told.
        clock: seconds that pass.
    """

    def __init__(
        self,
        room: WorkRoom,
        plan: str,
        reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._room = room
        self._plan = plan
        self._reporter = reporter
        self._clock = clock
        self._began = clock()
        self._due = self._began + _INTERVAL
        self._failed = False

    def begin(self, fresh: Callable[[], Learning]) -> Learning:
        """Begin to learn where an earlier run stopped, or anew.

        Args:
            fresh: opens the learning at its first step.
        """
        learning = fresh()
        left = self._left()
        if left is None:
            return learning
        tensors = {name: torch.from_numpy(array.copy()) for name, array in left.tensors.items()}
        seconds = tensors.pop(_SECONDS, torch.zeros(()))
        try:
            learning.restore(tensors, left.step)
            spent = float(seconds)
        except (ValueError, RuntimeError) as error:
            self._anew(f"{self._room.path}: {error}")
            return fresh()
        self._began -= max(0.0, spent)
        self._reporter.note(f"task {self._room.task}: goes on after step {left.step}")
        return learning

    def after_step(self, learning: Learning) -> None:
        """Keep the state if it is time to."""
        if self._clock() >= self._due:
            self.save(learning)

    def save(self, learning: Learning) -> bool:
        """Keep the state now, and tell whether that was possible."""
        began = self._clock()
        tensors = {name: np.asarray(tensor) for name, tensor in learning.state().items()}
        tensors[_SECONDS] = np.asarray(self.seconds())
        try:
            self._room.write(WorkState(self._plan, learning.steps_done, tensors))
            saved = True
        except StorageError as error:
            saved = False
            if not self._failed:
                self._reporter.note(f"{error.message}; learning goes on, not to be taken up again")
            self._failed = True
        now = self._clock()
        self._due = now + max(_INTERVAL, (now - began) / _SHARE)
        return saved

    def seconds(self) -> float:
        """Tell how long the task has been learned, earlier runs included."""
        return self._clock() - self._began

    def _left(self) -> WorkState | None:
        try:
            left = self._room.read()
        except BankError as error:
            self._anew(error.message)
            return None
        if left is not None and left.plan != self._plan:
            self._anew(
                f"{self._room.path}: plan {left.plan[:16]}… found, asked for {self._plan[:16]}…"
            )
            return None
        return left

    def _anew(self, reason: str) -> None:
        self._reporter.note(f"{reason}; learning starts anew")
