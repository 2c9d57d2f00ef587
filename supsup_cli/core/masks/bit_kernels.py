"""Products of float vectors with packed masks.

There are two ways. For a few vectors, compiled loops read the packed bits directly
(`compiled_kernels`, on a CPU). For many vectors, or on a GPU, a block of masks is unpacked once and
multiplied as matrices; every compiled loop is tested against that. Kernels do not know gains: the
caller of `MaskStack.packed` must apply them.
"""

from collections.abc import Iterator
from types import ModuleType

import numpy as np
import torch
from torch import Tensor

from supsup_cli.core import loops

# Floats unpacked at a time. For a few vectors 16 MiB, which are reused: 100 masks times one vector
# took 8 ms this way, and 117 ms in blocks of 64 MiB that the system provides anew each time. For
# many vectors 64 MiB, because products of larger blocks gain more than that costs.
_FEW_BLOCK_VALUES, BLOCK_VALUES = 1 << 22, 1 << 24
_MANY_VECTORS = 16
# With up to so many vectors, reading bits once for each is faster than unpacking them once.
_FEW_VECTORS = 6
# With so many bytes of masks, compiled loops make up for loading them, about half a second.
_WORTH_COMPILED = 1 << 22


def unpack(packed: Tensor) -> Tensor:
    """Expand packed bits, least significant first.

    Args:
        packed: (…, n) uint8.

    Returns:
        (…, 8 n) float32 zeros and ones.
    """
    table = bit_table(packed.device, torch.float32)
    rows = table.index_select(0, packed.flatten().to(torch.int32))
    return rows.view(*packed.shape[:-1], packed.shape[-1] * 8)


def bit_table(device: torch.device, dtype: torch.dtype) -> Tensor:
    """List the bits of every byte, least significant first: (256, 8) zeros and ones."""
    patterns = torch.arange(256, dtype=torch.uint8, device=device)
    places = torch.arange(8, dtype=torch.uint8, device=device)
    return ((patterns[:, None] >> places) & 1).to(dtype)


def products(vectors: Tensor, packed: Tensor) -> Tensor:
    """Multiply every vector by every mask.

    Args:
        vectors: (B, 8 n) float32.
        packed: (T, n) uint8.

    Returns:
        (B, T) float32: Σₚ vectors[b, p] · bit[t, p].
    """
    kernels = compiled(packed) if 0 < len(vectors) <= _FEW_VECTORS else None
    if kernels is None:
        return plain_products(vectors, packed)
    masks = packed.contiguous().numpy()
    rows = []
    for planes in _planes(vectors):
        total = np.zeros(len(masks))
        loops.in_threads(kernels.add_products, len(masks), planes, masks, out=total)
        rows.append(torch.from_numpy(total).to(torch.float32))
    return torch.stack(rows)


def weighted_sum(alphas: Tensor, packed: Tensor) -> Tensor:
    """Add up masks with coefficients.

    Args:
        alphas: (B, T) float32.
        packed: (T, n) uint8.

    Returns:
        (B, 8 n) float32: Σₜ alphas[b, t] · bit[t, p].
    """
    kernels = compiled(packed) if 0 < len(alphas) <= _FEW_VECTORS else None
    if kernels is None:
        return plain_weighted_sum(alphas, packed)
    masks = packed.contiguous().numpy()
    rows = []
    for row in alphas:
        planes = np.zeros((8, masks.shape[1]), np.float32)
        chosen = row.nonzero()[:, 0]
        one = row[chosen[:1]]
        if bool((row[chosen] == one).all()):
            # For equal coefficients, as in the even superposition, counting bits is enough.
            kept = (row != 0).numpy()
            loops.in_threads(kernels.add_counts, masks.shape[1], masks, kept, out=planes)
            planes *= float(one.sum())
        else:
            coefficients = row.contiguous().numpy()
            loops.in_threads(kernels.add_weighted, masks.shape[1], coefficients, masks, out=planes)
        rows.append(torch.from_numpy(planes).T.reshape(-1))
    return torch.stack(rows)


def plain_products(vectors: Tensor, packed: Tensor, values: int | None = None) -> Tensor:
    """Multiply like `products`, in plain PyTorch, on any device.

    Args:
        vectors: see `products`.
        packed: see there.
        values: number of values to unpack at a time; None chooses by the number of vectors.
    """
    columns = [vectors @ unpack(block).T for block in _blocks(packed, len(vectors), values)]
    return torch.cat(columns, dim=1)


def plain_weighted_sum(alphas: Tensor, packed: Tensor) -> Tensor:
    """Add up like `weighted_sum`, in plain PyTorch, on any device."""
    total = alphas.new_zeros(alphas.shape[0], packed.shape[1] * 8)
    start = 0
    for block in _blocks(packed, len(alphas)):
        total.addmm_(alphas[:, start : start + len(block)], unpack(block))
        start += len(block)
    return total


def compiled(packed: Tensor) -> ModuleType | None:
    """Return the compiled loops; None on a GPU, for few masks, or without a compiler."""
    return loops.load(loops.OVER_BITS) if worth_compiling(packed) else None


def worth_compiling(packed: Tensor) -> bool:
    """Return whether compiled loops make up for loading them; they need a CPU."""
    return packed.device.type == "cpu" and packed.numel() >= _WORTH_COMPILED


def _planes(vectors: Tensor) -> np.ndarray:
    """Sort values by their place in a byte: (B, 8 n) → (B, 8, n), contiguous."""
    return vectors.detach().view(len(vectors), -1, 8).transpose(1, 2).contiguous().numpy()


def _blocks(packed: Tensor, vectors: int, values: int | None = None) -> Iterator[Tensor]:
    if values is None:
        values = BLOCK_VALUES if vectors > _MANY_VECTORS else _FEW_BLOCK_VALUES
    yield from packed.split(max(1, values // max(1, packed.shape[1] * 8)))
