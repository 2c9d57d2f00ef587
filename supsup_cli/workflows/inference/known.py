"""Known or new: compare each decision's best task with that task's own calibration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bank_format.kinds.mask import Task
from supsup_cli.core.inference.novelty import (
    CALIBRATION_LEVELS,
    Calibration,
    novelty_threshold,
)


def calibration_of(task: Task) -> Calibration | None:
    """Read a task's calibration; None if its file has none."""
    record = task.content.calibration
    if record is None:
        return None
    return Calibration(record.objective, record.images, record.levels, record.values)


def witness_calibration(
    task: Task, name: str, quantiles: Sequence[float], images: int | None = None
) -> Calibration | None:
    """Make a calibration from quantiles in a task's signature.

    Args:
        task: the one with the signature.
        name: `SIGNATURE` or `APPEARANCE`.
        quantiles: at `CALIBRATION_LEVELS`.
        images: number that they were measured on; None: that of the mask's calibration.

    Returns:
        None if there are no quantiles, or the task's mask has no calibration.
    """
    record = task.content.calibration
    if record is None or len(quantiles) != len(CALIBRATION_LEVELS):
        return None
    measured = record.images if images is None else images
    return Calibration(name, measured, CALIBRATION_LEVELS, tuple(quantiles))


def within_threshold(
    calibration: Calibration | None,
    values: Sequence[NDArray[np.float64]],
    tasks: int,
    witnesses: int,
) -> NDArray[np.bool_]:
    """Decide for each group whether its images fit the task; its median image counts.

    Args:
        calibration: that of the groups' best task.
        values: for each group, how badly each of its images fits.
        tasks: T, the number of tasks that competed.
        witnesses: how many such tests a decision must pass.

    Returns:
        (G,) bool, also true if nothing is known of the task: see `novelty_threshold`.
    """
    sizes = np.array([len(one) for one in values], np.int64)
    middles = lower_medians(np.concatenate(values), sizes)
    return np.asarray(middles <= thresholds(calibration, tasks, sizes, witnesses))


def thresholds(
    calibration: Calibration | None, tasks: int, sizes: NDArray[np.int64], witnesses: int
) -> NDArray[np.float64]:
    """Set the thresholds of groups of these sizes: see `novelty_threshold`."""
    by_size = {
        size: novelty_threshold(calibration, tasks, size, witnesses) for size in set(sizes.tolist())
    }
    return np.array([by_size[size] for size in sizes.tolist()])


def lower_medians(values: NDArray[np.float64], sizes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Take each group's median, the lower of two: one odd image of two does not make them new.

    Args:
        values: (N,) float64, group after group.
        sizes: (G,) int64, of the groups.
    """
    owners = np.repeat(np.arange(len(sizes)), sizes)
    ordered = values[np.lexsort((values, owners))]
    return np.asarray(ordered[sizes.cumsum() - sizes + (sizes - 1) // 2])
