"""Recover masks from images using only the attractors; name them after the bank's tasks later."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bank_format.encoding.bits import pack
from supsup_cli.core.hopfield.recovery import recover, settings_for
from supsup_cli.core.learning.one_task import class_log_probabilities
from supsup_cli.core.masks.masks import Masks
from supsup_cli.workflows.hopfield.attractors import OpenAttractors
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.reporting import Reporter
from supsup_cli.workflows.results.hopfield import RecoveryReport

# Share of bits by which a recovered mask may differ from a stored one and still count as that one.
_NEAR = 0.01


@dataclass(frozen=True)
class Recovered:
    """A mask recovered from a group of images.

    Attributes:
        masks: parameter name → float32 zeros and ones.
        images: how many were used.
        steps: of the descent.
        converged: whether the mask is at rest in the matrices.
        distances: (T,) int64, bits by which it differs from each task's mask.
        trace: (steps, T) int64, the same of the mask at each step; see `recover`.
        bits: of a mask.
    """

    masks: Masks
    images: int
    steps: int
    converged: bool
    distances: NDArray[np.int64]
    trace: NDArray[np.int64]
    bits: int

    @property
    def near(self) -> bool:
        """Whether the mask is that of the nearest task, except for at most one bit in a hundred."""
        return int(self.distances.min()) <= _NEAR * self.bits


def recover_groups(
    opened: OpenTasks,
    attractors: OpenAttractors,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
) -> tuple[Recovered, ...]:
    """Recover a mask for every group from its images and the attractors, then compare it.

    The tasks' own masks are not read until the recovered one is complete.

    Args:
        opened: the tasks.
        attractors: of the bank.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group.
    """
    return tuple(_recover(opened, attractors, images[np.asarray(members)]) for members in groups)


def report(recovered: Recovered, names: Sequence[str]) -> RecoveryReport:
    """Describe a recovery for the user; `names` are those of the T tasks."""
    nearest = int(recovered.distances.argmin())
    distance = int(recovered.distances[nearest])
    return RecoveryReport(
        images=recovered.images,
        steps=recovered.steps,
        converged=recovered.converged,
        task=names[nearest],
        distance=distance,
        exact=distance == 0,
        recovered=recovered.near,
    )


def tell_unrecovered(
    recoveries: Sequence[tuple[str, Recovered]], names: Sequence[str], reporter: Reporter
) -> None:
    """Note the groups with masks that reached no stored pattern."""
    for source, one in recoveries:
        told = report(one, names)
        if not told.recovered:
            reporter.note(
                f"{source}: {told.steps} steps from {told.images} images reached no stored mask: "
                f"{told.distance} of {one.bits} bits from {told.task!r} found, expected at most "
                f"{int(_NEAR * one.bits)}; of no stored task, or too few images in the group"
            )


def classify_recovered(
    opened: OpenTasks, recovered: Recovered, images: NDArray[np.uint8], task: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classify images under the recovered mask, among the classes of the nearest task.

    Args:
        opened: the tasks.
        recovered: the mask.
        images: (N, C, H, W) uint8.
        task: index of the task.

    Returns:
        (N,) int64, index of the class among the task's own; (N,) float64, its probability.
    """
    outputs = torch.tensor([one.output for one in opened.tasks[task].content.classes])
    log_p = class_log_probabilities(
        opened.net.network,
        recovered.masks,
        torch.from_numpy(images).to(opened.net.device),
        opened.net.pixels,
        outputs.to(opened.net.device),
    )
    best, label = log_p.max(-1)
    return label.cpu().numpy(), best.double().exp().cpu().numpy()


def _recover(opened: OpenTasks, attractors: OpenAttractors, images: NDArray[np.uint8]) -> Recovered:
    net = opened.net
    found = recover(
        net.network,
        attractors.matrices,
        attractors.start,
        net.pixels(torch.from_numpy(images).to(net.device)),
        settings_for(attractors.tasks),
    )
    masks: Masks = {name: bits.to(torch.float32) for name, bits in found.mask.items()}
    return Recovered(
        masks=masks,
        images=found.images,
        steps=found.steps,
        converged=found.converged,
        distances=_distances(opened, found.mask),
        trace=np.array([_distances(opened, bits) for bits in found.trace]),
        bits=sum(bits.numel() for bits in found.mask.values()),
    )


def _distances(opened: OpenTasks, bits: Mapping[str, Tensor]) -> NDArray[np.int64]:
    packed = np.concatenate([pack(bits[name].cpu().numpy()) for name in opened.net.layout.shapes])
    differing = np.bitwise_count(opened.stack.packed.cpu().numpy() ^ packed)
    return np.asarray(differing.sum(1, dtype=np.int64))
