"""All tasks' signatures side by side: how well an image's features fit each.

A cascade: one mean a task for all of them; the means of their classes for the best few hundred;
the whole signatures for the best few dozen. Each leaves a margin for what the coarser one blurs.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

# Tasks that the first and the second look leave; up to the second number there is no such look.
# Among 2500 permutations the right task is among so many in .9998 and .9999 of single images.
_AFTER_CENTRES, _AFTER_CLASSES = 256, 64
# Nats behind the best by class means alone beyond which nothing catches up: among 300 permutations
# the right task was never more than 0.7 behind in 10,000 single images.
_MARGIN = 3.5
# Groups that are compared by class means at once, and by whole signatures.
_COARSE_AT_ONCE, _WHOLE_AT_ONCE = 256, 4096
_LEAST_VARIANCE = 1e-6
# ν of `fit_score`. Measured on split MNIST: cross-entropy of the right task .144 nats; that of the
# plain Gaussian, at the best temperature, .17.
FREEDOM = 40.0
# ν where one covariance is pooled over tasks of a trained network. Measured on MobileNetV2 with
# CIFAR-100 in 20 tasks: cross-entropy of the right task 1.19 nats, with 40 2.11, with 640 2.07.
POOLED_FREEDOM = 160.0


def fit_score(distances: Tensor, features: int, freedom: float = FREEDOM) -> Tensor:
    """Turn Q into a score of nats that adds up over images: −ν/2 ln(1 + Q / D), ν = 40.

    The logarithm of Student's density in place of a Gaussian's: D features of one image are far
    from independent, and their Gaussian is far too sure. With it a softmax over tasks is about as
    sure as it is right.

    Args:
        distances: Q ≥ 0, any shape.
        features: D.
        freedom: ν.
    """
    return -freedom / 2 * (distances / features).log1p()


@dataclass(frozen=True, eq=False)
class TaskSignature:
    """One task's signature, ready for products.

    Attributes:
        means: (M, D) float32.
        directions: (M, k, D) float32.
        variances: (M, k) float32; zero where there is no such direction.
        shares: (M,) float32, of the images in each component.
        noise: σ², its own mean over the components.
        quantiles: (L,) float64 on the CPU, of Q at the levels of calibrations; may be empty.
    """

    means: Tensor
    directions: Tensor
    variances: Tensor
    shares: Tensor
    noise: float
    quantiles: Tensor

    def distances(self, features: Tensor, noise: float) -> Tensor:
        """Give Q = −2 ln p(z | task) up to a constant that all tasks share: (B,) float32, ≥ 0.

        p is the sum over components of shares times Gaussians whose variance is `noise` outside of
        their directions, and at least that along them; see `own_distance`.

        Args:
            features: (B, D) float32.
            noise: σ², one for all tasks that are compared.
        """
        apart = features - self.means[:, None]
        along = torch.bmm(apart, self.directions.transpose(1, 2)).square()
        variances = self.variances.clamp_min(noise)
        change = 1 / variances - 1 / noise
        stretch = (variances / noise).log().sum(1)
        distance = (
            apart.square().sum(2) / noise
            + torch.bmm(along, change[:, :, None])[..., 0]
            + stretch[:, None]
        )
        return -2 * (self.shares.log()[:, None] - distance / 2).logsumexp(0).clamp_max(0)

    def own_distance(self) -> float:
        """Give the Q that an image of the task itself has on average: D + Σ π Σ ln(w / σ²)."""
        stretch = (self.variances.clamp_min(self.noise) / self.noise).log().sum(1)
        return self.means.shape[1] + float((self.shares * stretch).sum())

    def within(self) -> Tensor:
        """Give the variances within components, averaged by shares: (D,) float32."""
        beyond = (self.variances - self.noise).clamp_min(0)[:, :, None]
        along = (beyond * self.directions.square()).sum(1)
        return (self.shares[:, None] * along).sum(0) + self.noise


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
    def by_classes(self) -> tuple[Tensor, Tensor]:
        """Weights (ΣM, D) and biases (ΣM,) of the log-likelihood under each class mean alone."""
        scaled = self.means / self.within.clamp_min(_LEAST_VARIANCE)
        return scaled, self.shares.log() - (self.means * scaled).sum(1) / 2

    @cached_property
    def by_centres(self) -> tuple[Tensor, Tensor]:
        """Weights (T, D) and biases (T,) of the log-likelihood under one mean a task."""
        centres = self.means.new_zeros(len(self), self.means.shape[1])
        centres.index_add_(0, self.owners, self.means * self.shares[:, None])
        apart = (self.means - centres[self.owners]).square() * self.shares[:, None]
        spread = self.within + apart.sum(0) / max(1, int(self.signed.sum()))
        scaled = centres / spread.clamp_min(_LEAST_VARIANCE)
        return scaled, -(centres * scaled).sum(1) / 2


class SignatureTable:
    """Signatures of T tasks.

    Args:
        coarse: of all of them.
        whole: reads one, by its index; None where it cannot be read after all.
        turn: (D, D) float32, what features are multiplied with before signatures see them, if
            anything.
        freedom: ν of `fit_score`.
    """

    def __init__(
        self,
        coarse: CoarseSignatures,
        whole: Callable[[int], TaskSignature | None],
        turn: Tensor | None = None,
        freedom: float = FREEDOM,
    ) -> None:
        self._whole = whole
        self._turn, self.freedom = turn, freedom
        self.coarse = coarse

    def __len__(self) -> int:
        return len(self.coarse)

    def scores(self, features: Tensor) -> Tensor:
        """Score tasks for groups of images that share a decision.

        Args:
            features: (G, n, D) float32.

        Returns:
            (G, T) float32, nats: `fit_score`, summed over the images of a group; −∞ for tasks that
            the cascade left behind, or that have no signature.
        """
        if self._turn is not None:
            features = features @ self._turn
        found = features.new_full((len(features), len(self)), -torch.inf)
        for start in range(0, len(features), _WHOLE_AT_ONCE):
            some = features[start : start + _WHOLE_AT_ONCE]
            near = torch.cat([self._near(part) for part in some.split(_COARSE_AT_ONCE)])
            rows, columns = near.nonzero(as_tuple=True)
            order = columns.argsort(stable=True)
            tasks, counts = columns[order].unique_consecutive(return_counts=True)
            parts = rows[order].split(counts.tolist())
            for task, members in zip(tasks.tolist(), parts, strict=True):
                whole = self._whole(task)
                if whole is None:
                    continue
                distances = whole.distances(some[members].flatten(0, 1), self.coarse.noise)
                values = fit_score(distances, features.shape[2], self.freedom)
                found[start + members, task] = values.unflatten(0, (len(members), -1)).sum(1)
        return found

    def _near(self, features: Tensor) -> Tensor:
        """Choose the tasks whose whole signatures are worth a look: (G, T) bool."""
        coarse = self.coarse
        signed = coarse.signed.expand(len(features), -1)
        if len(self) <= _AFTER_CLASSES:
            return signed
        near = torch.arange(len(self), device=features.device).expand(len(features), -1)
        if len(self) > _AFTER_CENTRES:
            scaled, biases = coarse.by_centres
            values = features.sum(1) @ scaled.T + biases * features.shape[1]
            values.masked_fill_(~signed, -torch.inf)
            near = values.topk(_AFTER_CENTRES, dim=1).indices
        values = self._by_classes(features, near)
        best = values.topk(_AFTER_CLASSES, dim=1)
        # An image's own part of Q, which ranks did not need.
        own = (features.square() / coarse.within.clamp_min(_LEAST_VARIANCE)).sum((1, 2))[:, None]
        apart = (own - 2 * best.values).clamp_min(0) / features.shape[1]
        rough = fit_score(apart, coarse.size, self.freedom)
        kept = (rough - rough[:, :1]) * features.shape[1] >= -_MARGIN
        chosen = torch.zeros_like(signed)
        return chosen.scatter(1, near.gather(1, best.indices), kept) & signed

    def _by_classes(self, features: Tensor, near: Tensor) -> Tensor:
        """Score some tasks of each group by the nearest of their class means: (G, N) float32."""
        coarse = self.coarse
        scaled, biases = coarse.by_classes
        wanted = near.unique()
        sizes = coarse.starts.diff()[wanted]
        owners = torch.repeat_interleave(wanted, sizes)
        firsts = coarse.starts[wanted]
        places = torch.arange(len(owners), device=near.device)
        places += torch.repeat_interleave(firsts - (sizes.cumsum(0) - sizes), sizes)
        flat = features.flatten(0, 1)
        values = torch.addmm(biases[places], flat, scaled[places].T)
        slots = torch.zeros(len(self), dtype=torch.int64, device=near.device)
        slots[wanted] = torch.arange(len(wanted), device=near.device)
        best = values.new_full((len(flat), len(wanted)), -torch.inf)
        best.scatter_reduce_(1, slots[owners].expand_as(values), values, "amax")
        summed: Tensor = best.unflatten(0, features.shape[:2]).sum(1)
        return summed.gather(1, slots[near])
