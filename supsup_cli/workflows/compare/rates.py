"""Choose each method's learning rate from one grid, with equally many trials."""

from dataclasses import dataclass

from supsup_cli.workflows.compare.systems import Entry, Rates, Setting, Trial, scaled
from supsup_cli.workflows.reporting import Advance

# Factors on the rate of each method's paper, and on our own recipe's.
FACTORS = (0.3, 1.0, 3.0, 10.0, 30.0)


@dataclass(frozen=True)
class ChosenRates:
    """The rates that a method learns with, and how they were chosen.

    Attributes:
        first: of the first task.
        later: of the others.
        trials: (factor on the first rate, factor on the later one or None, accuracy on calibration
            images); none if the paper's rates are used.
        at_edge: whether a factor is the grid's least or largest, so that a better one may lie
            beyond.
    """

    first: float
    later: float
    trials: tuple[tuple[float, float | None, float], ...] = ()
    at_edge: bool = False

    @property
    def rates(self) -> Rates:
        """The two rates."""
        return Rates(self.first, self.later)


def fixed_rates(entry: Entry) -> ChosenRates:
    """Use the rates of the method's paper."""
    return ChosenRates(entry.rates.first, entry.rates.later)


def choose_rates(entry: Entry, setting: Setting, advance: Advance) -> ChosenRates:
    """Try every factor of the grid on the first tasks, judged on calibration images.

    A method with one rate learns the first two tasks with each factor. A method with two rates
    learns the first task with each factor, then from the best result the second task with each:
    equally many tasks. If factors are equally good, the smaller one wins.
    """
    score = entry.trial(setting, advance)
    more = len(setting.tasks) > 1
    trials: list[tuple[float, float | None, float]] = []
    if entry.two_rates:
        first = _best(trials, [(factor, None) for factor in FACTORS], score)[0]
        pairs: list[tuple[float, float | None]] = [(first, factor) for factor in FACTORS]
        later = _best(trials, pairs, score)[1] if more else 1.0
    else:
        pairs = [(factor, factor if more else None) for factor in FACTORS]
        first, later = _best(trials, pairs, score)
    later = first if later is None else later
    chosen = scaled(entry.rates, first, later)
    edges = {FACTORS[0], FACTORS[-1]}
    tried = (first, later) if more else (first,)
    return ChosenRates(chosen.first, chosen.later, tuple(trials), not edges.isdisjoint(tried))


def trial_tasks(tasks: int) -> int:
    """Count the tasks that are learned to choose rates."""
    return len(FACTORS) * min(2, tasks)


def _best(
    trials: list[tuple[float, float | None, float]],
    pairs: list[tuple[float, float | None]],
    score: Trial,
) -> tuple[float, float | None]:
    found = [(*pair, score(*pair)) for pair in pairs]
    trials += found
    first, later, _ = max(found, key=lambda one: one[2])
    return first, later
