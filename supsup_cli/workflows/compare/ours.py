"""SupSup in a comparison: a bank of its own, used as the commands do."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bank_format.bank import Bank
from bank_format.store.layout import BASE_FILE
from supsup_cli.choices import check_choice
from supsup_cli.core.learning.recipes import RECIPES, for_network
from supsup_cli.core.networks.specs import Kind
from supsup_cli.data.splits import Split
from supsup_cli.workflows.bank.init_base import init_base
from supsup_cli.workflows.compare.request import CompareRequest
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
from supsup_cli.workflows.inference.decisions import decide
from supsup_cli.workflows.inference.masks_run import classify
from supsup_cli.workflows.inference.rules import DecisionRequest, choose_rule, group_places
from supsup_cli.workflows.learning.learn_task import learn_task
from supsup_cli.workflows.learning.plan import LearnRequest
from supsup_cli.workflows.opening import OpenTasks, open_network, open_tasks
from supsup_cli.workflows.reporting import Advance, Silent

NAME = "supsup"


class BankSystem:
    """A bank: masks over the frozen network, the task inferred by `auto`.

    Args:
        path: of the bank, which is created if missing.
        setting: network, tasks, steps.
        rates: of the recipe.
    """

    def __init__(self, path: Path, setting: Setting, rates: Rates) -> None:
        self.path = path
        self._setting = setting
        self._rate = rates.first
        self._names: list[str] = []
        self._opened: OpenTasks | None = None
        classes = {task.classes for task in setting.tasks.named}
        self._shares_labels = len(classes) == 1
        # For a future task, labels that tasks share can be right although its mask is still
        # missing.
        self.ahead = self._shares_labels
        init_base(path, replace(setting.request.base, seed=setting.base.seed))

    def learn(self, task: ComparedTask, advance: Advance) -> float:
        """Learn the next task, or find it in the bank; return the seconds it took."""
        request = self._setting.request
        name = task.data.name
        learn_task(
            self.path,
            LearnRequest(
                data=(),
                name=name,
                recipe=request.recipe,
                steps=request.steps,
                batch_size=request.batch_size,
                seed=self._setting.base.seed,
                device=request.device,
                given=task.data,
                learning_rate=self._rate,
            ),
            _Counting(advance),
            self._setting.stop,
        )
        self._add(name)
        found = open_network(self.path, request.device).bank.read_task(name)
        return found.provenance.seconds

    def accuracies(self, place: int, task: ComparedTask, split: Split) -> Accuracies:
        """Measure accuracy with the task inferred (GNu; GNs with shared labels) and given (GG)."""
        device = self._setting.request.device
        # Opened once for all tasks that are measured between two that are learned.
        opened = self._opened = self._opened or open_tasks(self.path, device, self._names)
        rule = choose_rule(opened, DecisionRequest("auto", None, "image", device), Silent())
        images = split.images
        groups = group_places(rule.group, [""] * len(split))
        decisions = decide(opened, rule, images, groups)
        said = [
            opened.tasks[index].content.classes[label].name
            for index, label in zip(decisions.best.tolist(), decisions.labels.tolist(), strict=True)
        ]
        class_right = np.array(
            [one == task.data.classes[label] for one, label in zip(said, split.labels, strict=True)]
        )
        shares: Accuracies = {}
        if place < len(self._names):
            shares["GNu"] = float((class_right & (decisions.best == place)).mean())
        if self._shares_labels:
            shares["GNs"] = float(class_right.mean())
        if place < len(self._names):
            given = classify(opened, images, np.full(len(split), place)).labels
            shares["GG"] = float((given == split.labels).mean())
        return shares

    @property
    def bytes(self) -> int:
        """Bytes of the tasks' files, and of the base if its seed cannot draw it again."""
        bank = open_network(self.path, "cpu").bank
        size = sum(bank.read_task(name).bytes_on_disk for name in self._names)
        return size + ((self.path / BASE_FILE).stat().st_size if self._setting.base.trained else 0)

    def last(self) -> Arrays:
        """Return nothing: the bank holds the task."""
        return {}

    def restore(self, task: NamedTask, _arrays: Mapping[str, NDArray[np.generic]]) -> bool:
        """Use a task that is already in the bank; False if somebody removed it."""
        if task.name not in Bank.open(self.path).tasks():
            return False
        self._add(task.name)
        return True

    def _add(self, name: str) -> None:
        self._names.append(name)
        self._opened = None


def our_entry(request: CompareRequest, kind: Kind) -> Entry:
    """Return supsup itself as a method to compare.

    Args:
        request: its recipe.
        kind: of the network, which decides what the recipe's name stands for.

    Raises:
        UsageError: there is no such recipe.
    """
    check_choice("--recipe", request.recipe, RECIPES)
    recipe = for_network(RECIPES[request.recipe], kind)
    rates = Rates(recipe.learning_rate, recipe.learning_rate)

    def trial(setting: Setting, advance: Advance) -> Trial:
        def score(first: float, later: float | None) -> float:
            places = [0] if later is None else [0, 1]
            with tempfile.TemporaryDirectory(prefix="supsup-trial-") as folder:
                bank = Path(folder, "bank")
                system = BankSystem(bank, setting, scaled(rates, first, first))
                for place in places:
                    system.learn(setting.tasks[place], advance)
                return calibrated(system, places, setting)

        return score

    return Entry(
        NAME,
        "a mask for each task over one frozen network, the task inferred",
        f"Wortsman et al. 2020; recipe {recipe.name} of this package",
        rates,
        two_rates=False,
        open=lambda setting, chosen: BankSystem(setting.folder / NAME / "bank", setting, chosen),
        trial=trial,
    )


class _Counting(Silent):
    """A reporter that passes on the steps and nothing else."""

    def __init__(self, advance: Advance) -> None:
        self._advance = advance

    @contextmanager
    def track(self, _description: str, _total: int | None, _unit: str) -> Iterator[Advance]:
        """Count the steps."""
        yield self._advance
