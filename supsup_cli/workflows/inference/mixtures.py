"""Scores by methods that read every mask, superimposed or one by one."""

from collections.abc import Sequence
from itertools import groupby

import numpy as np
import torch
from numpy.typing import NDArray

from supsup_cli.core.inference.methods import METHODS, infer_tasks
from supsup_cli.workflows.inference.rules import Rule
from supsup_cli.workflows.opening import OpenTasks

# Images computed together; this bounds memory. An image's scores may differ by float32 rounding
# next to others, because matrix products of another size are summed in another order.
_AT_ONCE = 1024


def score_groups(
    opened: OpenTasks,
    rule: Rule,
    images: NDArray[np.uint8],
    groups: Sequence[Sequence[int]],
    top: int = 1,
) -> NDArray[np.float32]:
    """Score every task for every group, by a method of `METHODS`.

    Args:
        opened: the tasks.
        rule: method and objective.
        images: (N, C, H, W) uint8.
        groups: positions of the images of each group.
        top: number of best scores wanted for each group.

    Returns:
        (G, T) float32, nats; the largest names the task; NaN if a task was not compared.
    """
    method = next((one for one in METHODS if one == rule.method), None)
    if method is None:
        raise ValueError(f"the method {rule.method} does not compare all masks")
    scores = []
    # Groups of one size share a tensor, as many as fit.
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
                    method=method,
                    objective=rule.objective,
                    real=opened.real,
                    own=opened.own,
                    top=top,
                )
            )
    return torch.cat(scores).cpu().numpy()
