"""All tasks' signatures side by side: how likely an image's features are under each.

A cascade: one mean a task for all of them; the means of their classes for the best few hundred;
the whole signatures for the best few dozen. Each leaves a margin for what the coarser one blurs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# Tasks that the first and the second look leave; below the first number there is no first look.
# Among 2500 permutations the right task is among so many in .9998 and .9999 of single images.
_AFTER_MEANS, _AFTER_CLASSES = 256, 64
# Pairs of images and tasks whose class means are gathered at once.
_PAIRS_AT_ONCE = 1 << 13
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True, eq=False)
class TaskGaussians:
    """One task's signature, ready for products.

    Attributes:
        means: (M, D) float32.
        directions: (M, k, D) float32.
        variances: (M, k) float32; zero where there is no such direction.
        log_shares: (M,) float32, of the images in each class, nats.
    """

    means: Tensor
    directions: Tensor
    variances: Tensor
    log_shares: Tensor

    def log_likelihoods(self, features: Tensor, noise: float) -> Tensor:
        """Give ln p(z | task) up to a constant that all tasks share: (B,) float32, nats.

        The logarithm of the sum over classes of shares times Gaussians whose variance is `noise`
        outside of their directions.

        Args:
            features: (B, D) float32.
            noise: σ², one for all tasks that are compared.
        """
        apart = features - self.means[:, None]
        squares = apart.square().sum(2) / noise
        along = torch.bmm(apart, self.directions.transpose(1, 2)).square()
        real = self.variances > 0
        inverse = torch.where(real, 1 / self.variances.clamp_min(_LEAST_VARIANCE * noise), 0.0)
        change = torch.where(real, inverse - 1 / noise, 0.0)
        stretch = torch.where(real, -(inverse * noise).log(), 0.0).sum(1)
        distance = squares + torch.bmm(along, change[:, :, None])[..., 0] + stretch[:, None]
        return (self.log_shares[:, None] - distance / 2).logsumexp(0)


@dataclass(frozen=True, eq=False)
class CoarseSignatures:
    """What is at hand of all tasks' signatures at once.

    Attributes:
        means: (ΣM, D) float32, of all classes of all tasks.
        log_shares: (ΣM,) float32, nats.
        starts: (T + 1,) int64, where each task's classes begin.
        variances: (D,) float32, within classes, mean over the tasks.
        noise: σ², mean over the tasks.
    """

    means: Tensor
    log_shares: Tensor
    starts: Tensor
    variances: Tensor
    noise: float

    def __len__(self) -> int:
        return len(self.starts) - 1

    @cached_property
    def centres(self) -> Tensor:
        """One mean a task, of its classes by their shares: (T, D) float32."""
        tasks = torch.repeat_interleave(self.starts.diff())
        weighed = self.means * self.log_shares.exp()[:, None]
        return self.means.new_zeros(len(self), self.means.shape[1]).index_add_(0, tasks, weighed)

    @cached_property
    def spread(self) -> Tensor:
        """Variances within tasks: those within classes, and of class means: (D,) float32."""
        tasks = torch.repeat_interleave(self.starts.diff())
        apart = (self.means - self.centres[tasks]).square() * self.log_shares.exp()[:, None]
        return self.variances + apart.sum(0) / len(self)


class SignatureTable:
    """Signatures of T tasks.

    Args:
        coarse: of all of them.
        whole: reads one, by its index; None where it cannot be read after all.
    """

    def __init__(
        self, coarse: CoarseSignatures, whole: Callable[[int], TaskGaussians | None]
    ) -> None:
        self._coarse = coarse
        self._whole = whole

    def __len__(self) -> int:
        return len(self._coarse)

    def log_likelihoods(self, features: Tensor) -> Tensor:
        """Give ln p(z | task) of groups of images that share a decision.

        Args:
            features: (G, n, D) float32.

        Returns:
            (G, T) float32, nats, summed over the images of a group, up to a constant; −∞ for
            tasks that the cascade left behind.
        """
        coarse, tasks = self._coarse, len(self)
        found = features.new_full((len(features), tasks), -torch.inf)
        for start in range(0, len(features), 256):
            some = features[start : start + 256]
            chosen = self._by_classes(some, self._by_centres(some))
            rows, columns = chosen.nonzero(as_tuple=True)
            order = columns.argsort(stable=True)
            counts = torch.bincount(columns, minlength=tasks).tolist()
            for task, members in enumerate(rows[order].split(counts)):
                whole = self._whole(task) if len(members) else None
                if whole is None:
                    continue
                values = whole.log_likelihoods(some[members].flatten(0, 1), coarse.noise)
                found[start + members, task] = values.unflatten(0, (len(members), -1)).sum(1)
        return found

    def _by_centres(self, features: Tensor) -> Tensor:
        """Choose the best tasks by one mean each: (G, T) bool."""
        tasks = len(self)
        if tasks <= _AFTER_MEANS:
            return torch.ones(len(features), tasks, dtype=torch.bool, device=features.device)
        spread, centres = self._coarse.spread.clamp_min(_LEAST_VARIANCE), self._coarse.centres
        values = torch.addmm(
            -(centres.square() / spread).sum(1) / 2 * features.shape[1],
            features.sum(1),
            (centres / spread).T,
        )
        return _best(values, _AFTER_MEANS)

    def _by_classes(self, features: Tensor, chosen: Tensor) -> Tensor:
        """Choose the best tasks by the means of their classes among those chosen: (G, T) bool."""
        if chosen.shape[1] <= _AFTER_CLASSES:
            return chosen
        coarse = self._coarse
        variances = coarse.variances.clamp_min(_LEAST_VARIANCE)
        scaled = coarse.means / variances
        biases = coarse.log_shares - (coarse.means * scaled).sum(1) / 2
        values = features.new_full(chosen.shape, -torch.inf)
        classes = torch.repeat_interleave(coarse.starts.diff())
        for place, row in enumerate(chosen):
            means = row[classes].nonzero()[:, 0]
            near = torch.addmm(biases[means], features[place], scaled[means].T)
            owners = classes[means]
            best = near.new_full((len(near), chosen.shape[1]), -torch.inf)
            best.scatter_reduce_(1, owners.expand_as(near), near, "amax")
            values[place] = best.sum(0)
        return _best(values, _AFTER_CLASSES)


def _best(values: Tensor, count: int) -> Tensor:
    best = values.topk(min(count, values.shape[1]), dim=1).indices
    return torch.zeros_like(values, dtype=torch.bool).scatter_(1, best, True)
