"""Checkpoints: the state of a task that is being learned, saved in the bank regularly."""

import hashlib
import json
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bank_format.encoding.canonical_json import canonical, parse_canonical
from bank_format.encoding.strict_json import from_json, to_json
from bank_format.errors import BankError, StorageError
from bank_format.kinds.state import WorkFolder, WorkState, remove_parts
from bank_format.kinds.task_records import ParentRecord
from supsup_cli import __version__
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.workflows.learning.threads import use_threads
from supsup_cli.workflows.reporting import Reporter

_INTERVAL = 15.0  # seconds of learning between two states
_SHARE = 0.01  # of the time, at most, is spent on saving them
# Stored besides the tensors of the learning itself.
_SECONDS, _PARENTS, _THREADS = "seconds", "parents", "threads"


class Resumable(Protocol):
    """Work that can be left between two steps, and resumed."""

    @property
    def steps_done(self) -> int:
        """Number of steps so far."""

    def state(self) -> Mapping[str, Tensor]:
        """Copy all that the next step depends on, besides `steps_done` and parts."""

    def restore(self, state: Mapping[str, Tensor], steps_done: int) -> None:
        """Continue from a state.

        Raises:
            ValueError: it is another kind of state.
            BankError: a part of it cannot be read.
        """


_Resumed = TypeVar("_Resumed", bound=Resumable)


def plan_digest(task: str, data: str, recipe: Recipe, seed: int, device: str) -> str:
    """Digest everything that decides what is learned; equal digests continue as if never stopped.

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
    }
    return digest_with_versions(plan)


def digest_with_versions(plan: Mapping[str, object]) -> str:
    """Digest a plan of JSON values together with the versions of supsup and torch."""
    plan = {**plan, "versions": [__version__, str(torch.__version__)]}
    text = json.dumps(plan, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Checkpoints:
    """One task's states: that of an earlier run, and those of this run.

    A state that cannot be read or written is reported, and never stops the learning.

    Args:
        work: folder of the task, which the caller has claimed.
        plan: see `plan_digest`.
        reporter: gets notes.
        clock: returns seconds.

    Attributes:
        parents: tasks with masks that the learning started from, even if the bank has changed; set
            at the start, saved with each state.
    """

    def __init__(
        self,
        work: WorkFolder,
        plan: str,
        reporter: Reporter,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._work = work
        self._plan = plan
        self._reporter = reporter
        self._clock = clock
        self._began = clock()
        self._due = self._began + _INTERVAL
        self._failed = False
        self.parents: tuple[ParentRecord, ...] = ()

    def resume(self, blank: Callable[[], _Resumed]) -> _Resumed | None:
        """Continue where an earlier run stopped; None if it left no state.

        Afterwards torch uses that run's number of threads; see `threads_restored`.

        Args:
            blank: makes a learning of this plan; its scores do not matter.
        """
        left = self._left()
        if left is None:
            return None
        tensors = {name: torch.from_numpy(array.copy()) for name, array in left.tensors.items()}
        seconds = tensors.pop(_SECONDS, torch.zeros(()))
        parents = tensors.pop(_PARENTS, torch.empty(0, dtype=torch.uint8))
        threads = tensors.pop(_THREADS, torch.zeros(()))
        learning = blank()
        try:
            learning.restore(tensors, left.step)
            spent = float(seconds)
            self.parents = _parsed(parents)
            told = use_threads(float(threads))
        except (ValueError, RuntimeError, BankError) as error:
            self._anew(f"{self._work.path}: {error}")
            return None
        self._began -= max(0.0, spent)
        self._reporter.note(f"task {self._work.task}: goes on after step {left.step}")
        if told:
            self._reporter.note(f"task {self._work.task}: {told}")
        return learning

    def after_step(
        self, learning: Resumable, write_parts: Callable[[], Collection[str]] = tuple
    ) -> None:
        """Save the state if it is time to; see `save`."""
        if self._clock() >= self._due:
            self.save(learning, write_parts)

    def save(self, learning: Resumable, write_parts: Callable[[], Collection[str]] = tuple) -> bool:
        """Save the state now; return whether that was possible.

        Args:
            learning: what to save.
            write_parts: writes the parts that the state names, and returns their names.
        """
        began = self._clock()
        try:
            parts = write_parts()
            tensors = {name: np.asarray(tensor) for name, tensor in learning.state().items()}
            tensors[_SECONDS] = np.asarray(self.seconds())
            tensors[_THREADS] = np.asarray(float(torch.get_num_threads()))
            if self.parents:
                tensors[_PARENTS] = _written(self.parents)
            self._work.write(WorkState(self._plan, learning.steps_done, tensors))
            saved = True
            if parts:
                with suppress(StorageError):
                    remove_parts(self._work, but=parts)
        except (StorageError, ValueError) as error:  # a long stream's decisions may be too many
            saved = False
            if not self._failed:
                self._reporter.note(f"{error}; learning continues, but cannot be resumed")
            self._failed = True
        now = self._clock()
        self._due = now + max(_INTERVAL, (now - began) / _SHARE)
        return saved

    def seconds(self) -> float:
        """Return how many seconds the task has been learned, earlier runs included."""
        return self._clock() - self._began

    def _left(self) -> WorkState | None:
        try:
            left = self._work.read()
        except BankError as error:
            self._anew(error.message)
            return None
        if left is not None and left.plan != self._plan:
            self._anew(
                f"{self._work.path}: plan {left.plan[:16]}… found, asked for {self._plan[:16]}…"
            )
            return None
        return left

    def _anew(self, reason: str) -> None:
        self._reporter.note(f"{reason}; learning starts anew")


def _written(parents: Sequence[ParentRecord]) -> NDArray[np.uint8]:
    text = canonical([to_json(one) for one in parents])
    return np.frombuffer(text, np.uint8)


def _parsed(written: Tensor) -> tuple[ParentRecord, ...]:
    """Read what `_written` returned.

    Raises:
        ValueError: it is something else.
    """
    if written.numel() == 0:
        return ()
    stated = parse_canonical(written.numpy().tobytes())
    if not isinstance(stated, list):
        raise ValueError(f"{_PARENTS}: {str(stated)[:40]} found, expected a list")
    return tuple(from_json(ParentRecord, one, _PARENTS) for one in stated)
