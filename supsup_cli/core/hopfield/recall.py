"""Recall: a corrupted pattern falls into an attractor of its matrix."""

import torch
from torch import Tensor

# Of a field, beside which its rounding is nothing: a unit in doubt stays as it is.
_IN_DOUBT = 1e-9


def settle(matrix: Tensor, state: Tensor) -> Tensor:
    """Flip the units that their fields contradict, the most contradicted first, until none is.

    Hopfield 1982, Eq. 1: sᵢ ← sign(Σⱼ Wᵢⱼ sⱼ), one unit at a time. With a symmetric matrix of zero
    diagonal every flip lowers the energy −½ sᵀWs, so the state comes to rest in a minimum of it.

    Args:
        matrix: (d, d) float64, symmetric, zero diagonal.
        state: (d,) float64, each −1 or +1.

    Returns:
        (d,) float64, the state at rest: each −1 or +1.
    """
    settled = state.clone()
    support = settled * (matrix @ settled)  # of each unit by the others: positive where they agree
    while True:
        worst = int(support.argmin())
        if float(support[worst]) >= -_IN_DOUBT:
            return settled
        settled[worst] = -settled[worst]
        support[worst] = -support[worst]
        support += 2 * settled[worst] * matrix[worst] * settled


def corrupt(pattern: Tensor, share: float, stream: torch.Generator) -> Tensor:
    """Flip a share of a pattern's units, drawn without replacement: (d,) float64 → (d,) float64."""
    flipped = torch.randperm(len(pattern), generator=stream)[: round(share * len(pattern))]
    corrupted = pattern.clone()
    corrupted[flipped] *= -1
    return corrupted
