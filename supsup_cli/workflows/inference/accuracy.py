"""Measure how test images are decided and classified, for several tasks together.

A decision about one image costs as much as one about hundreds, because every mask is unpacked for
it. So if each task has few images, many tasks share the work.
"""

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from supsup_cli.data.splits import Split
from supsup_cli.workflows.hopfield.recovery import report
from supsup_cli.workflows.inference.decisions import Decisions, decide
from supsup_cli.workflows.inference.masks_run import classify
from supsup_cli.workflows.inference.rules import Rule, group_places
from supsup_cli.workflows.labelled import lower_values
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.results.inference import (
    EvaluatedTask,
    EvaluateResult,
    NamedTask,
    Scores,
    TaskRecovery,
)
from supsup_cli.workflows.written import write_rows

# Images of several tasks are measured together up to this number; a task with more is measured
# alone. If signatures choose the masks, each is unpacked once for all images together.
_IMAGES_TOGETHER, _BYTES_TOGETHER = 1024, 2**24
_SCORES_TOGETHER = 2**26  # of all tasks for all these images


def images_together(rule: Rule, input_shape: Sequence[int]) -> int:
    """Choose how many test images are measured together.

    With the method `hopfield` every group recovers its own mask, so there is no work to share.
    """
    if rule.attractors is not None:
        return 1
    if rule.signatures is None:
        return _IMAGES_TOGETHER
    most = min(
        _BYTES_TOGETHER // math.prod(input_shape), _SCORES_TOGETHER // len(rule.signatures.table)
    )
    return max(_IMAGES_TOGETHER, most)


@dataclass(frozen=True)
class HeldOutTask:
    """Test images of a task.

    Attributes:
        index: of the task among the open ones.
        split: its images, with labels among its own classes.
    """

    index: int
    split: Split


@dataclass(frozen=True)
class Measured:
    """The results of one task's test images.

    Attributes:
        task: the shares that are right.
        named: the tasks that its images were taken for, and how many.
        recoveries: masks recovered by the method `hopfield`.
    """

    task: EvaluatedTask
    named: tuple[NamedTask, ...]
    recoveries: tuple[TaskRecovery, ...]


def measure(opened: OpenTasks, rule: Rule, tests: Sequence[HeldOutTask]) -> list[Measured]:
    """Measure tasks; groups span images of one task only, in the order of its test split.

    Args:
        opened: all tasks that compete.
        rule: how to tell them apart.
        tests: what to measure, at least one.

    Returns:
        the results of each.
    """
    parts = [test.split.images for test in tests]
    images = parts[0] if len(parts) == 1 else np.concatenate(parts)
    sizes = [len(test.split) for test in tests]
    starts = np.cumsum([0, *sizes[:-1]]).tolist()
    own = [group_places(rule.group, [""] * size) for size in sizes]
    groups = [
        [start + place for place in members]
        for start, parts in zip(starts, own, strict=True)
        for members in parts
    ]
    lower = lower_values(opened.net, images)
    decisions = decide(opened, rule, images, groups, lower=lower)
    chosen = np.repeat([test.index for test in tests], sizes)
    given = classify(opened, images, chosen, lower).labels
    measured, end = [], 0
    for test, start, size, members in zip(tests, starts, sizes, own, strict=True):
        first, end = end, end + len(members)
        here = slice(start, start + size)
        theirs = _part(decisions, slice(first, end), here)
        measured.append(_measured(opened, test, members, theirs, given[here]))
    return measured


def _part(decisions: Decisions, groups: slice, images: slice) -> Decisions:
    recovered = decisions.recovered
    return Decisions(
        decisions.scores[groups],
        decisions.best[groups],
        decisions.known[groups],
        decisions.labels[images],
        decisions.probabilities[images],
        decisions.tried[groups],
        decisions.truncated[groups],
        None if recovered is None else recovered[groups],
    )


def _measured(
    opened: OpenTasks,
    test: HeldOutTask,
    groups: Sequence[Sequence[int]],
    decisions: Decisions,
    given: NDArray[np.int64],
) -> Measured:
    """Compare the decisions about one task's images with the truth.

    Args:
        opened: all tasks.
        test: the images.
        groups: places of the images of each group.
        decisions: about these groups.
        given: (N,) int64, each image's class with the task given.
    """
    content, split = opened.tasks[test.index].content, test.split
    inferred = np.empty(len(split), dtype=np.int64)
    known = np.empty(len(split), dtype=np.bool_)
    for members, winner, knows in zip(groups, decisions.best, decisions.known, strict=True):
        inferred[members] = winner
        known[members] = knows
    said = [
        opened.tasks[task].content.classes[label].name
        for task, label in zip(inferred.tolist(), decisions.labels.tolist(), strict=True)
    ]
    true = [content.classes[label].name for label in split.labels.tolist()]
    class_right = np.array([a == b for a, b in zip(said, true, strict=True)])
    task_right = inferred == test.index
    shares = EvaluatedTask(
        task=content.task,
        images=len(split),
        accuracy_given=float((given == split.labels).mean()),
        accuracy_inferred=float((class_right & task_right).mean()),
        accuracy_inferred_shared=float(class_right.mean()),
        task_accuracy=float((decisions.best == test.index).mean()),
        false_alarms=float((~known).mean()),
        short_list_recall=float((~np.isnan(decisions.scores[:, test.index])).mean()),
        masks_tried=float(decisions.tried.mean()),
    )
    told = [report(one, opened.names) for one in decisions.recovered or ()]
    counted = np.unique(inferred, return_counts=True)
    return Measured(
        shares,
        tuple(
            NamedTask(content.task, opened.names[task], count)
            for task, count in zip(*(one.tolist() for one in counted), strict=True)
        ),
        tuple(
            TaskRecovery(**dataclasses.asdict(one), of=content.task, right=one.task == content.task)
            for one in told
        ),
    )


def write_table(result: EvaluateResult, names: Sequence[str], path: Path) -> None:
    """Write a row for each task: name, images, shares 0…1, images taken for each task.

    An existing file is replaced, as by `stats --plot`.

    Args:
        result: what was measured.
        names: all tasks that competed, a column for each.
        path: the file to write.

    Raises:
        StorageError: the file cannot be written.
    """
    shares = [field.name for field in fields(Scores)]
    counts = {(one.task, one.named): one.images for one in result.confusion}
    rows = [
        [
            one.task,
            one.images,
            *(getattr(one, share) for share in shares),
            *(counts.get((one.task, name), 0) for name in names),
        ]
        for one in result.tasks
    ]
    head = ["task", "images", *shares, *(f"named {name}" for name in names)]
    write_rows(path, [head, *rows])
