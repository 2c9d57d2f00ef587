"""Share test images among ranks: whole tasks if there are many, parts of each task if few."""

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

# With so many tasks for each rank, ranks wait little for one that has one task more.
_EVEN = 4
# Means over decisions; the others are means over images.
_OF_DECISIONS = ("task_accuracy", "short_list_recall", "masks_tried")

Failures = Sequence[tuple[str, FailedInput]]


class SharedTests:
    """The tasks, or the parts of tasks, that this rank measures.

    Args:
        ranks: the processes that share the work.
        rules: how tasks are told apart, the main rule first.
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
        """Return the images of a task that this rank measures, perhaps none.

        Args:
            chosen: (N,) int64, places of the images that all ranks measure together.
        """
        if self._whole:
            return chosen
        groups = np.arange(len(chosen)) // self._size
        own = chosen[groups * self._ranks.count // (groups[-1:].sum() + 1) == self._ranks.rank]
        return own if len(own) or self._ranks.rank == 0 else None

    def counted(self, tasks: int) -> int:
        """Return how many finished tasks this rank reports; rank 0 counts shared ones."""
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
            PartDeliveredError: another rank continues with it.
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
    """Merge the results of several parts of one task's images into those of all images.

    Args:
        parts: at least one.
        size: images decided together; only the last group has fewer.
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
    """Compute the overall mean from means of whole numbers, with a count for each."""
    pairs = zip(means, counts, strict=True)
    return sum(round(mean * count) for mean, count in pairs) / sum(counts)


def _group_size(rules: Sequence[Rule]) -> int | None:
    """Return how many images are decided together; None if a task's images cannot be split up."""
    rule = rules[0]
    if len(rules) > 1 or rule.attractors is not None or rule.group in ("folder", "all"):
        return None
    return 1 if rule.group == "image" else int(rule.group)
