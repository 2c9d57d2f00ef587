"""Decisions about tasks: the method, who shares a decision, the scores, the class then."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from supsup_cli.core.inference.methods import METHODS, Method, infer_tasks
from supsup_cli.core.learning.one_task import class_log_probabilities
from supsup_cli.core.masks.bit_kernels import compilations
from supsup_cli.core.masks.superposition import OBJECTIVES, Objective
from supsup_cli.errors import UsageError
from supsup_cli.workflows.hopfield.attractors import OpenAttractors, open_attractors
from supsup_cli.workflows.opening import OpenTasks
from supsup_cli.workflows.reporting import Reporter

# Images that are computed together: bounds memory. An image beside others and alone may differ by
# float32 rounding, as matrix products of another size are summed in another order.
_AT_ONCE = 1024
_GROUP_SIZE = re.compile("[1-9][0-9]{0,8}")


@dataclass(frozen=True)
class DecisionRequest:
    """How to decide: method, objective (None is the method's own), group, device."""

    method: str
    objective: str | None
    group: str
    device: str


@dataclass(frozen=True)
class Rule:
    """How tasks are told apart: method and objective as chosen, group as asked for.

    With the method `hopfield` the attractors, without which no mask is recovered.
    """

    method: Method | Literal["hopfield"]
    objective: Objective
    group: str
    attractors: OpenAttractors | None = None

    @property
    def single(self) -> bool:
        """Whether every image gets its own answer."""
        return self.group == "image"


def choose_rule(opened: OpenTasks, decision: DecisionRequest, reporter: Reporter) -> Rule:
    """Settle method and objective; `auto` tries every mask and compares R.

    For one image that costs no more operations than One-Shot and it is the most accurate. H takes
    the place of R without superfluous outputs, where R does not exist, and on networks that
    normalise, where it names more tasks.

    Raises:
        UsageError: an unknown value, an objective that this bank's outputs or the method do not
            allow, or attractors asked of a bank that can have none.
        NoInputError: attractors that have not been encoded.
        BankError: attractors that cannot be read.
    """
    method, objective, group = decision.method, decision.objective, decision.group
    if method not in ("auto", *METHODS, "hopfield"):
        raise UsageError(f"--method {method}: expected auto, {', '.join(METHODS)} or hopfield")
    if objective is not None and objective not in OBJECTIVES:
        raise UsageError(f"--objective {objective}: expected {', '.join(OBJECTIVES)}")
    if group not in ("image", "folder", "all") and not _GROUP_SIZE.fullmatch(group):
        raise UsageError(f"--group {group}: expected image, folder, all or a number of images")
    by_image = "image" if group == "1" else group
    if method == "hopfield":
        if objective not in (None, "H"):
            raise UsageError(f"--objective {objective} with --method hopfield: expected H")
        attractors = open_attractors(opened.net, opened.tasks, reporter)
        if by_image == "image":
            reporter.note(
                "each mask is recovered from one image alone, which is often too little: "
                "--group folder, all or a number of images"
            )
        return Rule("hopfield", "H", by_image, attractors)
    chosen: Method = next((one for one in METHODS if one == method), "exhaustive")
    compared = opened.own if chosen == "exhaustive" else opened.real[None]
    superfluous = not bool(compared.all(-1).any())
    odds = superfluous and chosen == "exhaustive" and opened.stack.statistics is None
    preferred: Objective = "R" if odds else "H"
    by: Objective = next((one for one in OBJECTIVES if one == objective), preferred)
    if by != "H" and not superfluous:
        raise UsageError(
            f"--objective {by}: no superfluous outputs found among {compared.shape[-1]}",
            hint="use --objective H, or make a bank with more --outputs",
        )
    return Rule(chosen, by, by_image)


@contextmanager
def told_of_compiling(reporter: Reporter) -> Iterator[None]:
    """Tell why decisions took seconds longer than they will the next time, if that is so."""
    before = compilations()
    yield
    if compilations() > before:
        reporter.note(
            "loops over packed masks were compiled for this processor; the next command finds them"
        )


def group_places(group: str, folders: Sequence[str]) -> list[list[int]]:
    """Part image positions into groups that share a decision, each in order.

    Args:
        group: image, folder, all, or a number N of images in their order.
        folders: folder of each image.
    """
    places = list(range(len(folders)))
    if group == "all":
        return [places]
    if group == "folder":
        by_folder = sorted(places, key=lambda place: folders[place])
        return [list(part) for _, part in groupby(by_folder, key=lambda place: folders[place])]
    size = 1 if group == "image" else int(group)
    return [places[start : start + size] for start in range(0, len(places), size)]


def score_groups(
    opened: OpenTasks,
    rule: Rule,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    top: int = 1,
) -> NDArray[np.float32]:
    """Score every task for every group, by a method that reads the masks.

    Args:
        opened: the tasks.
        rule: method and objective.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group.
        top: how many of the best scores of each group are wanted.

    Returns:
        (G, T) float32, nats; the largest names the task, NaN where a task was not compared.
    """
    if rule.method == "hopfield":
        raise ValueError("the method hopfield recovers masks and does not compare them")
    scores = []
    # Groups of one size lie side by side in one tensor, as many as fit.
    for size, run in groupby(groups, key=len):
        same = list(run)
        at_once = max(1, _AT_ONCE // size)
        for start in range(0, len(same), at_once):
            picked = np.array(same[start : start + at_once])
            here = torch.from_numpy(images[picked]).to(opened.net.device)
            scores.append(
                infer_tasks(
                    opened.net.network,
                    opened.stack,
                    opened.net.pixels(here),
                    method=rule.method,
                    objective=rule.objective,
                    real=opened.real,
                    own=opened.own,
                    top=top,
                )
            )
    return torch.cat(scores).cpu().numpy()


def best_tasks(scores: NDArray[np.float32]) -> NDArray[np.int64]:
    """Name the best task of each row of scores (G, T), the earlier one among equals: (G,) int64."""
    return np.asarray(np.nanargmax(scores, axis=1), dtype=np.int64)


def classify(
    opened: OpenTasks, images: NDArray[np.uint8], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Classify each image under the mask chosen for it.

    Args:
        opened: the tasks.
        images: (N, C, H, W) uint8.
        chosen: (N,) int64, index of each image's task.

    Returns:
        (N,) int64, index of the class among the task's own; (N,) float64, its probability.
    """
    device = opened.net.device
    labels = np.zeros(len(images), dtype=np.int64)
    probabilities = np.zeros(len(images), dtype=np.float64)
    for index in np.unique(chosen).tolist():
        members = np.flatnonzero(chosen == index)
        classes = opened.tasks[index].content.classes
        log_p = class_log_probabilities(
            opened.net.network,
            opened.stack.masks(index),
            torch.from_numpy(images[members]).to(device),
            opened.net.pixels,
            torch.tensor([one.output for one in classes], device=device),
        )
        best, label = log_p.max(-1)
        labels[members] = label.cpu().numpy()
        probabilities[members] = best.double().exp().cpu().numpy()
    return labels, probabilities
