"""Run masks on images, each pair once: fit, class and probability together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import DAMPED_LOG_ODDS, DOUBT, judge_logits, run_mask
from supsup_cli.core.inference.perceptrons import few_logits
from supsup_cli.core.masks.superposition import effective_weights, entropy
from supsup_cli.core.networks.parts import Between
from supsup_cli.workflows.inference.known import calibration_of
from supsup_cli.workflows.labelled import device_images
from supsup_cli.workflows.opening import OpenTasks

_ABOVE_AT_ONCE = 256  # images


@dataclass(frozen=True)
class MaskRun:
    """What one task's mask says about some images.

    Attributes:
        misfits: (N,) float64, nats, how badly each fits the mask.
        labels: (N,) int64, class among the task's own.
        probabilities: (N,) float64, of that class among them.
    """

    misfits: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> "MaskRun":
        """Take the results of some of the images."""
        here = np.asarray(places, dtype=np.int64)
        return MaskRun(self.misfits[here], self.labels[here], self.probabilities[here])


def misfit_of(opened: OpenTasks, index: int) -> str:
    """Return the misfit that judges a task's mask: the one it was calibrated with.

    Without a calibration it is R if there are superfluous outputs and nothing is normalised, else
    H.
    """
    calibration = calibration_of(opened.tasks[index])
    if calibration is not None:
        return calibration.misfit
    superfluous = not bool(opened.own[index].all())
    return DAMPED_LOG_ODDS if superfluous and not opened.by_doubt else DOUBT


def run(
    opened: OpenTasks, index: int, images: NDArray[np.uint8], lower: Between | None = None
) -> MaskRun:
    """Run a task's mask on images.

    Args:
        opened: the tasks.
        index: of the task.
        images: (N, C, H, W) uint8.
        lower: values below every mask, if already known; see `lower_values`.
    """
    if lower is not None:
        return _run_above(opened, index, lower)
    net, misfit = opened.net, misfit_of(opened, index)
    outputs = _outputs(opened, index)
    there = device_images(images, net.device)
    layers = opened.perceptron
    if layers is None:
        masks, typical = opened.masks(index), opened.typical(index)
        return _said(*run_mask(net.network, masks, there, net.pixels, outputs, misfit, typical))
    layers.take(index)
    parts = []
    for part in there.split(layers.AT_ONCE):
        inputs = net.pixels(part)
        parts.append(judge_logits(layers(inputs.flatten(1)), inputs, outputs, misfit))
    return _said(*(torch.cat(one) for one in zip(*parts, strict=True)))


def _run_above(opened: OpenTasks, index: int, lower: Between) -> MaskRun:
    """Run the masked layers of a library's network: its tasks are judged by their doubt."""
    net, outputs = opened.net, _outputs(opened, index)
    values = effective_weights(net.network, opened.masks(index))
    parts = []
    for block in zip(*(one.split(_ABOVE_AT_ONCE) for one in lower), strict=True):
        logits = net.parts.above(block, values)
        parts.append((entropy(logits), logits[:, outputs].log_softmax(-1)))
    return _said(*(torch.cat(one) for one in zip(*parts, strict=True)))


def run_few(
    opened: OpenTasks, indices: Sequence[int], images: NDArray[np.uint8]
) -> list[MaskRun] | None:
    """Run several packed masks on the same few images; None if that is not faster.

    Args:
        opened: the tasks.
        indices: of K tasks.
        images: (N, C, H, W) uint8.

    Returns:
        what each mask says about all the images.
    """
    layers = opened.perceptron
    if layers is None:
        return None
    inputs = opened.net.pixels(device_images(images, opened.net.device))
    outputs = [_outputs(opened, index) for index in indices]  # each task is read by now
    logits = few_logits(layers.weights, opened.stack, inputs, list(indices))
    if logits is None:
        return None
    return [
        _said(*judge_logits(one, inputs, own, misfit_of(opened, index)))
        for one, own, index in zip(logits, outputs, indices, strict=True)
    ]


def rows_of(lower: Between | None, places: NDArray[np.int64]) -> Between | None:
    """Take some images' rows of the values below every mask."""
    return None if lower is None else tuple(one[torch.from_numpy(places)] for one in lower)


def _outputs(opened: OpenTasks, index: int) -> Tensor:
    classes = opened.tasks[index].content.classes
    return torch.tensor([one.output for one in classes], device=opened.net.device)


def _said(misfits: Tensor, log_p: Tensor) -> MaskRun:
    best, labels = log_p.max(-1)
    return MaskRun(
        misfits.double().cpu().numpy(), labels.cpu().numpy(), best.double().exp().cpu().numpy()
    )


def classify(
    opened: OpenTasks,
    images: NDArray[np.uint8],
    chosen: NDArray[np.int64],
    lower: Between | None = None,
) -> MaskRun:
    """Run on each image the mask that was chosen for it.

    Args:
        opened: the tasks.
        images: (N, C, H, W) uint8.
        chosen: (N,) int64, index of each image's task.
        lower: as `run`.
    """
    found = MaskRun(np.zeros(len(images)), np.zeros(len(images), np.int64), np.zeros(len(images)))
    for index in np.unique(chosen).tolist():
        members = np.flatnonzero(chosen == index)
        one = run(opened, index, images[members], rows_of(lower, members))
        found.misfits[members] = one.misfits
        found.labels[members] = one.labels
        found.probabilities[members] = one.probabilities
    return found
