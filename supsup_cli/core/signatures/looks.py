"""Which tasks' whole signatures are worth a look: by one mean a task, then by those of its classes.

The second look keeps the tasks whose fit score lies within a margin of the best: where scores are
clear, few are left, and where tasks look alike, many. Means are rounded to one byte a number.
"""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from supsup_cli.core import loops

# Tasks that the first and the second look leave at most; where no more compete than one leaves,
# there is no such look. Among 2500 permutations the right task is among so many in .9999 of single
# images each time.
_MOST = (256, 64)
# Nats behind the best beyond which the second look leaves no task. Of 2500 permutations 3 lie so
# near for a single image, and the right one is never more than 1.9 behind in 10,000; of 36
# rotations, look-alikes, it is beyond in 4.5 % of 2,160, at 5 nats in 1.4 %: but of permutations
# more than twice as many masks would be tried then.
_MARGIN = 3.5
_LEAST_VARIANCE = 1e-6
_LEVELS = 127
# Numbers of all means from which on compiled loops make up for loading them, and of centres that
# are worth a thread.
_WORTH_COMPILED, _WORTH_THREAD = 1 << 20, 1 << 22
_GROUPS_AT_ONCE = 256  # in plain PyTorch


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear scores v = scale · (row · z) + bias of features z; Q is own(z) − 2 v.

    Attributes:
        values: (R, D) int8.
        lines: (2, R) float32, scales, then biases.
        precisions: (D,) float32, that weigh z² in the image's own part of Q.
    """

    values: Tensor
    lines: Tensor
    precisions: Tensor

    @cached_property
    def scaled(self) -> Tensor:
        """Give scale · row of each: (R, D) float32."""
        return self.values * self.lines[0, :, None]


@dataclass(frozen=True, eq=False)
class CoarseSignatures:
    """What is at hand of all tasks' signatures at once.

    Attributes:
        means: (ΣM, D) float32, of all components of all tasks.
        shares: (ΣM,) float32.
        starts: (T + 1,) int64, where each task's components begin; a task without a signature has
            none.
        within: (D,) float32, variances within components, mean over the tasks.
        noise: σ², mean over the tasks.
    """

    means: Tensor
    shares: Tensor
    starts: Tensor
    within: Tensor
    noise: float

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def size(self) -> int:
        """D, numbers for each image."""
        return self.means.shape[1]

    @cached_property
    def owners(self) -> Tensor:
        """Which task each component belongs to: (ΣM,) int64."""
        return torch.repeat_interleave(self.starts.diff())

    @cached_property
    def signed(self) -> Tensor:
        """Which tasks have a signature: (T,) bool."""
        return self.starts.diff() > 0

    @cached_property
    def by_classes(self) -> Rows:
        """Score each component by its mean: its log-likelihood up to the image's own part."""
        precisions = 1 / self.within.clamp_min(_LEAST_VARIANCE)
        return _rounded(self.means, precisions, self.shares.log())

    @cached_property
    def by_centres(self) -> Rows:
        """Score each task by one mean, with the variance of all its images."""
        centres = self.means.new_zeros(len(self), self.size)
        centres.index_add_(0, self.owners, self.means * self.shares[:, None])
        apart = (self.means - centres[self.owners]).square_().mul_(self.shares[:, None])
        spread = self.within + apart.sum(0) / max(1, int(self.signed.sum()))
        return _rounded(
            centres, 1 / spread.clamp_min(_LEAST_VARIANCE), centres.new_zeros(len(self))
        )


def compiled_looks(coarse: CoarseSignatures) -> ModuleType | None:
    """Give the compiled loops; None on a GPU, for signatures too few to make up for loading them,
    or where there is no compiler.
    """
    worth = coarse.means.device.type == "cpu" and coarse.means.numel() >= _WORTH_COMPILED
    return loops.load(loops.OF_SIGNATURES) if worth else None


