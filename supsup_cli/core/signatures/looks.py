"""Choose the tasks with signatures worth comparing: by one mean per task, then by class means.

The second look keeps the tasks with a fit score within a margin of the best: few if scores are
clear, many if tasks look alike. Means are rounded to one byte per number.
"""

from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from supsup_cli.core import loops

# Largest number of tasks that the first and the second look leave; with no more tasks than that, a
# look is skipped. Of 2500 permutations, each look keeps the right task in .9999 of single images.
_MOST = (256, 64)
# The second look drops tasks that are more nats than this behind the best. Of 2500 permutations 3
# are so near for a single image, and the right one is never more than 1.9 behind in 10,000 images.
# Of 36 similar rotations the right one is dropped in 4.5 % of 2,160 images, at 5 nats in 1.4 %; but
# then more than twice as many masks of permutations would be tried.
_MARGIN = 3.5
_LEAST_VARIANCE = 1e-6
_LEVELS = 127
# With so many numbers in all means, compiled loops make up for loading them; so many numbers in
# centres are worth a thread.
_WORTH_COMPILED, _WORTH_THREAD = 1 << 20, 1 << 22
_GROUPS_AT_ONCE = 256  # in plain PyTorch
# Rows that are widened to floats at a time. They stay in a processor's cache: 100,000 rows of 300
# take 0.1 s, and 0.8 s with sixteen times as many at a time (AMD EPYC, one thread).
_ROWS_AT_ONCE = 1 << 10


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear scores v = scale · (row · z) + bias of features z; Q is own(z) − 2 v.

    Attributes:
        values: (R, D) int8.
        lines: (2, R) float32, scales, then biases.
        precisions: (D,) float32, weights of z² in the image's own part of Q.
    """

    values: Tensor
    lines: Tensor
    precisions: Tensor

    def of(self, features: Tensor) -> Tensor:
        """Compute scale · (row · z) for features (B, D) float32: (B, R) float32."""
        parts = self.values.split(_ROWS_AT_ONCE)
        return torch.cat([features @ part.float().T for part in parts], dim=1) * self.lines[0]


@dataclass(frozen=True, eq=False)
class CoarseSignatures:
    """What is at hand of all tasks' signatures at once, in whole numbers as they are stored.

    Attributes:
        means: (ΣM, D) int8, of all components of all tasks, times `scales`.
        scales: (ΣM,) float32.
        shares: (ΣM,) float32.
        starts: (T + 1,) int64, start of each task's components; a task without a signature has
            none.
        centres: (T, D) int8, mean of each task's means by shares, times `centre_scales`.
        centre_scales: (T,) float32; zero for a task without a signature.
        within: (D,) float32, variances within components, mean over the tasks.
        between: (D,) float32, variances of a task's means about its centre, likewise.
        noise: σ², mean over the tasks.
    """

    means: Tensor
    scales: Tensor
    shares: Tensor
    starts: Tensor
    centres: Tensor
    centre_scales: Tensor
    within: Tensor
    between: Tensor
    noise: float

    @classmethod
    def of(
        cls, means: Tensor, shares: Tensor, starts: Tensor, within: Tensor, noise: float
    ) -> "CoarseSignatures":
        """Round means (ΣM, D) float32 of all tasks to whole numbers; the rest as above."""
        tasks, counts = len(starts) - 1, starts.diff()
        owners = torch.repeat_interleave(counts)
        centres = means.new_zeros(tasks, means.shape[1])
        centres.index_add_(0, owners, means * shares[:, None])
        apart = (means - centres[owners]).square_().mul_(shares[:, None])
        between = apart.sum(0) / max(1, int((counts > 0).sum()))
        (whole, scales), (middles, middle_scales) = map(_whole, (means, centres))
        return cls(whole, scales, shares, starts, middles, middle_scales, within, between, noise)

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
        every = torch.arange(len(self.means), device=self.means.device)
        return _joined([self.some_classes(part) for part in every.split(_ROWS_AT_ONCE)])

    def some_classes(self, places: Tensor) -> Rows:
        """Score some components as `by_classes` does, without the others' cost."""
        precisions = 1 / self.within.clamp_min(_LEAST_VARIANCE)
        means = self.means[places] * self.scales[places, None]
        return _rounded(means, precisions, self.shares[places].log())

    @cached_property
    def by_centres(self) -> Rows:
        """Score each task by one mean, with the variance of all its images."""
        precisions = 1 / (self.within + self.between).clamp_min(_LEAST_VARIANCE)
        parts = zip(
            self.centres.split(_ROWS_AT_ONCE), self.centre_scales.split(_ROWS_AT_ONCE), strict=True
        )
        rows = (
            _rounded(whole * scales[:, None], precisions, torch.zeros_like(scales))
            for whole, scales in parts
        )
        return _joined(list(rows))


