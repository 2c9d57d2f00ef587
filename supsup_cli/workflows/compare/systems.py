"""What `compare` drives: any method that learns the tasks of one seed."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from supsup_cli.baselines.catalog import Scenario
from supsup_cli.baselines.networks import Base
from supsup_cli.core.images import Pixels
from supsup_cli.data.splits import Split
from supsup_cli.workflows.compare.request import CompareRequest
from supsup_cli.workflows.compare.tasks import ComparedTask, NamedTask, Tasks
from supsup_cli.workflows.reporting import Advance, Stop

Arrays = dict[str, NDArray[np.generic]]
Accuracies = dict[Scenario, float]


@dataclass(frozen=True)
class Rates:
    """Learning rates for the first task and for later ones, as `Recipe.learning_rate`."""

    first: float
    later: float


@dataclass(frozen=True)
class Setting:
    """What every method of one seed gets.

    Attributes:
        request: what was asked for.
        tasks: to learn.
        base: the network.
        pixels: turns bytes into inputs.
        folder: for this seed; temporary unless results are kept.
        stop: says when to stop.
    """

    request: CompareRequest
    tasks: Tasks
    base: Base
    pixels: Pixels
    folder: Path
    stop: Stop


class System(Protocol):
    """A method in use.

    Attributes:
        ahead: whether it can answer images of a task that it has not learned yet.
    """

    ahead: bool

    def learn(self, task: ComparedTask, advance: Advance) -> float:
        """Learn the next task; return the seconds it took."""

    def accuracies(self, place: int, task: ComparedTask, split: Split) -> Accuracies:
        """Measure accuracy on a task's images, in every scenario that the method supports."""

    @property
    def bytes(self) -> int:
        """Number of bytes that must be kept for all tasks learned so far."""


@runtime_checkable
class Resumable(System, Protocol):
    """A system that can continue after any task; others start anew unless they are done."""

    def last(self) -> Arrays:
        """Return what the last task added or changed, so that `restore` can continue from it."""

    def restore(self, task: NamedTask, arrays: Mapping[str, NDArray[np.generic]]) -> bool:
        """Restore a task that was learned before; False if it must be learned again."""


# Learns the first tasks with factors on the paper's rates and measures their calibration images;
# without a second factor only the first task.
Trial = Callable[[float, float | None], float]


@dataclass(frozen=True)
class Entry:
    """A method that can be compared.

    Attributes:
        name: as the command line knows it.
        meaning: in a few words.
        source: where it and its rates come from.
        rates: those of its paper.
        two_rates: whether the first task has a rate of its own.
        open: starts learning with given rates.
        trial: starts trials of rates.
    """

    name: str
    meaning: str
    source: str
    rates: Rates
    two_rates: bool
    open: Callable[[Setting, Rates], System]
    trial: Callable[[Setting, Advance], Trial]


def scaled(rates: Rates, first: float, later: float) -> Rates:
    """Multiply rates with factors."""
    return Rates(rates.first * first, rates.later * later)


def calibrated(system: System, places: Sequence[int], setting: Setting) -> float:
    """Average the accuracy on calibration images of tasks, in the method's first scenario."""
    found = []
    for place in places:
        task = setting.tasks[place]
        split = task.calibration if len(task.calibration) else task.data.train
        found.append(next(iter(system.accuracies(place, task, split).values())))
    return float(np.mean(found))
