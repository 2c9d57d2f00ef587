"""Run masks on images, each pair once: fit, class and probability together."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import (
    DAMPED_LOG_ODDS,
    DOUBT,
    damping,
    judge_logits,
    run_mask,
)
from supsup_cli.core.inference.perceptrons import MaskedPerceptron
from supsup_cli.core.masks.superposition import effective_weights, entropy, images_at_once
from supsup_cli.core.networks.parts import Between
from supsup_cli.workflows.inference.known import calibration_of
from supsup_cli.workflows.labelled import device_images
from supsup_cli.workflows.opening import OpenTasks

# Most images for which running a mask on its packed bits is faster than unpacking it for products,
# and most logits that are judged at a time.
_FEW_IMAGES, _LOGITS_AT_ONCE = 32, 1 << 20
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

    def take(self, places: Sequence[int] | NDArray[np.int64]) -> "MaskRun":
        """Take the results of some of the images."""
        here = np.asarray(places, dtype=np.int64)
        return MaskRun(
            self.misfits[here], self.labels[here], self.probabilities[here], self.strengths[here]
        )

    @staticmethod
    def blank(images: int) -> "MaskRun":
        """Make room for the results of N images."""
        zeros = [np.zeros(images) for _ in range(3)]
        return MaskRun(zeros[0], np.zeros(images, np.int64), zeros[1], zeros[2])

    def put(self, places: slice | NDArray[np.int64], other: "MaskRun") -> None:
        """Fill in the results of some of the images."""
        self.misfits[places] = other.misfits
        self.labels[places] = other.labels
        self.probabilities[places] = other.probabilities
        self.strengths[places] = other.strengths


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
    outputs = torch.tensor(_outputs(opened, index), device=opened.net.device)
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
        parts.append(judge_logits(layers(inputs.flatten(1)), damping(inputs), outputs, misfit))
    return _said(*(torch.cat(one) for one in zip(*parts, strict=True)))


def _run_above(opened: OpenTasks, index: int, images: Tensor, lower: Between | None) -> MaskRun:
    """Run a library's network: its tasks are judged by their doubt, and by their best logit."""
    net = opened.net
    outputs = torch.tensor(_outputs(opened, index), device=net.device)
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


def run_pairs(
    opened: OpenTasks,
    images: NDArray[np.uint8],
    tasks: NDArray[np.int64],
    starts: NDArray[np.int64],
    members: NDArray[np.int64],
    lower: Between | None = None,
) -> MaskRun:
    """Run several masks, each once on its own images.

    Args:
        opened: the tasks.
        images: (N, C, H, W) uint8.
        tasks: (K,) int64, indices, each once.
        starts: (K + 1,) int64, where each one's images begin among `members`.
        members: (P,) int64, which of the images.
        lower: as `run`.

    Returns:
        what each mask says about its images, in the order of `members`.
    """
    found = MaskRun.blank(len(members))
    few = np.zeros(len(tasks), np.bool_)
    layers = opened.perceptron
    if layers is not None and layers.worth_loops(len(images)) and layers.compiled is not None:
        few = np.diff(starts) <= _FEW_IMAGES
        _run_few(opened, layers, images, tasks, starts, members, few, found)
    for place in np.flatnonzero(~few).tolist():
        here = slice(starts[place], starts[place + 1])
        mine = members[here]
        found.put(here, run(opened, int(tasks[place]), images[mine], _rows_of(lower, mine)))
    return found


def _run_few(
    opened: OpenTasks,
    layers: MaskedPerceptron,
    images: NDArray[np.uint8],
    tasks: NDArray[np.int64],
    starts: NDArray[np.int64],
    members: NDArray[np.int64],
    wanted: NDArray[np.bool_],
    found: MaskRun,
) -> None:
    """Run the wanted ones of the masks of `run_pairs` on their packed bits."""
    inputs = opened.net.pixels(device_images(images, opened.net.device))
    divisors = damping(inputs)
    ways = [(misfit_of(opened, index), _outputs(opened, index)) for index in tasks.tolist()]
    most = max(1, _LOGITS_AT_ONCE // opened.own.shape[1])
    places = np.flatnonzero(wanted)
    sizes = np.diff(starts)[places]
    chunks = (np.cumsum(sizes) - 1) // most
    for chunk in np.unique(chunks).tolist():
        some = places[chunks == chunk]
        counts = np.diff(starts)[some]
        firsts = np.concatenate(([0], np.cumsum(counts)))
        here = np.repeat(starts[some] - firsts[:-1], counts) + np.arange(firsts[-1])
        logits = layers.on_pairs(inputs, tasks[some], firsts, members[here])
        by_way: dict[tuple[str, tuple[int, ...]], list[int]] = {}
        for place, one in enumerate(some.tolist()):
            by_way.setdefault(ways[one], []).append(place)
        for (misfit, outputs), those in by_way.items():
            rows = np.concatenate([np.arange(firsts[one], firsts[one + 1]) for one in those])
            own = torch.tensor(outputs)
            scale = divisors[torch.from_numpy(members[here[rows]])]
            told = logits if len(by_way) == 1 else logits[torch.from_numpy(rows)]
            found.put(here[rows], _said(*judge_logits(told, scale, own, misfit)))


def _rows_of(lower: Between | None, places: NDArray[np.int64]) -> Between | None:
    """Take some images' rows of what lies below every mask."""
    return None if lower is None else tuple(one[torch.from_numpy(places)] for one in lower)


def _outputs(opened: OpenTasks, index: int) -> tuple[int, ...]:
    return tuple(one.output for one in opened.tasks[index].content.classes)


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
    order = chosen.argsort(kind="stable")
    tasks, firsts = np.unique(chosen[order], return_index=True)
    starts = np.append(firsts, len(order))
    found = MaskRun.blank(len(images))
    found.put(order, run_pairs(opened, images, tasks, starts, order, lower))
    return found
