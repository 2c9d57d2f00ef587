"""Run masks on images, each pair once: fit, class and probability together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import DAMPED_LOG_ODDS, DOUBT, judge_logits, run_mask
from supsup_cli.core.inference.perceptrons import few_logits
from supsup_cli.core.masks.superposition import effective_weights, entropy, images_at_once
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
        strengths: (N,) float64, that class's logit, over trained weights; else zero.
    """

    misfits: NDArray[np.float64]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    strengths: NDArray[np.float64]

    @classmethod
    def blank(cls, images: int) -> "MaskRun":
        """Return room for what is said about some images."""
        zeros = [np.zeros(images) for _ in range(3)]
        return cls(zeros[0], np.zeros(images, np.int64), zeros[1], zeros[2])

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> "MaskRun":
        """Take the results of some of the images."""
        here = np.asarray(places, dtype=np.int64)
        return MaskRun(
            self.misfits[here], self.labels[here], self.probabilities[here], self.strengths[here]
        )

    def put(self, places: NDArray[np.int64], part: "MaskRun") -> None:
        """Write what is said about some of the images into their places."""
        self.misfits[places], self.labels[places] = part.misfits, part.labels
        self.probabilities[places], self.strengths[places] = part.probabilities, part.strengths


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
    net, misfit = opened.net, misfit_of(opened, index)
    outputs = _outputs(opened, index)
    there = device_images(images, net.device)
    if net.trained:
        return _run_above(opened, index, there, lower)
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


def _run_above(opened: OpenTasks, index: int, images: Tensor, lower: Between | None) -> MaskRun:
    """Run a library's network: its tasks are judged by their doubt, and by their best logit."""
    net, outputs = opened.net, _outputs(opened, index)
    values = effective_weights(net.network, opened.masks(index))
    size = images_at_once(images, _ABOVE_AT_ONCE)
    parts = []
    for start in range(0, len(images), size):
        here = slice(start, start + size)
        block = None if lower is None else tuple(one[here] for one in lower)
        logits = net.parts.above(block or net.parts.lower(net.pixels(images[here])), values)
        own = logits[:, outputs]
        parts.append((entropy(logits), own.log_softmax(-1), own.amax(-1)))
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
    logits = few_logits(layers.weights, opened.stack, inputs, list(indices))
    if logits is None:
        return None
    return [
        _said(*judge_logits(one, inputs, _outputs(opened, index), misfit_of(opened, index)))
        for one, index in zip(logits, indices, strict=True)
    ]


def rows_of(lower: Between | None, places: NDArray[np.int64]) -> Between | None:
    """Take some images' rows of the values below every mask."""
    return None if lower is None else tuple(one[torch.from_numpy(places)] for one in lower)


def _outputs(opened: OpenTasks, index: int) -> Tensor:
    classes = opened.tasks[index].content.classes
    return torch.tensor([one.output for one in classes], device=opened.net.device)


def _said(misfits: Tensor, log_p: Tensor, strengths: Tensor | None = None) -> MaskRun:
    best, labels = log_p.max(-1)
    if strengths is None:
        strengths = torch.zeros_like(best)
    misfits, best, strengths = (one.double().cpu() for one in (misfits, best, strengths))
    return MaskRun(misfits.numpy(), labels.cpu().numpy(), best.exp().numpy(), strengths.numpy())


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
    found = MaskRun.blank(len(images))
    for index in np.unique(chosen).tolist():
        members = np.flatnonzero(chosen == index)
        found.put(members, run(opened, index, images[members], rows_of(lower, members)))
    return found
