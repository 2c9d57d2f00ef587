"""Products of float vectors with packed masks, a block of masks unpacked at a time."""

from collections.abc import Iterator

import torch
from torch import Tensor

# 2²⁴ floats, 64 MiB: far beyond what a product needs to run at full speed, small beside torch.
_BLOCK_VALUES = 1 << 24


def unpack(packed: Tensor) -> Tensor:
    """Expand packed bits, least significant first.

    Args:
        packed: (…, n) uint8.

    Returns:
        (…, 8 n) float32 zeros and ones.
    """
    patterns = torch.arange(256, dtype=torch.uint8, device=packed.device)
    places = torch.arange(8, dtype=torch.uint8, device=packed.device)
    table = ((patterns[:, None] >> places) & 1).to(torch.float32)
    rows = table.index_select(0, packed.flatten().to(torch.int32))
    return rows.view(*packed.shape[:-1], packed.shape[-1] * 8)


def products(vectors: Tensor, packed: Tensor) -> Tensor:
    """Multiply every vector with every mask.

    Args:
        vectors: (B, 8 n) float32.
        packed: (T, n) uint8.

    Returns:
        (B, T) float32: Σₚ vectors[b, p] · bit[t, p].
    """
    columns = [vectors @ unpack(block).T for block in _blocks(packed)]
    return torch.cat(columns, dim=1)


def weighted_sum(alphas: Tensor, packed: Tensor) -> Tensor:
    """Add up masks with coefficients.

    Args:
        alphas: (B, T) float32.
        packed: (T, n) uint8.

    Returns:
        (B, 8 n) float32: Σₜ alphas[b, t] · bit[t, p].
    """
    total = alphas.new_zeros(alphas.shape[0], packed.shape[1] * 8)
    start = 0
    for block in _blocks(packed):
        total.addmm_(alphas[:, start : start + len(block)], unpack(block))
        start += len(block)
    return total


def _blocks(packed: Tensor) -> Iterator[Tensor]:
    size = max(1, _BLOCK_VALUES // max(1, packed.shape[1] * 8))
    yield from packed.split(size)
