"""Compare an image's features with all tasks' signatures.

It is a cascade: two looks at means, see `looks`, leave at most a few dozen tasks, and their whole
signatures are compared. Each look leaves a margin for its rounding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .looks import CoarseSignatures, compiled_looks, near_tasks

# ν of `fit_score`. Measured on split MNIST: cross-entropy of the right task .144 nats; that of the
# plain Gaussian, at the best temperature, .17.
FREEDOM = 40.0
# ν if one covariance is pooled over tasks of a trained network. Measured on MobileNetV2 with
# CIFAR-100 in 20 tasks: cross-entropy of the right task 1.19 nats, with 40 2.11, with 640 2.07.
POOLED_FREEDOM = 160.0


# Images of one process that are decided without compiled loops: loading these takes half a second.
FEW_IMAGES = 16


def fit_score(distances: Tensor, features: int, freedom: float = FREEDOM) -> Tensor:
    """Turn Q into a score of nats that adds up over images: −ν/2 ln(1 + Q / D), ν = 40.

    This is the logarithm of Student's density instead of a Gaussian's, because D features of one
    image are far from independent, and their Gaussian is far too sure. With it, a softmax over
    tasks is about as sure as it is right.

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
        variances: (M, k) float32; zero if there is no such direction.
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

    @cached_property
    def arrays(self) -> tuple[NDArray[np.float32], ...]:
        """Means, directions, variances and shares for compiled loops, on a CPU."""
        tensors = self.means, self.directions, self.variances, self.shares
        return tuple(one.contiguous().numpy() for one in tensors)

    def distances(self, features: Tensor, noise: float) -> Tensor:
        """Compute Q = −2 ln p(z | task) up to a constant that all tasks share: (B,) float32, ≥ 0.

        p is the sum over components of shares times Gaussians, with variance `noise` outside of
        their directions and at least that along them; see `own_distance`.

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
        """Compute the mean Q of an image of the task itself: D + Σ π Σ ln(w / σ²)."""
        stretch = (self.variances.clamp_min(self.noise) / self.noise).log().sum(1)
        return self.means.shape[1] + float((self.shares * stretch).sum())

    def within(self) -> Tensor:
        """Compute the variances within components, averaged by shares: (D,) float32."""
        beyond = (self.variances - self.noise).clamp_min(0)[:, :, None]
        along = (beyond * self.directions.square()).sum(1)
        return (self.shares[:, None] * along).sum(0) + self.noise


@dataclass(frozen=True, eq=False)
class Candidates:
    """The likely tasks of G groups, on the CPU.

    Attributes:
        tasks: (G, K) int64, the same K for all: a group's tasks in order, −1 for none.
        scores: (G, K) float64, nats: `fit_score`, summed over the images of a group; −∞ if there is
            no task, or its signature cannot be read.
    """

    tasks: Tensor
    scores: Tensor


class SignatureTable:
    """Signatures of T tasks.

    Args:
        coarse: of all of them.
        whole: reads one by its index; None if it cannot be read.
        turn: (D, D) float32, multiplied with features before they are compared; None: no matrix.
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
        self._images = 0

    def __len__(self) -> int:
        return len(self.coarse)

    @property
    def _loops(self) -> ModuleType | None:
        """Compiled loops, once there are images enough to make up for loading them."""
        return self._compiled if self._images > FEW_IMAGES else None

    @cached_property
    def _compiled(self) -> ModuleType | None:
        return compiled_looks(self.coarse)

    def candidates(self, features: Tensor) -> "Candidates":
        """Score the likely tasks of groups of images.

        Args:
            features: (G, n, D) float32.
        """
        if self._turn is not None:
            features = features @ self._turn
        self._images += features.shape[0] * features.shape[1]
        tasks = near_tasks(self.coarse, features, self.freedom, self._loops)
        groups, columns = (one.numpy() for one in (tasks >= 0).nonzero(as_tuple=True))
        images = features.shape[1]
        wanted = tasks.numpy()[groups, columns]
        order = wanted.argsort(kind="stable")
        places = (groups[order, None] * images + np.arange(images)).reshape(-1)
        flat = features.flatten(0, 1)
        found = np.full(len(places), np.inf, np.float32)
        ends = np.flatnonzero(np.diff(wanted[order], append=-1)) + 1
        start = 0
        for end in ends.tolist():
            whole = self._whole(int(wanted[order[end - 1]]))
            here = slice(start * images, end * images)
            if whole is not None:
                found[here] = self.distances(whole, flat, places[here], self.coarse.noise)
            start = end
        fits = fit_score(torch.from_numpy(found).double(), self.coarse.size, self.freedom)
        scores = torch.full(tasks.shape, -torch.inf, dtype=torch.float64)
        scores[groups[order], columns[order]] = fits.view(-1, images).sum(1)
        return Candidates(tasks, scores)

    def distances(
        self, whole: TaskSignature, features: Tensor, places: NDArray[np.int64], noise: float
    ) -> NDArray[np.float32]:
        """Compute Q of some images under one task's signature; see `TaskSignature.distances`.

        Args:
            whole: the signature.
            features: (N, D) float32.
            places: (P,) int64, places of the images.
            noise: σ².

        Returns:
            (P,) float32.
        """
        if self._loops is None or features.device.type != "cpu":
            some = features[torch.from_numpy(places).to(features.device)]
            return np.asarray(whole.distances(some.to(whole.means.device), noise).cpu().numpy())
        found = np.empty(len(places), np.float32)
        self._loops.distances(features.numpy(), places, *whole.arrays, noise, found)
        return found
