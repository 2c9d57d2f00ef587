"""Decisions by the frozen network: signatures give a short list of masks to try."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import ODDS
from supsup_cli.core.inference.short_list import OF_STRENGTH, evidence_scale, short_lists
from supsup_cli.core.networks.parts import Between
from supsup_cli.workflows.inference.known import calibration_of
from supsup_cli.workflows.inference.masks_run import MaskRun, misfit_of, run_pairs
from supsup_cli.workflows.inference.rules import Rule
from supsup_cli.workflows.inference.signature_novelty import Groups, known_groups
from supsup_cli.workflows.labelled import device_images
from supsup_cli.workflows.open_signatures import OpenSignatures
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.signatures import features_above, image_features

# For a task without calibration: median and .9 quantile of the misfit, nats, typical of tasks of
# permuted MNIST (R) and of sure answers (H). An assumption, not a measurement.
_PRIORS = {"R-damped": (-10.0, -7.0), "R": (-10.0, -7.0), "H": (0.05, 0.5), "H-traits": (2.0, 5.0)}


@dataclass(frozen=True)
class Listed:
    """The decisions about G groups with N images in all.

    Attributes:
        scores: (G, T) float32, nats: logarithm of the probability of each task that was compared,
            NaN for the others.
        best: (G,) int64, index of each group's task.
        known: (G,) bool.
        run: results of each image under the mask of its group's best task.
        tried: (G,) int64, number of masks run.
        truncated: (G,) bool, whether more masks were in doubt than could be tried.
    """

    scores: NDArray[np.float32]
    best: NDArray[np.int64]
    known: NDArray[np.bool_]
    run: MaskRun
    tried: NDArray[np.int64]
    truncated: NDArray[np.bool_]


def decide_by_signatures(
    opened: OpenTasks,
    rule: Rule,
    signatures: OpenSignatures,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    lower: Between | None = None,
) -> Listed:
    """Name the task of every group.

    Args:
        opened: the tasks.
        rule: `auto`, or `signature` for the frozen network alone.
        signatures: of the tasks.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group; each image is in one.
        lower: values below every mask, if already known; see `lower_values`.

    Raises:
        BankError: a task on a list, or all those that a group could be of, cannot be read.
    """
    sizes = np.array([len(one) for one in groups], np.int64)
    members = np.concatenate([np.asarray(one, np.int64) for one in groups])
    laid = Groups(members, sizes, sizes.cumsum() - sizes)
    there = device_images(images, opened.net.device)
    if lower is None:
        features = image_features(opened.net, signatures.features, there)
    else:
        features = features_above(opened.net, lower)
    tasks, scores = _candidates(opened, signatures, features, groups)
    alone = rule.method == "signature"
    if alone:
        wanted = torch.zeros_like(scores, dtype=torch.bool)
        wanted.scatter_(1, scores.argmax(1, keepdim=True), value=True)
        truncated = torch.zeros(len(groups), dtype=torch.bool)
    else:
        wanted, truncated = short_lists(scores, rule.most_tried)
        # Tasks without a signature are always added: they keep no other task off the list.
        unsigned = torch.from_numpy(signatures.unsigned).expand(len(groups), -1)
        usual = _unsigned_scores(opened, signatures, scores, sizes)
        tasks = torch.cat((tasks, unsigned), dim=1)
        scores = torch.cat((scores, usual.expand(unsigned.shape)), dim=1)
        wanted = torch.cat((wanted, torch.ones_like(unsigned, dtype=torch.bool)), dim=1)
    _expect_tasks(opened, scores)
    rows, columns = wanted.numpy().nonzero()
    order = tasks.numpy()[rows, columns].argsort(kind="stable")
    rows, columns = rows[order], columns[order]  # pairs of group and task, task after task
    owners = tasks.numpy()[rows, columns]
    used, firsts = np.unique(owners, return_index=True)
    places = laid.places(rows)
    ends = sizes[rows].cumsum()
    starts = np.append((ends - sizes[rows])[firsts], len(places))
    run = run_pairs(opened, images, used, starts, members[places], lower)
    if not alone:
        scores = scores.masked_fill(~wanted, -torch.inf)
        nats = _evidence(opened, used, np.diff(starts), run)
        scores[rows, columns] -= torch.from_numpy(np.add.reduceat(nats, ends - sizes[rows]))
    logarithms = scores.log_softmax(1)
    winners = logarithms.argmax(1)
    pairs = np.zeros(wanted.shape, np.int64)
    pairs[rows, columns] = np.arange(len(rows))
    won = pairs[np.arange(len(groups)), winners.numpy()]
    chosen = MaskRun.blank(len(images))
    by_pair = Groups(members[places], sizes[rows], ends - sizes[rows])
    chosen.put(members, run.take(by_pair.places(won)))
    best = owners[won]
    told = np.full((len(groups), len(opened.tasks)), np.nan, np.float32)
    compared = logarithms.isfinite().numpy().nonzero()
    told[compared[0], tasks.numpy()[compared]] = logarithms.numpy()[compared]
    tried = np.zeros(len(groups), np.int64) if alone else wanted.sum(1).numpy()
    known = known_groups(
        opened, signatures, best, chosen.misfits[members], features[members], there[members], laid
    )
    return Listed(told, best, known, chosen, tried, truncated.numpy())


def _candidates(
    opened: OpenTasks,
    signatures: OpenSignatures,
    features: Tensor,
    groups: Sequence[Sequence[int]],
) -> tuple[Tensor, Tensor]:
    """Score each group by the signatures only: (G, K) int64 tasks, (G, K) float64 nats."""
    parts = []
    for _, same in groupby(groups, key=len):
        picked = torch.from_numpy(np.array(list(same)))
        parts.append(signatures.table.candidates(features[picked].to(opened.net.device)))
    return torch.cat([one.tasks for one in parts]), torch.cat([one.scores for one in parts])


def _expect_tasks(opened: OpenTasks, scores: Tensor) -> None:
    """Expect a task to compare for each group, (G, K) float64 nats.

    Raises:
        BankError: those that it could be of cannot be read; the last one's reason.
    """
    if opened.failures and not bool(scores.isfinite().any(1).all()):
        raise next(reversed(opened.failures.values()))


def _unsigned_scores(
    opened: OpenTasks, signatures: OpenSignatures, scores: Tensor, sizes: NDArray[np.int64]
) -> Tensor:
    """Score tasks without a signature, (G, 1) float64 nats: as if the images were their own.

    Over trained weights the scores of a task's own images vary more: there, tasks without a
    signature score as well as the best.
    """
    if opened.net.trained:
        return scores.amax(1, keepdim=True)
    return signatures.usual_score * torch.from_numpy(sizes).double()[:, None]


def _evidence(
    opened: OpenTasks,
    tasks: NDArray[np.int64],
    counts: NDArray[np.int64],
    said: MaskRun,
) -> NDArray[np.float64]:
    """Compute how many nats masks' answers take off their tasks' scores, image by image.

    Args:
        opened: the tasks.
        tasks: (K,) int64, the tasks of the masks.
        counts: (K,) int64, number of each one's images.
        said: the masks' results on P images, task after task.
    """
    if opened.net.trained:
        return -OF_STRENGTH * said.strengths
    middles, scales = np.empty(len(tasks)), np.empty(len(tasks))
    for place, index in enumerate(tasks.tolist()):
        calibration, misfit = calibration_of(opened.tasks[index]), misfit_of(opened, index)
        if calibration is None:
            middle, beyond = _PRIORS[misfit]
        else:
            middle, beyond = calibration.quantile(0.5), calibration.quantile(0.9)
        middles[place] = middle
        scales[place] = evidence_scale(middle, beyond, odds=misfit in ODDS)
    return (said.misfits - np.repeat(middles, counts)) * np.repeat(scales, counts)
