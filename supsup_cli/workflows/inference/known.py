"""Known or new: compare each decision's best task with that task's own calibration."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bank_format.kinds.mask import Task
from supsup_cli.core.inference.novelty import (
    CALIBRATION_LEVELS,
    SIGNATURE,
    Calibration,
    novelty_threshold,
)


def calibration_of(task: Task) -> Calibration | None:
    """Read a task's calibration; None if its file has none."""
    record = task.content.calibration
    if record is None:
        return None
    return Calibration(record.objective, record.images, record.levels, record.values)


def signature_calibration(task: Task, quantiles: Sequence[float]) -> Calibration | None:
    """Make a calibration from the quantiles in a task's signature; None if there are none.

    They were measured on the same images as the mask's calibration.
    """
    record = task.content.calibration
    if record is None or len(quantiles) != len(CALIBRATION_LEVELS):
        return None
    return Calibration(SIGNATURE, record.images, CALIBRATION_LEVELS, tuple(quantiles))


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
    """Take the median of each group, of an even number the lower: two are not new for one image.

    Args:
        values: (N,) float64, group after group.
        sizes: (G,) int64, of the groups.
    """
    owners = np.repeat(np.arange(len(sizes)), sizes)
    ordered = values[np.lexsort((values, owners))]
    return np.asarray(ordered[sizes.cumsum() - sizes + (sizes - 1) // 2])