def compiled_looks(coarse: CoarseSignatures) -> ModuleType | None:
    """Return the compiled loops; None on a GPU, for few signatures, or without a compiler."""
    worth = coarse.means.device.type == "cpu" and coarse.means.numel() >= _WORTH_COMPILED
    return loops.load(loops.OF_SIGNATURES) if worth else None


def near_tasks(
    coarse: CoarseSignatures, features: Tensor, freedom: float, compiled: ModuleType | None
) -> Tensor:
    """Choose the tasks whose whole signatures are worth a look.

    Args:
        coarse: of T tasks.
        features: (G, n, D) float32, of images decided together.
        freedom: ν of `fit_score`.
        compiled: loops, see `compiled_looks`.

    Returns:
        (G, K) int64 on the CPU, tasks in order, then −1; K is T if at most 64 compete, which are
        all compared, else 64.
    """
    if len(coarse) <= _MOST[1]:
        everyone = torch.arange(len(coarse)).masked_fill(~coarse.signed.cpu(), -1)
        return everyone.expand(len(features), -1)
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
    """Choose among more than 64 tasks like `near_tasks`, in plain PyTorch, on any device."""
    parts = [torch.empty(0, _MOST[1], dtype=torch.int64)]
    images = features.shape[1]
    for part in features.split(_GROUPS_AT_ONCE):
        rows, near = coarse.by_centres, coarse.signed.expand(len(part), -1)
        values = rows.of(part.sum(1)) + images * rows.lines[1]
        near = _best(values.masked_fill(~near, -torch.inf), _MOST[0])
        values = _class_values(coarse, part, near)
        precisions = 1 / coarse.within.clamp_min(_LEAST_VARIANCE)
        values = values.masked_fill(_far(values, part, precisions, freedom), -torch.inf)
        near = _best(values, _MOST[1])
        order = near.byte().argsort(dim=1, descending=True, stable=True)[:, : _MOST[1]]
        parts.append(order.masked_fill(~near.gather(1, order), -1).cpu())
    return torch.cat(parts)


def _best(values: Tensor, most: int) -> Tensor:
    """Mark each row's best values in (G, T), the earlier ones if equal: (G, T) bool."""
    order = values.argsort(dim=1, descending=True, stable=True)[:, :most]
    best = torch.zeros_like(values, dtype=torch.bool).scatter_(1, order, value=True)
    return best & values.isfinite()


def _far(values: Tensor, features: Tensor, precisions: Tensor, freedom: float) -> Tensor:
    """Return which values belong to fit scores beyond the margin of the best: (G, T) bool."""
    images, size = features.shape[1:]
    own = (features.square() * precisions).sum((1, 2))[:, None].double()
    nearest = (own - 2 * values.amax(1, keepdim=True)).clamp_min(0)
    farthest = (images * size + nearest) * np.exp(2 * _MARGIN / (freedom * images)) - images * size
    far: Tensor = own - 2 * values > farthest
    return far


def _class_values(coarse: CoarseSignatures, features: Tensor, near: Tensor) -> Tensor:
    """Score near tasks by the best of their classes for each image: (G, T), −∞ for others."""
    places = near.any(0)[coarse.owners].nonzero()[:, 0]
    rows, flat = coarse.some_classes(places), features.flatten(0, 1)
    values = rows.of(flat) + rows.lines[1]
    best = values.new_full((len(flat), len(coarse)), -torch.inf)
    best.scatter_reduce_(1, coarse.owners[places].expand_as(values), values, "amax")
    summed: Tensor = best.unflatten(0, features.shape[:2]).sum(1)
    return summed.masked_fill(~near, -torch.inf)


def _rounded(means: Tensor, precisions: Tensor, logarithms: Tensor) -> Rows:
    """Round scores by means, (R, D) float32, and add a logarithm of shares to each bias."""
    scaled = means * precisions
    biases = logarithms - (means * scaled).sum(1) / 2
    values, scales = _whole(scaled)
    return Rows(values, torch.stack((scales, biases)), precisions)


def _whole(values: Tensor) -> tuple[Tensor, Tensor]:
    """Round rows, (R, D) float32, to int8 times a scale of each."""
    scales = (values.abs().amax(1) / _LEVELS).clamp_min(torch.finfo().tiny)
    return (values / scales[:, None]).round_().to(torch.int8), scales


def _joined(parts: list[Rows]) -> Rows:
    if len(parts) == 1:
        return parts[0]
    values = torch.cat([one.values for one in parts])
    return Rows(values, torch.cat([one.lines for one in parts], dim=1), parts[0].precisions)
