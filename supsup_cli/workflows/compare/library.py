"""Methods of the library Avalanche, as systems that `compare` drives."""

import time
from dataclasses import replace

import torch
from torch import Tensor

from supsup_cli.baselines.catalog import Scenario
from supsup_cli.baselines.library import LibraryLearner
from supsup_cli.baselines.library_methods import LIBRARY, LibraryMethod
from supsup_cli.baselines.method import TaskImages
from supsup_cli.data.splits import Split
from supsup_cli.workflows.compare.systems import (
    Accuracies,
    Entry,
    Rates,
    Setting,
    Trial,
    calibrated,
    scaled,
)
from supsup_cli.workflows.compare.tasks import ComparedTask
from supsup_cli.workflows.reporting import Advance


class LibrarySystem:
    """A running strategy of the library: one network, with each class once in its head.

    Tasks with the same classes share them (GNs); otherwise the outputs of all tasks so far compete
    (GNu).

    Args:
        method: which one.
        setting: what it gets.
        rates: of its steps.
        tasks: how many it will learn.
    """

    def __init__(self, method: LibraryMethod, setting: Setting, rates: Rates, tasks: int) -> None:
        named = setting.tasks.named
        sizes = [len(task.classes) for task in named]
        shares_labels = len({task.classes for task in named}) == 1
        # What learns all tasks at once has no task that it has not learned yet.
        self.ahead = shares_labels and not method.at_once
        self._scenario: Scenario = "GNs" if shares_labels else "GNu"
        self._starts = [0 if shares_labels else sum(sizes[:place]) for place in range(len(named))]
        self._ends = [start + size for start, size in zip(self._starts, sizes, strict=True)]
        self._method = method
        self._setting = setting
        self._tasks = tasks
        self._learned = 0
        self._learner = LibraryLearner(
            method,
            setting.base,
            setting.pixels,
            max(self._ends),
            rate=rates.first,
            steps=setting.request.steps,
            batch_size=setting.request.batch_size,
        )

    def learn(self, task: ComparedTask, advance: Advance) -> float:
        """Learn the next task, or all tasks instead of the first; return the seconds it took."""
        place = self._learned
        self._learned += 1
        if not self._method.at_once:
            tasks = [self._images(place, task)]
        elif place == 0:
            tasks = [self._images(one, self._setting.tasks[one]) for one in range(self._tasks)]
        else:
            return 0.0
        began = time.perf_counter()
        self._learner.learn(tasks, advance)
        return time.perf_counter() - began

    def accuracies(self, place: int, task: ComparedTask, split: Split) -> Accuracies:
        """Measure accuracy on a task's images, among the classes of all tasks so far."""
        images = torch.from_numpy(split.images).to(task.images.outputs.device)
        seen = self._tasks if self._method.at_once else self._learned
        known = max(self._ends[: max(seen, place + 1)])
        labels = self._learner.logits(images)[:, :known].argmax(1).cpu().numpy()
        return {self._scenario: float((labels == split.labels + self._starts[place]).mean())}

    @property
    def bytes(self) -> int:
        """Number of bytes that must be kept."""
        return self._learner.bytes

    def _images(self, place: int, task: ComparedTask) -> TaskImages:
        """Return a task's images, labelled with the outputs of the one head."""
        targets: Tensor = task.images.train.targets + self._starts[place]
        return replace(task.images, train=replace(task.images.train, targets=targets))


def library_entries() -> dict[str, Entry]:
    """Return every method of the library as one to compare, installed or not."""
    return {name: _entry(method) for name, method in LIBRARY.items()}


def _entry(method: LibraryMethod) -> Entry:
    rates = Rates(method.rate, method.rate)

    def trial(setting: Setting, advance: Advance) -> Trial:
        def score(first: float, later: float | None) -> float:
            places = [0] if later is None else [0, 1]
            system = LibrarySystem(method, setting, scaled(rates, first, first), len(places))
            for place in places:
                system.learn(setting.tasks[place], advance)
            return calibrated(system, places, setting)

        return score

    return Entry(
        method.name,
        method.meaning,
        method.source,
        rates,
        two_rates=False,
        open=lambda setting, chosen: LibrarySystem(method, setting, chosen, len(setting.tasks)),
        trial=trial,
    )
