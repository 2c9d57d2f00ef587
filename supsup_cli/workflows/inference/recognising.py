"""Known or new: each decision's best task held against that task's own calibration."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from bank_format.kinds.mask import Task
from supsup_cli.core.inference.novelty import Calibration, misfits, novelty_threshold
from supsup_cli.workflows.opening import OpenTasks


def calibration_of(task: Task) -> Calibration | None:
    """Read a task's calibration, None if its file has none."""
    record = task.content.calibration
    if record is None:
        return None
    return Calibration(record.objective, record.images, record.levels, record.values)


def recognise(
    opened: OpenTasks,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    best: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Tell whether each decision's best task knows its images; the median image speaks for a group.

    Whatever method chose the task, it is judged by the misfit that its file has quantiles of.

    Args:
        opened: the tasks.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group.
        best: (G,) int64, index of each group's best task.

    Returns:
        (G,) bool, true where the task knows the images, or cannot tell: see `novelty_threshold`.
    """
    known = np.ones(len(groups), dtype=np.bool_)
    for index in np.unique(best).tolist():
        calibration = calibration_of(opened.tasks[index])
        members = np.flatnonzero(best == index).tolist()
        thresholds = {
            size: novelty_threshold(calibration, len(opened.tasks), size)
            for size in {len(groups[place]) for place in members}
        }
        if calibration is None or not np.isfinite(list(thresholds.values())).any():
            continue
        picked = np.concatenate([np.asarray(groups[place]) for place in members])
        values = misfits(
            opened.net.network,
            opened.stack.masks(index),
            torch.from_numpy(images[picked]).to(opened.net.device),
            opened.net.pixels,
            opened.own[index].nonzero()[:, 0],
            calibration.misfit,
            opened.stack.typical(index),
        )
        parts = values.split([len(groups[place]) for place in members])
        for place, part in zip(members, parts, strict=True):
            known[place] = float(part.median()) <= thresholds[len(part)]  # the lower median
    return known
