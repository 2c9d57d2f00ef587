"""Masks run on images, each pair of mask and image once: fit, class and probability together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from supsup_cli.core.inference.novelty import DAMPED_LOG_ODDS, DOUBT, run_mask
from supsup_cli.workflows.inference.known import calibration_of
from supsup_cli.workflows.opening import OpenTasks


@dataclass(frozen=True)
class MaskRun:
    """What one task's mask says of some images.

    Attributes:
        misfits: (N,) float64, nats: how badly each fits the mask.
        labels: (N,) int64, class among the task's own.
        probabilities: (N,) float64, of that class among them.
    """

    misfits: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> "MaskRun":
        """Take what is said of some of the images."""
        here = np.asarray(places, dtype=np.int64)
        return MaskRun(self.misfits[here], self.labels[here], self.probabilities[here])


def misfit_of(opened: OpenTasks, index: int) -> str:
    """Name the misfit by which a task's mask is judged: the one it was calibrated by.

    Without a calibration: R where there are superfluous outputs and nothing is normalised, else H.
    """
    calibration = calibration_of(opened.tasks[index])
    if calibration is not None:
        return calibration.misfit
    superfluous = not bool(opened.own[index].all())
    return DAMPED_LOG_ODDS if superfluous and not opened.normalises else DOUBT


def run(opened: OpenTasks, index: int, images: NDArray[np.uint8]) -> MaskRun:
    """Run a task's mask on images.

    Args:
        opened: the tasks.
        index: of the task.
        images: (N, C, H, W) uint8.
    """
    classes = opened.tasks[index].content.classes
    misfits, log_p = run_mask(
        opened.net.network,
        opened.masks(index),
        torch.from_numpy(images).to(opened.net.device),
        opened.net.pixels,
        torch.tensor([one.output for one in classes], device=opened.net.device),
        misfit_of(opened, index),
        opened.typical(index),
    )
    best, labels = log_p.max(-1)
    return MaskRun(misfits.numpy(), labels.cpu().numpy(), best.double().exp().cpu().numpy())


def classify(opened: OpenTasks, images: NDArray[np.uint8], chosen: NDArray[np.int64]) -> MaskRun:
    """Run on each image the mask chosen for it.

    Args:
        opened: the tasks.
        images: (N, C, H, W) uint8.
        chosen: (N,) int64, index of each image's task.
    """
    found = MaskRun(np.zeros(len(images)), np.zeros(len(images), np.int64), np.zeros(len(images)))
    for index in np.unique(chosen).tolist():
        members = np.flatnonzero(chosen == index)
        one = run(opened, index, images[members])
        found.misfits[members] = one.misfits
        found.labels[members] = one.labels
        found.probabilities[members] = one.probabilities
    return found
