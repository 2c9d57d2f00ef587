"""What `compare` answers."""

from dataclasses import dataclass

from supsup_cli.workflows.results.common import FailedInput, partial_code

# R[i][j]: accuracy on task j after task i; None where it was not measured.
Rows = tuple[tuple[float | None, ...], ...]


@dataclass(frozen=True)
class RateChoice:
    """A method's learning rates: for the first task, for later ones, and in its paper.

    `trials`: factor on the paper's first rate, on its later rate (None: the first task alone was
    learned), accuracy on calibration images. `at_edge`: a factor is the grid's least or largest.
    """

    first: float
    later: float
    paper_first: float
    paper_later: float
    trials: tuple[tuple[float, float | None, float], ...]
    at_edge: bool


@dataclass(frozen=True)
class SeedRun:
    """One seed of a method in one scenario."""

    seed: int
    accuracy: float
    accuracy_over_time: float
    forgetting: float | None
    forgetting_since_learned: float | None
    backward_transfer: float | None
    forward_transfer: float | None
    bytes: int
    seconds: float
    matrix: Rows


@dataclass(frozen=True)
class ComparedMethod:
    """A method in one scenario; shares from 0 to 1, means over the seeds.

    `scenario`: GG, the task is given; GNu, task and class are inferred; GNs, the class alone, of
    tasks that share their labels. `spread`: sample standard deviation of `accuracy` over the
    seeds, None for one. `seconds`: of learning, without choosing rates or measuring.
    """

    method: str
    scenario: str
    meaning: str
    source: str
    accuracy: float
    spread: float | None
    accuracy_over_time: float
    forgetting: float | None
    forgetting_since_learned: float | None
    backward_transfer: float | None
    forward_transfer: float | None
    bytes: int
    seconds: float
    matrix: Rows
    rates: RateChoice
    seeds: tuple[SeedRun, ...]


@dataclass(frozen=True)
class NotInstalled:
    """A method of a library that is not installed, and the command that installs it."""

    method: str
    hint: str


@dataclass(frozen=True)
class CompareResult:
    """Answer of `compare`.

    `images`: test images of each task. `definitions`: what each measure means. `grid`: factors on
        the papers' rates; empty if the papers' own rates were used. `failed`: files of the tasks
        that could not be used.
    """

    methods: tuple[ComparedMethod, ...]
    tasks: tuple[str, ...]
    images: tuple[int, ...]
    arch: str
    steps: int
    batch_size: int
    grid: tuple[float, ...]
    definitions: dict[str, str]
    not_installed: tuple[NotInstalled, ...]
    seconds: float
    keep: str | None
    csv: str | None
    plot: str | None
    failed: tuple[FailedInput, ...] = ()

    @property
    def exit_code(self) -> int:
        """Done, but some inputs failed."""
        return partial_code((), failed=bool(self.failed))
