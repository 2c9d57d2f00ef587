"""Signatures over trained weights: a mean for every class, and one covariance for all.

Each class keeps few directions and no images. How images of one class differ is similar in all
classes of a trained network, so it is pooled over all compared tasks: linear discriminant analysis,
with the covariance from every task's file. In features with covariance one, only distances from
class means matter.
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
    """Compute A that makes features with covariance C uncorrelated: z' = z A, A = L⁻ᵀ, C = L Lᵀ.

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
    """Turn a task's signature to features of covariance one: its means, and no directions.

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
