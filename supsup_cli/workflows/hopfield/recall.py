"""Recall every stored mask: from itself, from corrupted copies, from its data."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from bank_format.encoding.bits import unpack
from bank_format.kinds.bank_json import BankRecord
from bank_format.kinds.mask import Task
from supsup_cli.core.hopfield.attractors import corrupt, energy, settle
from supsup_cli.core.seeds import generator
from supsup_cli.data.reading import Reading
from supsup_cli.data.splits import choose
from supsup_cli.errors import SupsupError
from supsup_cli.workflows.held_out import held_out
from supsup_cli.workflows.hopfield.attractors import OpenAttractors, open_attractors
from supsup_cli.workflows.hopfield.recovery import recover_groups, report
from supsup_cli.workflows.opening import OpenTasks, open_tasks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.common import FailedInput
from supsup_cli.workflows.results.hopfield import CorruptedRecall, RecalledTask, RecoveryReport

Patterns = dict[str, Tensor]
_FLIPPED = (0.05, 0.1, 0.2)  # shares of a corrupted copy's units that are flipped


def patterns_of(task: Task, record: BankRecord) -> Patterns:
    """Return a task's masks as patterns: parameter name → (d,) float64, +1 for kept units or −1."""
    return {
        one.name: torch.from_numpy(np.where(unpack(task.masks[one.name], one.count), 1.0, -1.0))
        for one in record.masked
    }


def recalled_from_itself(
    task: Task, record: BankRecord, matrices: Mapping[str, Tensor]
) -> RecalledTask:
    """Count the bits by which a stored mask moves until it rests; 0 if it is an attractor."""
    patterns = patterns_of(task, record)
    distance = _distance(matrices, patterns, patterns)
    return RecalledTask(task.content.task, distance, distance == 0, {}, (), None)


def recalled_from_all(
    path: Path,
    recall: tuple[RecalledTask, ...],
    limit: int | None,
    seed: int,
    device: str,
    reading: Reading,
    reporter: Reporter,
) -> tuple[tuple[RecalledTask, ...], tuple[FailedInput, ...]]:
    """Recall each task's mask from corrupted copies and from its test images, using only the file.

    Args:
        path: the bank's folder.
        recall: results of recalling each mask from itself.
        limit: random (seeded) images of each task; None uses all.
        seed: of that choice and of the corruption.
        device: where to compute.
        reading: how the data are read.
        reporter: gets the progress.

    Returns:
        `recall` with the further results, and the tasks with unreadable data.

    Raises:
        UsageError, DeviceError: no such device.
        BankError: the bank cannot be read.
    """
    opened = open_tasks(path, device, [one.task for one in recall])
    attractors = open_attractors(opened.net, opened.tasks, reporter)
    told, failed = [], []
    with reporter.track("recalling", len(recall), "masks") as advance:
        for one, task in zip(recall, opened.tasks, strict=True):
            found: RecoveryReport | None = None
            try:
                found = _from_data(opened, attractors, task, limit, seed, reading)
            except SupsupError as error:
                failed.append(FailedInput(one.task, error.message))
            told.append(_with_all(one, opened, attractors, task, seed, found))
            advance(1)
    return tuple(told), tuple(failed)


def _with_all(
    one: RecalledTask,
    opened: OpenTasks,
    attractors: OpenAttractors,
    task: Task,
    seed: int,
    found: RecoveryReport | None,
) -> RecalledTask:
    device = opened.net.device
    patterns = {
        name: pattern.to(device)
        for name, pattern in patterns_of(task, opened.net.bank.record).items()
    }
    corrupted = []
    for share in _FLIPPED:
        copies = {
            name: corrupt(pattern, share, generator(seed, "corruption", one.task, name, str(share)))
            for name, pattern in patterns.items()
        }
        distance = _distance(attractors.matrices, copies, patterns)
        corrupted.append(CorruptedRecall(share, distance, distance == 0))
    energies = {
        name: float(energy(attractors.matrices[name], pattern))
        for name, pattern in patterns.items()
    }
    return dataclasses.replace(one, energy=energies, corrupted=tuple(corrupted), from_data=found)


def _from_data(
    opened: OpenTasks,
    attractors: OpenAttractors,
    task: Task,
    limit: int | None,
    seed: int,
    reading: Reading,
) -> RecoveryReport:
    test = held_out(opened.net, task, reading, {}).test
    images = test.images[choose(len(test), limit, seed)]
    (recovered,) = recover_groups(opened, attractors, images, [range(len(images))])
    return report(recovered, opened.names)


def _distance(matrices: Mapping[str, Tensor], starts: Patterns, patterns: Patterns) -> int:
    """Count the units in which settled states differ from the patterns."""
    return sum(
        int((settle(matrices[name], starts[name]) != pattern).sum())
        for name, pattern in patterns.items()
    )
