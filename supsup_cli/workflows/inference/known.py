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
    thresholds = {
        size: novelty_threshold(calibration, tasks, size, witnesses) for size in map(len, values)
    }
    # The lower median, so that one bad image does not make a group of two new.
    middles = [np.sort(one)[(len(one) - 1) // 2] for one in values]
    return np.array(
        [middle <= thresholds[len(one)] for one, middle in zip(values, middles, strict=True)],
        dtype=np.bool_,
    )
