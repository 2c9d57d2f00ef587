"""Decisions by the frozen network: signatures give a short list of masks to try."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.novelty import ODDS
from supsup_cli.core.inference.short_list import mask_evidence, short_lists
from supsup_cli.core.networks.parts import Between
from supsup_cli.workflows.inference.known import (
    calibration_of,
    signature_calibration,
    within_threshold,
)
from supsup_cli.workflows.inference.masks_run import (
    MaskRun,
    misfit_of,
    rows_of,
    run,
    run_few,
)
from supsup_cli.workflows.inference.rules import Rule
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
        known: (G,) bool.
        run: results of each image under the mask of its group's best task.
        tried: (G,) int64, number of masks run.
        truncated: (G,) bool, whether more masks were in doubt than could be tried.
    """

    scores: NDArray[np.float32]
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
    """
    if lower is None:
        there = device_images(images, opened.net.device)
        features = image_features(opened.net, signatures.features, there)
    else:
        features = features_above(opened.net, lower)
    scores = _signature_scores(opened, signatures, features, groups)
    alone = rule.method == "signature"
    if alone:
        wanted = torch.zeros_like(scores, dtype=torch.bool)
        wanted.scatter_(1, scores.argmax(1, keepdim=True), value=True)
        truncated = torch.zeros(len(groups), dtype=torch.bool)
    else:
        # Tasks without a signature are always added: they keep no other task off the list, and
        # score as if the images were their own.
        wanted, truncated = short_lists(scores, rule.most_tried)
        unsigned = torch.from_numpy(signatures.unsigned)
        wanted[:, unsigned] = True
        counts = torch.tensor([len(one) for one in groups], dtype=torch.float64)
        scores[:, unsigned] = signatures.usual_score * counts[:, None]
    runs = _run_masks(opened, images, groups, wanted.numpy(), lower)
    if not alone:
        scores = scores.masked_fill(~wanted, -torch.inf)
        for index, (places, one, sizes) in runs.items():
            nats = _evidence(opened, index, torch.from_numpy(one.misfits))
            scores[places, index] -= torch.stack([part.sum() for part in nats.split(sizes)])
    logarithms = scores.log_softmax(1)
    best = logarithms.argmax(1).numpy()
    chosen = MaskRun(np.zeros(len(images)), np.zeros(len(images), np.int64), np.zeros(len(images)))
    known = np.ones(len(groups), dtype=np.bool_)
    for index, (places, one, sizes) in runs.items():
        won = best[places] == index
        if not won.any():
            continue
        ends = np.cumsum(sizes)
        parts = [np.arange(end - size, end) for end, size in zip(ends, sizes, strict=True)]
        mine = [part for part, wins in zip(parts, won.tolist(), strict=True) if wins]
        winners = places[won].tolist()
        here = np.concatenate([np.asarray(groups[place]) for place in winners])
        taken = one.take(np.concatenate(mine))
        chosen.misfits[here] = taken.misfits
        chosen.labels[here] = taken.labels
        chosen.probabilities[here] = taken.probabilities
        known[winners] = _known(
            opened,
            signatures,
            index,
            [one.misfits[part] for part in mine],
            [features[np.asarray(groups[place])] for place in winners],
        )
    told = logarithms.to(torch.float32).numpy()
    told[~np.isfinite(told)] = np.nan
    tried = np.zeros(len(groups), np.int64) if alone else wanted.sum(1).numpy()
    return Listed(told, known, chosen, tried, truncated.numpy())


def _signature_scores(
    opened: OpenTasks,
    signatures: OpenSignatures,
    features: Tensor,
    groups: Sequence[Sequence[int]],
) -> Tensor:
    """Score each group by the signatures only: (G, T) float64 on the CPU, nats."""
    scores = [torch.empty(0, len(opened.tasks))]
    for _, same in groupby(groups, key=len):
        picked = torch.from_numpy(np.array(list(same)))
        scores.append(signatures.table.scores(features[picked].to(opened.net.device)).cpu())
    return torch.cat(scores).double()


def _run_masks(
    opened: OpenTasks,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    wanted: NDArray[np.bool_],
    lower: Between | None,
) -> dict[int, tuple[NDArray[np.int64], MaskRun, list[int]]]:
    """Run each wanted mask once on the images of all groups that want it.

    Returns:
        task → the groups, the mask's results on all their images, and the size of each group.
    """
    few = np.flatnonzero(wanted.any(0)).tolist()
    if len(images) <= len(few):
        together = run_few(opened, few, images)
        if together is not None:
            return {
                index: _part(one, wanted[:, index], groups)
                for index, one in zip(few, together, strict=True)
            }
    runs = {}
    for index in np.flatnonzero(wanted.any(0)).tolist():
        places = np.flatnonzero(wanted[:, index])
        members = [np.asarray(groups[place]) for place in places.tolist()]
        here = np.concatenate(members)
        found = run(opened, index, images[here], rows_of(lower, here))
        runs[index] = places, found, [len(one) for one in members]
    return runs


def _part(
    one: MaskRun, wanted: NDArray[np.bool_], groups: Sequence[Sequence[int]]
) -> tuple[NDArray[np.int64], MaskRun, list[int]]:
    """Select the wanting groups' results from a run over all images."""
    places = np.flatnonzero(wanted)
    members = [np.asarray(groups[place]) for place in places.tolist()]
    return places, one.take(np.concatenate(members)), [len(each) for each in members]


def _evidence(opened: OpenTasks, index: int, misfits: Tensor) -> Tensor:
    """Compute how many nats a mask's answer takes off its task's score, for each image."""
    calibration = calibration_of(opened.tasks[index])
    if calibration is None:
        middle, beyond = _PRIORS[misfit_of(opened, index)]
    else:
        middle, beyond = np.interp((0.5, 0.9), calibration.levels, calibration.values).tolist()
    odds = misfit_of(opened, index) in ODDS
    return mask_evidence(misfits, middle, beyond, odds=odds)


def _known(
    opened: OpenTasks,
    signatures: OpenSignatures,
    index: int,
    misfits: list[NDArray[np.float64]],
    features: list[Tensor],
) -> NDArray[np.bool_]:
    """Call a group new if its median image fits the mask too badly, or is too far in features."""
    task, signature = opened.tasks[index], signatures.signatures[index]
    tasks, calibration = len(opened.tasks), calibration_of(task)
    if signature is None:
        return within_threshold(calibration, misfits, tasks, 1)
    near = signature_calibration(task, signature.quantiles.tolist())
    witnesses = 1 if near is None else 2
    known = within_threshold(calibration, misfits, tasks, witnesses)
    if near is None:
        return known
    together = torch.cat(features).to(opened.net.device)
    distances = signature.distances(together, signature.noise).double().cpu().numpy()
    parts = np.split(distances, np.cumsum([len(one) for one in features])[:-1])
    return known & within_threshold(near, parts, tasks, witnesses)
