"""Test images shared out among ranks: whole tasks where there are many, parts of each where few."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import fields
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.canonical_json import Json
from bank_format.encoding.strict_json import from_json, to_json
from supsup_cli.workflows.inference.accuracy import Measured
from supsup_cli.workflows.inference.rules import Rule
from supsup_cli.workflows.ranks import Ranks
from supsup_cli.workflows.results.common import FailedInput, LeftOutTask, joined_left_out
from supsup_cli.workflows.results.inference import EvaluatedTask, NamedTask, Scores

# From so many tasks for each rank on, those wait little for the rank that has one more.
_EVEN = 4
# Means over decisions; the others are over images.
_OF_DECISIONS = ("task_accuracy", "short_list_recall", "masks_tried")

Failures = Sequence[tuple[str, FailedInput]]


class SharedTests:
    """The tasks, or the parts of tasks, that this rank measures.

    Args:
        ranks: who shares the work.
        rules: by which the tasks are told apart, the main one first.
        names: of all tasks to measure.
    """

    def __init__(self, ranks: Ranks, rules: Sequence[Rule], names: Sequence[str]) -> None:
        self._ranks = ranks
        self._all = names
        size = _group_size(rules)
        self._size = size or 1
        even = len(names) % ranks.count == 0 or len(names) >= _EVEN * ranks.count
        self._whole = size is None or even
        self.names = names[ranks.rank :: ranks.count] if self._whole else names

    def places(self, chosen: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Give the images of a task that this rank measures, perhaps none.

        Args:
            chosen: (N,) int64, places of those that all ranks measure.
        """
        if self._whole:
            return chosen
        groups = np.arange(len(chosen)) // self._size
        own = chosen[groups * self._ranks.count // (groups[-1:].sum() + 1) == self._ranks.rank]
        return own if len(own) or self._ranks.rank == 0 else None

    def counted(self, tasks: int) -> int:
        """Tell for how many tasks of all it stands that this rank has measured so many."""
        return tasks if self._whole or self._ranks.rank == 0 else 0

    def gathered(
        self,
        measured: Sequence[Sequence[Measured]],
        failed: Failures,
        left_out: Sequence[LeftOutTask],
    ) -> tuple[list[list[Measured]], list[FailedInput], tuple[LeftOutTask, ...]]:
        """Bring together what all ranks measured, in the order of the tasks.

        Args:
            measured: by each rule, what came of each task.
            failed: with the tasks' names, what could not be read.
            left_out: tasks that this rank had to do without.

        Raises:
            PartDeliveredError: another rank goes on with it.
        """
        if self._ranks.count == 1:
            every = [list(those) for those in measured]
            return every, [one for _, one in failed], tuple(left_out)
        own = [
            to_json(measured),
            to_json(failed if self._whole or not self._ranks.rank else ()),
            [to_json(one) for one in left_out],
        ]
        parts = cast("list[list[list[Json]]]", self._ranks.gathered(own))
        place = {name: index for index, name in enumerate(self._all)}
        joined = [
            [from_json(Measured, one) for part in parts for one in cast("list[Json]", part[0][by])]
            for by in range(len(measured))
        ]
        names = [
            (place[cast("str", name)], from_json(FailedInput, one))
            for part in parts
            for name, one in cast("list[tuple[Json, Json]]", part[1])
        ]
        told = [one for _, one in sorted(names, key=lambda pair: pair[0])]
        merged = [self._merged(those) for those in joined]
        return merged, told, joined_left_out(part[2] for part in parts)

    def _merged(self, measured: Sequence[Measured]) -> list[Measured]:
        by_task: dict[str, list[Measured]] = {}
        for one in measured:
            by_task.setdefault(one.task.task, []).append(one)
        return [merge(by_task[name], self._size) for name in self._all if name in by_task]


def merge(parts: Sequence[Measured], size: int) -> Measured:
    """Join what came of several parts of one task's images; the shares are those of all together.

    Args:
        parts: at least one.
        size: images of a group that shares a decision; only the last group of all has fewer.
    """
    if len(parts) == 1:
        return parts[0]
    images = [one.task.images for one in parts]
    decisions = [-(-count // size) for count in images]
    means = {
        field.name: _mean(
            [getattr(one.task, field.name) for one in parts],
            decisions if field.name in _OF_DECISIONS else images,
        )
        for field in fields(Scores)
    }
    named = Counter[str]()
    for part in parts:
        named.update({one.named: one.images for one in part.named})
    task = parts[0].task.task
    return Measured(
        EvaluatedTask(**means, task=task, images=sum(images)),
        tuple(NamedTask(task, one, named[one]) for one in sorted(named)),
        (),
    )


def _mean(means: Sequence[float], counts: Sequence[int]) -> float:
    """Give the mean of all, from means of whole numbers over a count each."""
    pairs = zip(means, counts, strict=True)
    return sum(round(mean * count) for mean, count in pairs) / sum(counts)


def _group_size(rules: Sequence[Rule]) -> int | None:
    """Tell how many images share a decision; None where images of a task cannot be parted."""
    rule = rules[0]
    if len(rules) > 1 or rule.attractors is not None or rule.group in ("folder", "all"):
        return None
    return 1 if rule.group == "image" else int(rule.group)
