"""The methods of `baselines`, as systems that `compare` drives."""

import time
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from supsup_cli.baselines.batch_ensemble import BatchEnsemble
from supsup_cli.baselines.catalog import RIVALS, Rival
from supsup_cli.baselines.learner import LearnedTask, Learner
from supsup_cli.baselines.networks import has_attention
from supsup_cli.baselines.one_shot import one_shot_factors
from supsup_cli.data.splits import Split
from supsup_cli.workflows.compare.systems import (
    Accuracies,
    Arrays,
    Entry,
    Rates,
    Setting,
    Trial,
    calibrated,
    scaled,
)
from supsup_cli.workflows.compare.tasks import ComparedTask, NamedTask
from supsup_cli.workflows.reporting import Advance

_OWN, _STATISTICS, _SHARED = "own/", "statistics/", "shared/"


class RivalSystem:
    """A rival in use.

    Args:
        rival: which one.
        setting: what it gets.
        rates: of its steps.
        learner: what it has learned so far; None starts anew.
    """

    ahead = False

    def __init__(
        self, rival: Rival, setting: Setting, rates: Rates, learner: Learner | None = None
    ) -> None:
        self._rival = rival
        self._setting = setting
        self._rates = rates
        seed = setting.base.seed
        self._learner = learner or Learner(rival.make(setting.base), setting.pixels, seed)
        self._before = dict(self._learner.shared)

    def after_first(self, rates: Rates) -> "RivalSystem":
        """Copy the system, to continue with other rates."""
        return RivalSystem(self._rival, self._setting, rates, self._learner.copy())

    def learn(self, task: ComparedTask, advance: Advance) -> float:
        """Learn the next task; return the seconds it took."""
        first = not self._learner.tasks
        recipe = replace(
            self._rival.first if first else self._rival.later,
            learning_rate=self._rates.first if first else self._rates.later,
            steps=self._setting.request.steps,
            batch_size=self._setting.request.batch_size,
        )
        self._before = dict(self._learner.shared)
        began = time.perf_counter()
        self._learner.learn(task.images, recipe, advance)
        return time.perf_counter() - began

    def accuracies(self, place: int, task: ComparedTask, split: Split) -> Accuracies:
        """Measure accuracy on a learned task, with the task given, or inferred (GNu)."""
        learner = self._learner
        images = torch.from_numpy(split.images).to(task.images.outputs.device)
        labels = learner.logits(place, images).argmax(1).cpu().numpy()
        right = labels == split.labels
        method = learner.method
        if self._rival.scenario == "GNu" and isinstance(method, BatchEnsemble):
            inferred = one_shot_factors(method, learner, images).argmax(1).cpu().numpy()
            right &= inferred == place
        return {self._rival.scenario: float(right.mean())}

    @property
    def bytes(self) -> int:
        """Number of bytes that must be kept."""
        return self._learner.bytes

    def last(self) -> Arrays:
        """Return the last task's own numbers, and the shared ones that it changed."""
        task = self._learner.tasks[-1]
        changed = {
            name: one
            for name, one in self._learner.shared.items()
            if not torch.equal(one, self._before[name])
        }
        parts = ((_OWN, task.own), (_STATISTICS, task.statistics), (_SHARED, changed))
        return {
            prefix + name: np.asarray(one.cpu())
            for prefix, those in parts
            for name, one in those.items()
        }

    def restore(self, task: NamedTask, arrays: Mapping[str, NDArray[np.generic]]) -> bool:
        """Restore a task that was learned before."""
        outputs = torch.tensor(task.outputs, device=self._setting.base.device)

        def part(prefix: str) -> dict[str, torch.Tensor]:
            return {
                name.removeprefix(prefix): torch.from_numpy(one).to(outputs.device)
                for name, one in arrays.items()
                if name.startswith(prefix)
            }

        self._learner.shared |= part(_SHARED)
        learned = LearnedTask(task.name, outputs, part(_OWN), part(_STATISTICS))
        self._learner.tasks.append(learned)
        return True


def rival_entries(network: nn.Module) -> dict[str, Entry]:
    """Return every rival that can use a network, as a method to compare."""
    attends = has_attention(network)
    return {
        name: _entry(rival)
        for name, rival in RIVALS.items()
        if not (attends and rival.wraps_layers)
    }


def _entry(rival: Rival) -> Entry:
    rates = Rates(rival.first.learning_rate, rival.later.learning_rate)

    def trial(setting: Setting, advance: Advance) -> Trial:
        begun: dict[float, RivalSystem] = {}

        def score(first: float, later: float | None) -> float:
            if first not in begun:
                begun[first] = RivalSystem(rival, setting, scaled(rates, first, 1.0))
                begun[first].learn(setting.tasks[0], advance)
            if later is None:
                return calibrated(begun[first], [0], setting)
            system = begun[first].after_first(scaled(rates, first, later))
            system.learn(setting.tasks[1], advance)
            return calibrated(system, [0, 1], setting)

        return score

    return Entry(
        rival.name,
        rival.meaning,
        rival.source,
        rates,
        rival.two_rates,
        lambda setting, chosen: RivalSystem(rival, setting, chosen),
        trial,
    )
