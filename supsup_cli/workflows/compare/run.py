"""Run one method on the tasks of one seed: learn them in order, measure after each."""

from dataclasses import dataclass, replace

import numpy as np

from supsup_cli.baselines.catalog import Scenario
from supsup_cli.baselines.metrics import Matrix
from supsup_cli.workflows.compare.kept import Keeping, LearnedStep, Row
from supsup_cli.workflows.compare.systems import Entry, Rates, Resumable, Setting, System
from supsup_cli.workflows.reporting import Advance


@dataclass(frozen=True)
class Run:
    """The results of a method.

    Attributes:
        matrices: scenario → (T, T), R[i, j] the accuracy on task j after task i; NaN if not
            measured.
        seconds: time that learning took.
        bytes: kept for all tasks.
    """

    matrices: dict[Scenario, Matrix]
    seconds: float
    bytes: int


def run_method(
    entry: Entry,
    rates: Rates,
    setting: Setting,
    keeping: Keeping | None,
    advance: Advance,
) -> Run:
    """Learn all tasks, or continue where an earlier run stopped.

    Args:
        entry: the method.
        rates: learning rates.
        setting: the tasks, the network, the seed.
        keeping: where earlier tasks are read and new ones written; None keeps nothing.
        advance: called with the steps just done, or found done.
    """
    system = entry.open(setting, rates)
    seed, tasks = setting.base.seed, setting.tasks
    done = _restored(entry, system, setting, keeping)
    advance(len(done) * setting.request.steps)
    for place in range(len(done), len(tasks)):
        seconds = system.learn(tasks[place], advance)
        step = LearnedStep({}, _row(system, setting, place), seconds, system.bytes)
        done.append(step)
        if keeping is not None and isinstance(system, Resumable):
            whole = replace(step, arrays=system.last())
            keeping.keep_step(seed, entry.name, place, whole)
    if keeping is not None and not isinstance(system, Resumable):
        for place, step in enumerate(done):
            keeping.keep_step(seed, entry.name, place, step)
    return Run(_matrices(done), sum(step.seconds for step in done), done[-1].bytes)


def _restored(
    entry: Entry, system: System, setting: Setting, keeping: Keeping | None
) -> list[LearnedStep]:
    """Restore the tasks that an earlier run learned, one by one up to the first that is missing."""
    found: list[LearnedStep] = []
    if keeping is None:
        return found
    for place in range(len(setting.tasks)):
        step = keeping.step(setting.base.seed, entry.name, place)
        if step is None:
            break
        found.append(step)
    if not isinstance(system, Resumable):
        return found if len(found) == len(setting.tasks) else []
    restored: list[LearnedStep] = []
    for task, step in zip(setting.tasks.named, found, strict=False):
        if not system.restore(task, step.arrays):
            break
        restored.append(replace(step, arrays={}))
    return restored


def _row(system: System, setting: Setting, place: int) -> Row:
    """Measure all tasks so far, and the next one if the method can answer it."""
    last = min(place + 1, len(setting.tasks) - 1) if system.ahead else place
    row: Row = {}
    for measured in range(last + 1):
        task = setting.tasks[measured]
        for scenario, share in system.accuracies(measured, task, task.test).items():
            row.setdefault(scenario, []).append(share)
    return row


def _matrices(steps: list[LearnedStep]) -> dict[Scenario, Matrix]:
    matrices: dict[Scenario, Matrix] = {}
    known: tuple[Scenario, ...] = ("GNu", "GNs", "GG")
    for scenario in known:
        rows = [step.row[scenario] for step in steps if scenario in step.row]
        if len(rows) != len(steps):
            continue
        matrix = np.full((len(steps), len(steps)), np.nan)
        for place, row in enumerate(rows):
            matrix[place, : len(row)] = row
        matrices[scenario] = matrix
    return matrices
