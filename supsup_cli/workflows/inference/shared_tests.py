"""Test images shared out among ranks: whole tasks where there are many, parts of each where few."""

from collections import Counter
from collections.abc import Sequence
from typing import cast

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.canonical_json import Json
from bank_format.encoding.strict_json import from_json, to_json
from supsup_cli.workflows.inference.accuracy import Measured
from supsup_cli.workflows.inference.deciding import Rule, groups_at_once
from supsup_cli.workflows.ranks import Ranks
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.inference import EvaluatedTask, NamedTask

# From so many blocks of tasks for each rank on, the one that has a block more waits little for it.
_EVEN = 4

Failures = Sequence[tuple[str, FailedInput]]


class SharedTests:
    """The tasks, or the parts of tasks, that this rank measures.

    Args:
        ranks: who shares the work.
        rules: by which the tasks are told apart, the main one first.
        names: of all tasks to measure.
        block: tasks that one process would measure together; they stay together.
    """

    def __init__(
        self, ranks: Ranks, rules: Sequence[Rule], names: Sequence[str], block: int
    ) -> None:
        self._ranks = ranks
        self._all = names
        size = _group_size(rules)
        self._size = size or 1
        blocks = -(-len(names) // block)
        even = blocks % ranks.count == 0 or blocks >= _EVEN * ranks.count
        self._whole = size is None or even
        mine = [place // block % ranks.count == ranks.rank for place in range(len(names))]
        self.names = [name for name, own in zip(names, mine, strict=True) if own or not self._whole]

    def places(self, chosen: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Give the images of a task that this rank measures, perhaps none.

        Args:
            chosen: (N,) int64, places of those that all ranks measure.
        """
        if self._whole:
            return chosen
        run = self._size * groups_at_once(self._size)
        runs = np.arange(len(chosen)) // run % self._ranks.count
        own = chosen[runs == self._ranks.rank]
        return own if len(own) or self._ranks.rank == 0 else None

    def counted(self, tasks: int) -> int:
        """Tell for how many tasks of all it stands that this rank has measured so many."""
        return tasks if self._whole or self._ranks.rank == 0 else 0

    def gathered(
        self, measured: Sequence[Sequence[Measured]], failed: Failures
    ) -> tuple[list[list[Measured]], list[FailedInput]]:
        """Bring together what all ranks measured, in the order of the tasks.

        Args:
            measured: by each rule, what came of each task.
            failed: with the tasks' names, what could not be read.

        Raises:
            PartDeliveredError: another rank goes on with it.
        """
        if self._ranks.count == 1:
            return [list(those) for those in measured], [one for _, one in failed]
        own = [to_json(measured), to_json(failed if self._whole or not self._ranks.rank else ())]
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
        return [self._merged(those) for those in joined], [
            one for _, one in sorted(names, key=lambda pair: pair[0])
        ]

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
    named = Counter[str]()
    for part in parts:
        named.update({one.named: one.images for one in part.named})
    task = parts[0].task.task
    return Measured(
        EvaluatedTask(
            task=task,
            images=sum(images),
            accuracy_given=_share([one.task.accuracy_given for one in parts], images),
            accuracy_inferred=_share([one.task.accuracy_inferred for one in parts], images),
            accuracy_inferred_shared=_share(
                [one.task.accuracy_inferred_shared for one in parts], images
            ),
            task_accuracy=_share([one.task.task_accuracy for one in parts], decisions),
            false_alarms=_share([one.task.false_alarms for one in parts], images),
        ),
        tuple(NamedTask(task, one, named[one]) for one in sorted(named)),
        (),
    )


def _share(shares: Sequence[float], counts: Sequence[int]) -> float:
    """Give the share of all, from shares that are each a whole number of a count."""
    pairs = zip(shares, counts, strict=True)
    return sum(round(share * count) for share, count in pairs) / sum(counts)


def _group_size(rules: Sequence[Rule]) -> int | None:
    """Tell how many images share a decision; None where images of a task cannot be parted."""
    rule = rules[0]
    if len(rules) > 1 or rule.attractors is not None or rule.group in ("folder", "all"):
        return None
    return 1 if rule.group == "image" else int(rule.group)
