"""Known or new, if signatures say more about a task than its mask does."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import APPEARANCE, SIGNATURE, Calibration
from supsup_cli.core.signatures.appearance import appearance, oddness
from supsup_cli.workflows.inference.known import (
    calibration_of,
    lower_medians,
    thresholds,
    witness_calibration,
)
from supsup_cli.workflows.open_signatures import OpenSignatures
from supsup_cli.workflows.opening import OpenTasks


@dataclass(frozen=True)
class Groups:
    """Groups of images laid end to end.

    Attributes:
        members: (N,) int64, places of the images, group after group.
        sizes: (G,) int64.
        starts: (G,) int64, where each group begins among the members.
    """

    members: NDArray[np.int64]
    sizes: NDArray[np.int64]
    starts: NDArray[np.int64]

    def places(self, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the places of some groups' images among the members, group after group."""
        sizes = self.sizes[wanted]
        ends = sizes.cumsum()
        firsts = np.repeat(self.starts[wanted] - (ends - sizes), sizes)
        return np.asarray(firsts + np.arange(len(firsts)), np.int64)


def known_groups(
    opened: OpenTasks,
    signatures: OpenSignatures,
    best: NDArray[np.int64],
    misfits: NDArray[np.float64],
    features: Tensor,
    images: Tensor,
    laid: Groups,
) -> NDArray[np.bool_]:
    """Decide for each group whether its median image is like the images of the group's task.

    If it fits the mask too badly, has too distant features, or looks too odd, the group is new.

    Args:
        opened: the tasks.
        signatures: of the tasks.
        best: (G,) int64, each group's task.
        misfits: (N,) float64, group after group.
        features: (N, D) float32, in the same order.
        images: (N, C, H, W) uint8, in the same order.
        laid: the groups.
    """
    count = len(opened.tasks)
    order = best.argsort(kind="stable")
    values = np.stack((misfits, np.zeros(len(misfits)), np.zeros(len(misfits))))
    appearances = {index: signatures.appearance(index) for index in set(best.tolist())}
    looks = np.empty((len(misfits), 0))
    if any(one is not None for one in appearances.values()):
        looks = appearance(images).numpy()
    bars = np.full((3, len(best)), np.inf)
    for index, mine in zip(*_runs(best[order], order), strict=True):
        task, signature = opened.tasks[index], signatures[index]
        tests: list[Calibration | None] = [calibration_of(task), None, None]
        here, look = laid.places(mine), appearances[index]
        if signature is not None:
            tests[1] = witness_calibration(task, SIGNATURE, signature.quantiles.tolist())
        if tests[1] is not None and signature is not None:
            noise = signature.noise
            values[1, here] = signatures.table.distances(signature, features, here, noise)
        if look is not None:
            levels = look.quantiles.tolist()
            tests[2] = witness_calibration(task, APPEARANCE, levels, look.images)
            values[2, here] = oddness(looks[here], look.mean, look.matrix)
        witnesses = 1 if tests[1] is None else 2
        for place, one in enumerate(tests):
            bars[place, mine] = thresholds(one, count, laid.sizes[mine], witnesses)
    middles = np.stack([lower_medians(one, laid.sizes) for one in values])
    return np.asarray((middles <= bars).all(0))


def _runs(
    keys: NDArray[np.int64], values: NDArray[np.int64]
) -> tuple[list[int], list[NDArray[np.int64]]]:
    """Split values by their keys, which are sorted."""
    present, firsts = np.unique(keys, return_index=True)
    return present.tolist(), np.split(values, firsts[1:])
