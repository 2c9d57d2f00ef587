"""Fit a task's signature: Gaussians of its classes in the frozen network's features."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Most images for a signature with few directions, and for one with many. With few, more images made
# no difference (split MNIST, task right: 2,000 images .956, 5,000 .959, 12,000 .958).
FEW_IMAGES, MOST_IMAGES = 2048, 6144
# Further classes share a Gaussian with the class they resemble most.
_MOST_COMPONENTS = 16
_IMAGES_PER_DIRECTION = 4
_LEAST_SHARE = 1e-9  # of all variance; a direction with less may be rounding error


@dataclass(frozen=True, eq=False)
class FittedGaussians:
    """Gaussians of few directions (Tipping & Bishop 1999, section 3.2).

    Attributes:
        means: (M, D) float64.
        directions: (M, k, D) float64, of unit length; zero beyond what a component's images span.
        variances: (M, k) float64, falling; zero there too.
        noise: (M,) float64, mean variance in all other directions.
        shares: (M,) float64, of the images in each.
    """

    means: NDArray[np.float64]
    directions: NDArray[np.float64]
    variances: NDArray[np.float64]
    noise: NDArray[np.float64]
    shares: NDArray[np.float64]


def components(features: NDArray[np.float32], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Assign each image a component: its class, or with many classes a few similar ones together.

    Ward's rule (1963): join the two with the union that adds least to the squares within, until 16
    are left.

    Args:
        features: (N, D) float32.
        labels: (N,) int64.

    Returns:
        (N,) int64, 0 … M − 1, every number there.
    """
    present, places = np.unique(labels, return_inverse=True)
    owner = np.arange(len(present))
    counts = np.bincount(places).astype(np.float64)
    means = np.stack([features[places == one].astype(np.float64).mean(0) for one in owner])
    left, costs = owner.copy(), np.full((len(owner), len(owner)), np.inf)
    for one in left[:-1] if len(left) > _MOST_COMPONENTS else ():
        costs[one, one + 1 :] = _cost_of_joining(one, left[one + 1 :], means, counts)
    while len(left) > _MOST_COMPONENTS:
        kept, gone = map(int, np.unravel_index(costs.argmin(), costs.shape))
        total = counts[kept] + counts[gone]
        means[kept] = (counts[kept] * means[kept] + counts[gone] * means[gone]) / total
        counts[kept] = total
        owner[owner == gone] = kept
        left = left[left != gone]
        costs[gone] = costs[:, gone] = np.inf
        before, after = left[left < kept], left[left > kept]
        costs[before, kept] = _cost_of_joining(kept, before, means, counts)
        costs[kept, after] = _cost_of_joining(kept, after, means, counts)
    return np.unique(owner[places], return_inverse=True)[1].astype(np.int64)


def _cost_of_joining(
    one: int, others: NDArray[np.int64], means: NDArray[np.float64], counts: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Compute what joining a component with each of K others adds to the squares within: (K,)."""
    apart = np.square(means[one] - means[others]).sum(1)
    return np.asarray(apart * (counts[one] * counts[others] / (counts[one] + counts[others])))


def fit_gaussians(
    features: NDArray[np.float32], parts: NDArray[np.int64], directions: int
) -> FittedGaussians:
    """Fit a Gaussian of few directions to each component.

    Sums are in float64, and a direction's largest number is positive, so that small differences of
    float32 features between processors hardly ever reach the rounded result.

    Args:
        features: (N, D) float32, N ≥ 1.
        parts: (N,) int64, see `components`.
        directions: k of each.
    """
    values = features.astype(np.float64)
    size, count = values.shape[1], int(parts.max()) + 1
    means = np.zeros((count, size))
    found = np.zeros((count, directions, size))
    variances = np.zeros((count, directions))
    noise = np.zeros(count)
    least = 1e-6 * float(values.var(0).mean()) + 1e-12
    for one in range(count):
        own = values[parts == one]
        means[one] = own.mean(0)
        axes, spread, total = _principal(own - means[one], directions)
        found[one, : len(axes)], variances[one, : len(axes)] = axes, spread
        noise[one] = max(least, (total - spread.sum()) / max(1, size - len(axes)))
    shares = np.bincount(parts) / len(parts)
    return FittedGaussians(means, found, variances, noise, shares)


def _principal(
    centred: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Find the directions of largest variance: (k, D) of unit length, (k,), and all variance."""
    count, size = centred.shape
    total = float(np.square(centred).sum() / count)
    # The rest must still give the variance of all other directions.
    few = min(most, count // _IMAGES_PER_DIRECTION, size // 2)
    # The smaller of the two products has the same eigenvalues.
    if count < size:
        squares, sides = np.linalg.eigh(centred @ centred.T / count)
        axes = sides[:, ::-1][:, :few].T @ centred
    else:
        squares, sides = np.linalg.eigh(centred.T @ centred / count)
        axes = sides[:, ::-1][:, :few].T
    kept = squares[::-1][:few]
    real = kept > _LEAST_SHARE * total
    axes, kept = axes[real], kept[real]
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    largest = np.abs(axes).argmax(1)
    return axes * np.sign(axes[np.arange(len(axes)), largest])[:, None], kept, total
