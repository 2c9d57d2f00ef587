"""Attractors: patterns stored in one symmetric matrix, as minima of its energy.

A corrupted pattern moves to the nearest minimum, which is called recall.

A pattern is a mask as signs: (d,) float64, −1 where a unit is off and +1 where it is on. This
module computes in float64, so that the sum of many small updates does not depend on their number. A
matrix has the same bits on every processor and with any number of threads, because it is built from
single sums and products of two numbers, which IEEE 754 rounds in one way. A matrix product does
not: a BLAS chooses the order of its sums, and may fuse a product with a sum.
"""

from collections.abc import Callable, Iterator
from typing import Literal

import torch
from torch import Tensor

Rule = Literal["storkey", "hebbian"]

# Random patterns that a matrix of d units holds, as a share of d. Hebbian: where recall breaks down
# (Amit et al. 1985), with a few per cent of bits wrong. Storkey: measured at d = 512 and 1024, all
# patterns are fixed points at 0.20, 0.96 of them at 0.25, 0.8 at 0.30. Patterns that resemble each
# other, as masks do, need more room by Hebb's rule.
_CAPACITY: dict[Rule, float] = {"storkey": 0.25, "hebbian": 0.138}
# Fields smaller than this may be rounding error; such a unit stays as it is.
_IN_DOUBT = 1e-9
# Part of a matrix to work on at a time: half a megabyte stays in a core's cache.
_BLOCK_VALUES = 1 << 16


def storkey(matrix: Tensor, pattern: Tensor) -> Tensor:
    """Store one more pattern by Storkey's rule (Storkey 1997), with a diagonal of zeros.

    W ← W + (x xᵀ − x hᵀ − h xᵀ) / d,   h = W x,   then Wᵢᵢ = 0

    Args:
        matrix: (d, d) float64, symmetric, zero diagonal; changed in place.
        pattern: (d,) float64, each −1 or +1.

    Returns:
        the matrix, exactly symmetric.
    """
    # x xᵀ − x hᵀ − h xᵀ = x uᵀ + u xᵀ with u = x / 2 − h. Both terms are exact because x is ±1, and
    # the sum of two numbers does not depend on their order, so the result is exactly symmetric.
    half = (pattern / 2 - fields(matrix, pattern)) / len(pattern)
    for rows in _row_blocks(matrix):
        matrix[rows] += pattern[rows, None] * half + half[rows, None] * pattern
    return matrix.fill_diagonal_(0)


def hebbian(matrix: Tensor, pattern: Tensor) -> Tensor:
    """Store one more pattern by Hebb's rule: W ← W + x xᵀ / d, then Wᵢᵢ = 0.

    Wortsman et al. 2020, section 3.5.

    Args:
        matrix: (d, d) float64, symmetric, zero diagonal; changed in place.
        pattern: (d,) float64, each −1 or +1.

    Returns:
        the matrix, exactly symmetric.
    """
    share = pattern / len(pattern)
    for rows in _row_blocks(matrix):
        matrix[rows] += pattern[rows, None] * share
    return matrix.fill_diagonal_(0)


def fields(matrix: Tensor, pattern: Tensor) -> Tensor:
    """Compute the field of each unit, h = W x, with sums in one order on every processor.

    The terms Wᵢⱼ xⱼ are exact. Their second half is added to the first, term by term, until one is
    left; with an odd number the middle term waits for the next round.

    Args:
        matrix: (d, d) float64.
        pattern: (d,) float64, each −1 or +1.

    Returns:
        (d,) float64.
    """
    found = torch.empty_like(pattern)
    for rows in _row_blocks(matrix):
        terms = matrix[rows] * pattern
        width = len(pattern)
        while width > 1:
            half = (width + 1) // 2
            terms[:, : width - half] += terms[:, half:width]
            width = half
        found[rows] = terms[:, 0]
    return found


RULES: dict[Rule, Callable[[Tensor, Tensor], Tensor]] = {"storkey": storkey, "hebbian": hebbian}


def encode(patterns: Tensor, rule: Rule) -> Tensor:
    """Store patterns in a new matrix, one by one.

    Args:
        patterns: (P, d) float64, each −1 or +1.
        rule: how.

    Returns:
        (d, d) float64, symmetric, zero diagonal.
    """
    size = patterns.shape[1]
    matrix = torch.zeros(size, size, dtype=torch.float64, device=patterns.device)
    for pattern in patterns:
        matrix = RULES[rule](matrix, pattern)
    return matrix


def energy(matrix: Tensor, state: Tensor) -> float:
    """Compute the energy of a state: −½ sᵀWs (Hopfield 1982), smallest at attractors.

    Args:
        matrix: (d, d) float64.
        state: (d,) float64, −1…1.
    """
    return float(-0.5 * (state @ (matrix @ state)))


def is_fixed_point(matrix: Tensor, pattern: Tensor) -> bool:
    """Return whether no unit's field contradicts the pattern; a unit without a field never does.

    Args:
        matrix: (d, d) float64.
        pattern: (d,) float64, each −1 or +1.
    """
    return bool((pattern * (matrix @ pattern) >= -_IN_DOUBT).all())


def capacity(rule: Rule, units: int) -> int:
    """Return how many random patterns a matrix of so many units holds as attractors."""
    return int(_CAPACITY[rule] * units)


def settle(matrix: Tensor, state: Tensor) -> Tensor:
    """Flip units that contradict their fields, the strongest contradiction first, until none is
    left.

    Hopfield 1982, Eq. 1: sᵢ ← sign(Σⱼ Wᵢⱼ sⱼ), one unit at a time. With a symmetric matrix of zero
    diagonal every flip lowers the energy −½ sᵀWs, so the state comes to rest in a minimum of it.

    Args:
        matrix: (d, d) float64, symmetric, zero diagonal.
        state: (d,) float64, each −1 or +1.

    Returns:
        (d,) float64, the settled state, each −1 or +1.
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


def _row_blocks(matrix: Tensor) -> Iterator[slice]:
    """Cut the rows of a (d, d) matrix into blocks that a core's cache holds."""
    rows = max(1, _BLOCK_VALUES // len(matrix))
    for start in range(0, len(matrix), rows):
        yield slice(start, start + rows)
