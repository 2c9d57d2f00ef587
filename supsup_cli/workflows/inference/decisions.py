"""A decision about each group of images, by masks that are read or by masks that are recovered."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from supsup_cli.workflows.hopfield.recovery import Recovered, classify_recovered, recover_groups
from supsup_cli.workflows.inference.deciding import Rule, best_tasks, classify, score_groups
from supsup_cli.workflows.inference.recognising import recognise
from supsup_cli.workflows.opening import OpenTasks


@dataclass(frozen=True)
class Decisions:
    """What was decided about G groups.

    Attributes:
        scores: (G, T) float32, larger is better; NaN where a task was not compared. In nats; of the
            method `hopfield` minus the bits in which the recovered mask differs from the task's.
        best: (G,) int64, index of each group's task.
        known: (G,) bool, whether that task knows the images.
        recovered: by the method `hopfield`, each group's mask.
    """

    scores: NDArray[np.float32]
    best: NDArray[np.int64]
    known: NDArray[np.bool_]
    recovered: tuple[Recovered, ...] | None = None


def decide(
    opened: OpenTasks,
    rule: Rule,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    top: int = 1,
) -> Decisions:
    """Name the task of every group, and tell whether it is known.

    By the method `hopfield` it is known only if the recovered mask is near a stored one.

    Args:
        opened: the tasks.
        rule: method, objective, attractors.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group.
        top: how many of the best tasks must have a score.
    """
    recovered = None
    if rule.attractors is None:
        scores = score_groups(opened, rule, images, groups, top)
    else:
        recovered = recover_groups(opened, rule.attractors, images, groups)
        scores = 0 - np.array([one.distances for one in recovered], dtype=np.float32)
    best = best_tasks(scores)
    known = recognise(opened, images, groups, best)
    if recovered is not None:
        known &= [one.near for one in recovered]
    return Decisions(scores, best, known, recovered)


def classify_decided(
    opened: OpenTasks,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    decisions: Decisions,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classify each image under the mask that its group's decision gave: stored, or recovered.

    Args:
        opened: the tasks.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group; each image is in one.
        decisions: about these groups.

    Returns:
        (N,) int64, index of the class among the task's own; (N,) float64, its probability.
    """
    if decisions.recovered is None:
        chosen = np.zeros(len(images), dtype=np.int64)
        for members, index in zip(groups, decisions.best, strict=True):
            chosen[members] = index
        return classify(opened, images, chosen)
    labels = np.zeros(len(images), dtype=np.int64)
    probabilities = np.zeros(len(images), dtype=np.float64)
    for members, index, one in zip(groups, decisions.best, decisions.recovered, strict=True):
        labels[members], probabilities[members] = classify_recovered(
            opened, one, images[np.asarray(members)], int(index)
        )
    return labels, probabilities
