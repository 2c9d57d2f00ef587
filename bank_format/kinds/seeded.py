"""Signed constant weights from a seed: signs and scales, exactly the same everywhere.

Ramanujan et al. 2020 ("signed Kaiming constant"): each weight is +s or −s with s = √2 / √fan_in.
Signs come from numpy's raw Philox4x64-10 generator, which numpy promises never to change.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.bits import packed_size
from bank_format.encoding.sealed import Tensors
from bank_format.kinds.bank_json import ParameterRecord

__all__ = ["seeded_signs", "signed_constant_scale", "signed_constant_tensors"]


def seeded_signs(seed: int, index: int, count: int) -> NDArray[np.uint8]:
    """Draw the signs of one parameter.

    Args:
        seed: 0 <= seed < 2**63, of the bank.
        index: the parameter's place in the spec's list, from 0.
        count: number of weights.

    Returns:
        (ceil(count / 8),) uint8, packed; a one means plus, padding zero.

    Raises:
        ValueError: seed, index or count out of range.
    """
    if not 0 <= seed < 2**63 or index < 0 or count < 1:
        raise ValueError(f"no signs for seed {seed}, index {index}, count {count}")
    generator = np.random.Philox(key=np.array([seed, index], dtype=np.uint64))
    words: NDArray[np.uint64] = generator.random_raw(-(-count // 64))
    signs = words.astype("<u8", copy=False).view(np.uint8)[: packed_size(count)].copy()
    if count % 8:
        signs[-1] &= (1 << count % 8) - 1
    return signs


def signed_constant_scale(fan_in: int) -> np.float32:
    """Return √2 / √fan_in, computed in float64 and rounded to float32.

    Raises:
        ValueError: fan_in is below 1.
    """
    if fan_in < 1:
        raise ValueError(f"fan_in is {fan_in}, expected at least 1")
    return np.float32(math.sqrt(2.0) / math.sqrt(fan_in))


def signed_constant_tensors(seed: int, parameters: Sequence[ParameterRecord]) -> Tensors:
    """Build a signed constant base as it is stored.

    A parameter with two or more dimensions, (outputs, inputs, …), has signs and a scale; its fan_in
    is the product of all dimensions but the first. One with a single dimension is all ones.

    Returns:
        "signs/<name>" (ceil(n / 8),) uint8 and "scale/<name>" (1,) float32, or
        "weights/<name>" (n,) float32.
    """
    tensors: Tensors = {}
    for index, parameter in enumerate(parameters):
        if len(parameter.shape) < 2:
            tensors[f"weights/{parameter.name}"] = np.ones(parameter.shape, dtype=np.float32)
            continue
        scale = signed_constant_scale(math.prod(parameter.shape[1:]))
        tensors[f"signs/{parameter.name}"] = seeded_signs(seed, index, parameter.count)
        tensors[f"scale/{parameter.name}"] = np.array([scale], dtype=np.float32)
    return tensors
