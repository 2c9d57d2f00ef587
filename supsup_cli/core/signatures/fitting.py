"""A task's signature: the Gaussians of its classes in the features of the frozen network."""

import numpy as np
from numpy.typing import NDArray

# Images that a signature is made of, at most: more made no difference (SplitMNIST, task right:
# 2,000 images .956, 5,000 .959, 12,000 .958).
MOST_IMAGES = 2000


def fit_classes(
    features: NDArray[np.float32], labels: NDArray[np.int64], classes: int, directions: int
) -> tuple[
    NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], float, NDArray[np.float64]
]:
    """Fit a Gaussian of few directions to each class (Tipping & Bishop 1999, section 3.2).

    Sums are in float64, whatever the features' rounding, and a direction's sign is set by its
    largest number, so that equal images give equal signatures.

    Args:
        features: (N, D) float32.
        labels: (N,) int64, class of each, 0..classes − 1.
        classes: M; one without images gets the mean of all.
        directions: k of each class.

    Returns:
        means (M, D); directions (M, k, D), zero beyond what a class's images span; variances
        (M, k), zero there too; σ², the mean variance in all other directions; shares (M,).
    """
    values = features.astype(np.float64)
    size = values.shape[1]
    means = np.tile(values.mean(0), (classes, 1))
    found = np.zeros((classes, directions, size))
    variances = np.zeros((classes, directions))
    counts = np.bincount(labels, minlength=classes)
    beyond = 0.0
    for one in range(classes):
        if counts[one] == 0:
            continue
        own = values[labels == one]
        means[one] = own.mean(0)
        axes, spread, total = _principal(own - means[one], directions)
        found[one, : len(axes)], variances[one, : len(axes)] = axes, spread
        beyond += counts[one] * (total - spread.sum())
    noise = beyond / (counts.sum() * max(1, size - directions))
    smallest = 1e-6 * (values.var(0).mean() + 1e-12)
    shares = (counts + 1) / (counts.sum() + classes)
    return means, found, variances, max(noise, smallest), shares


def _principal(
    centred: NDArray[np.float64], most: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """Find the directions of largest variance: (k, D) of unit length, (k,), and all variance."""
    count, size = centred.shape
    total = float(np.square(centred).sum() / count)
    few = min(most, count - 1, size)
    if few < 1:
        return np.empty((0, size)), np.empty(0), total
    if count < size:
        squares, sides = np.linalg.eigh(centred @ centred.T / count)
        kept = squares[::-1][:few]
        axes = (sides[:, ::-1][:, :few]).T @ centred
    else:
        squares, sides = np.linalg.eigh(centred.T @ centred / count)
        kept, axes = squares[::-1][:few], sides[:, ::-1][:, :few].T
    real = kept > 1e-9 * max(total, 1e-30)
    axes, kept = axes[real], kept[real]
    axes = axes / np.linalg.norm(axes, axis=1, keepdims=True)
    largest = np.abs(axes).argmax(1)
    return axes * np.sign(axes[np.arange(len(axes)), largest])[:, None], kept, total
