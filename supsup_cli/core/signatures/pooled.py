"""Signatures over trained weights: every class with its own mean, all with one covariance.

Each class keeps few directions, and none of its images. What they say of how images of one class
differ is much alike in all classes of a trained network, so it is put together over all tasks that
are compared: linear discriminant analysis, with the covariance from every task's file. Features in
which that covariance is one take distances from class means alone.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from .table import TaskSignature


def pooled_covariance(signatures: Sequence[TaskSignature]) -> Tensor:
    """Average the covariances of all tasks, each the mean of its components' by their shares.

        C = 1/T Σₜ Σ π (Σ (w − σ²) v vᵀ + σ² I)

    Args:
        signatures: of T tasks, at least one, as their files say.

    Returns:
        (D, D) float64 on the CPU.
    """
    size = signatures[0].means.shape[1]
    total = torch.zeros(size, size, dtype=torch.float64)
    for one in signatures:
        shares, directions = one.shares.double().cpu(), one.directions.double().cpu()
        beyond = (one.variances.double().cpu() - one.noise).clamp_min(0)
        scaled = directions * (beyond * shares[:, None]).sqrt()[..., None]
        rows = scaled.flatten(0, 1)
        total.addmm_(rows.T, rows)
        total.diagonal().add_(one.noise)
    return total / len(signatures)


def whitening(covariance: Tensor) -> Tensor:
    """Find what makes features of covariance C uncorrelated: with z' = z A, A = L⁻ᵀ, C = L Lᵀ.

    Args:
        covariance: (D, D) float64, positive definite.

    Returns:
        (D, D) float32.
    """
    lower = torch.linalg.cholesky(covariance)
    one = torch.eye(len(lower), dtype=lower.dtype)
    turned: Tensor = torch.linalg.solve_triangular(lower, one, upper=False).T
    return turned.float().contiguous()


def by_means(signature: TaskSignature, turn: Tensor) -> TaskSignature:
    """Give a task's signature in features of covariance one: its means, and no directions.

    Args:
        signature: as its file says.
        turn: (D, D) float32, see `whitening`.
    """
    means = signature.means @ turn
    return TaskSignature(
        means,
        means.new_zeros(len(means), 0, means.shape[1]),
        means.new_zeros(len(means), 0),
        signature.shares,
        1.0,
        signature.quantiles,
    )