def near_tasks(coarse: CoarseSignatures, features: Tensor, freedom: float) -> Tensor:
    """Choose the tasks whose whole signatures are worth a look.

    Args:
        coarse: of T tasks.
        features: (G, n, D) float32, of groups that share a decision.
        freedom: ν of `fit_score`.

    Returns:
        (G, K) int64 on the CPU, tasks in their order, then −1; K is T where 64 or fewer compete,
        who are all looked at, else 64.
    """
    if len(coarse) <= _MOST[1]:
        everyone = torch.arange(len(coarse)).masked_fill(~coarse.signed.cpu(), -1)
        return everyone.expand(len(features), -1)
    compiled = compiled_looks(coarse)
    if compiled is None:
        return plain_near_tasks(coarse, features, freedom)
    found = np.empty((len(features), _MOST[1]), np.int64)
    centres, classes = coarse.by_centres, coarse.by_classes
    loops.in_threads(
        compiled.look,
        len(features),
        features.contiguous().numpy(),
        centres.values.numpy(),
        centres.lines.numpy(),
        classes.values.numpy(),
        classes.lines.numpy(),
        coarse.starts.numpy(),
        classes.precisions.numpy(),
        2 * _MARGIN / freedom,
        np.array(_MOST),
        out=found,
        least=_WORTH_THREAD // centres.values.numel(),
    )
    return torch.from_numpy(found)


def plain_near_tasks(coarse: CoarseSignatures, features: Tensor, freedom: float) -> Tensor:
    """Choose as `near_tasks` does more than 64, in plain PyTorch, on any device."""
    parts = [torch.empty(0, _MOST[1], dtype=torch.int64)]
    images = features.shape[1]
    for part in features.split(_GROUPS_AT_ONCE):
        rows, near = coarse.by_centres, coarse.signed.expand(len(part), -1)
        values = part.sum(1) @ rows.scaled.T + images * rows.lines[1]
        near = _best(values.masked_fill(~near, -torch.inf), _MOST[0])
        values = _class_values(coarse, part, near)
        values = values.masked_fill(_far(values, part, coarse.by_classes, freedom), -torch.inf)
        near = _best(values, _MOST[1])
        order = near.byte().argsort(dim=1, descending=True, stable=True)[:, : _MOST[1]]
        parts.append(order.masked_fill(~near.gather(1, order), -1).cpu())
    return torch.cat(parts)


def _best(values: Tensor, most: int) -> Tensor:
    """Tell which of each row's values (G, T) are the best, the earlier of equals: (G, T) bool."""
    order = values.argsort(dim=1, descending=True, stable=True)[:, :most]
    best = torch.zeros_like(values, dtype=torch.bool).scatter_(1, order, value=True)
    return best & values.isfinite()


def _far(values: Tensor, features: Tensor, rows: Rows, freedom: float) -> Tensor:
    """Tell which values belong to fit scores beyond the margin of the best: (G, T) bool."""
    images, size = features.shape[1:]
    own = (features.square() * rows.precisions).sum((1, 2))[:, None].double()
    nearest = (own - 2 * values.amax(1, keepdim=True)).clamp_min(0)
    farthest = (images * size + nearest) * np.exp(2 * _MARGIN / (freedom * images)) - images * size
    far: Tensor = own - 2 * values > farthest
    return far


def _class_values(coarse: CoarseSignatures, features: Tensor, near: Tensor) -> Tensor:
    """Score near tasks by the best of their classes for each image: (G, T), −∞ for others."""
    rows, wanted = coarse.by_classes, near.any(0)
    places = wanted[coarse.owners].nonzero()[:, 0]
    flat = features.flatten(0, 1)
    values = torch.addmm(rows.lines[1, places], flat, rows.scaled[places].T)
    best = values.new_full((len(flat), len(coarse)), -torch.inf)
    best.scatter_reduce_(1, coarse.owners[places].expand_as(values), values, "amax")
    summed: Tensor = best.unflatten(0, features.shape[:2]).sum(1)
    return summed.masked_fill(~near, -torch.inf)


def _rounded(means: Tensor, precisions: Tensor, logarithms: Tensor) -> Rows:
    """Round scores by means, (R, D) float32; to each bias a logarithm of shares is added."""
    scaled = means * precisions
    biases = logarithms - (means * scaled).sum(1) / 2
    scales = (scaled.abs().amax(1) / _LEVELS).clamp_min(torch.finfo().tiny)
    values = scaled.div_(scales[:, None]).round_().to(torch.int8)
    return Rows(values, torch.stack((scales, biases)), precisions)
