"""A decision about each group of images: its task, whether it is known, and each image's class."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bank_format.errors import BankError
from supsup_cli.core.networks.parts import Between
from supsup_cli.workflows.anew import anew
from supsup_cli.workflows.hopfield.recovery import Recovered, classify_recovered, recover_groups
from supsup_cli.workflows.inference.known import calibration_of, within_threshold
from supsup_cli.workflows.inference.masks_run import MaskRun, classify
from supsup_cli.workflows.inference.mixtures import score_groups
from supsup_cli.workflows.inference.rules import Rule
from supsup_cli.workflows.inference.signature_decisions import Listed, decide_by_signatures
from supsup_cli.workflows.labelled import lower_values
from supsup_cli.workflows.open_signatures import OpenSignatures
from supsup_cli.workflows.opening import OpenTasks


@dataclass(frozen=True)
class Decisions:
    """The decisions about G groups with N images in all.

    Attributes:
        scores: (G, T) float32, larger is better; NaN if a task was not compared. In nats; with
            signatures the logarithm of the task's probability; with the method `hopfield` minus the
            bits by which the recovered mask differs from the task's.
        best: (G,) int64, index of each group's task.
        known: (G,) bool, whether that task knows the images.
        labels: (N,) int64, each image's class among those of its group's task.
        probabilities: (N,) float64, of that class among them.
        tried: (G,) int64, number of masks run to decide.
        truncated: (G,) bool, whether more masks were in doubt than could be tried.
        recovered: with the method `hopfield`, each group's mask.
    """

    scores: NDArray[np.float32]
    best: NDArray[np.int64]
    known: NDArray[np.bool_]
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    tried: NDArray[np.int64]
    truncated: NDArray[np.bool_]
    recovered: tuple[Recovered, ...] | None = None


def decide(
    opened: OpenTasks,
    rule: Rule,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    top: int = 1,
    lower: Between | None = None,
) -> Decisions:
    """Name the task of every group, decide whether it is known, and classify its images.

    With the method `hopfield` it is known only if the recovered mask is near a stored one.

    Args:
        opened: the tasks.
        rule: method, objective, and what the method needs.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group; each image is in one.
        top: number of best tasks that must have a score.
        lower: values below every mask, if they are already known.
    """
    if lower is None:
        lower = lower_values(opened.net, images)
    if rule.signatures is not None:
        return _listed(_by_signatures(opened, rule, rule.signatures, images, groups, lower))
    recovered = None
    if rule.attractors is None:
        scores = score_groups(opened, rule, images, groups, top)
    else:
        recovered = recover_groups(opened, rule.attractors, images, groups)
        scores = 0 - np.array([one.distances for one in recovered], dtype=np.float32)
    best = best_tasks(scores)
    chosen = np.zeros(len(images), dtype=np.int64)
    for members, index in zip(groups, best, strict=True):
        chosen[np.asarray(members)] = index
    # The winner's own mask decides whether it knows the images, whichever method chose it.
    run = classify(opened, images, chosen, lower)
    known = _known(opened, run, groups, best)
    labels, probabilities = run.labels, run.probabilities
    if recovered is not None:
        known &= [one.near for one in recovered]
        for members, index, one in zip(groups, best, recovered, strict=True):
            here = np.asarray(members)
            found = classify_recovered(opened, one, images[here], int(index))
            labels[here], probabilities[here] = found
    alone = rule.method == "exhaustive"
    tried = np.full(len(groups), scores.shape[1] if alone else 0, dtype=np.int64)
    cut = np.zeros(len(groups), dtype=np.bool_)
    return Decisions(scores, best, known, labels, probabilities, tried, cut, recovered)


def _by_signatures(
    opened: OpenTasks,
    rule: Rule,
    signatures: OpenSignatures,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    lower: Between | None,
) -> Listed:
    """Decide; start again if a task in doubt is damaged and left out, or if the index was wrong.

    Raises:
        BankError: not one task is left.
    """

    def attempt() -> Listed:
        if signatures.stale:
            signatures.renew()
        return decide_by_signatures(opened, rule, signatures, images, groups, lower)

    while True:
        try:
            return anew(opened, attempt)
        except BankError:
            if not signatures.stale or len(opened.failures) == len(opened.tasks):
                raise


def best_tasks(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Find the best task in each row of scores (G, T), the earlier one if equal: (G,) int64."""
    return np.asarray(np.nanargmax(scores, axis=1), dtype=np.int64)


def _known(
    opened: OpenTasks,
    run: MaskRun,
    groups: Sequence[Sequence[int]],
    best: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Compare each group with the calibration of its best task."""
    known = np.ones(len(groups), dtype=np.bool_)
    for index in np.unique(best).tolist():
        places = np.flatnonzero(best == index).tolist()
        values = [run.misfits[np.asarray(groups[place])] for place in places]
        calibration = calibration_of(opened.tasks[index])
        known[places] = within_threshold(calibration, values, len(opened.tasks), 1)
    return known


def _listed(listed: Listed) -> Decisions:
    return Decisions(
        listed.scores,
        listed.best,
        listed.known,
        listed.run.labels,
        listed.run.probabilities,
        listed.tried,
        listed.truncated,
    )
