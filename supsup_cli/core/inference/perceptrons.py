"""A perceptron under one mask after the other, without memory being asked for between two."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.bit_kernels import bit_table
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.networks.specs import MultilayerPerceptron

# Images that go through a network at once: logits of 256 images stay in a core's cache.
CHUNK_IMAGES = 256
# Images up to which compiled loops, one row of weights at a time, are faster than unpacking a mask
# for matrix products.
_FEW_IMAGES = 8


class MaskedPerceptron:
    """A chain of linear layers under one mask of a stack after the other, in memory of its own.

    Args:
        network: frozen; its weights are masked, all of them.
        stack: the masks.
        dtype: of the arithmetic.

    Attributes:
        weights: (P,) of `dtype`, see `joined_weights`.
        AT_ONCE: images that go through at once, at most.
    """

    AT_ONCE = CHUNK_IMAGES

    def __init__(self, network: MultilayerPerceptron, stack: MaskStack, dtype: torch.dtype) -> None:
        weights = joined_weights(network, stack).to(dtype)
        self._stack = stack
        self.weights = weights
        self._table = bit_table(weights.device, dtype)
        self._bits = torch.empty_like(weights)
        self._effective = torch.empty_like(weights)
        self._layers = list(stack.layout.split(self._effective).values())
        self._rooms = [weights.new_empty(CHUNK_IMAGES, layer.shape[0]) for layer in self._layers]

    def take(self, index: int) -> None:
        """Put a task's mask on the weights."""
        rows = self._stack.packed[index].to(torch.int32)
        torch.index_select(self._table, 0, rows, out=self._bits.view(-1, 8))
        torch.mul(self.weights, self._bits, out=self._effective)
        if self._stack.gains is not None:
            for layer, gain in zip(self._layers, self._stack.gains[index], strict=True):
                layer.mul_(gain)

    def __call__(self, values: Tensor) -> Tensor:
        """Map (B, inputs), B ≤ 256, to logits (B, O), which stand until the next call."""
        for place, (layer, room) in enumerate(zip(self._layers, self._rooms, strict=True)):
            if place:
                values.relu_()
            values = torch.mm(values, layer.T, out=room[: len(values)])
        return values


def joined_weights(network: MultilayerPerceptron, stack: MaskStack) -> Tensor:
    """Lay a perceptron's weights end to end as the masks' bits lie: (8 · bytes,) float32."""
    return stack.layout.join(dict(network.named_parameters())).detach()


def few_logits(
    weights: Tensor,
    stack: MaskStack,
    images: Tensor,
    rows: slice | Sequence[int],
) -> Tensor | None:
    """Run a perceptron under some masks of a stack, by compiled loops over packed bits.

    Args:
        weights: of the network, see `joined_weights`; float32.
        stack: T packed masks.
        images: (B, …) float32, normalised.
        rows: which K of the masks.

    Returns:
        (K, B, O) float32; None where the images are too many, the stack too small for compiled
        loops, or the layers no chain.
    """
    kernels = bit_kernels.compiled(stack.packed) if 0 < len(images) <= _FEW_IMAGES else None
    shapes = list(stack.layout.shapes.values())
    sizes = np.array([images[:1].numel(), *(shape[0] for shape in shapes)])
    # Compiled loops check no bounds: the masks' layers must be the chain that they take them for.
    if kernels is None or shapes != list(zip(sizes[1:], sizes[:-1], strict=True)):
        return None
    table = bit_kernels.bit_table(images.device, torch.float32).numpy()
    inputs = images.flatten(1).contiguous().numpy()
    packed = stack.packed[rows].contiguous().numpy()
    gains = torch.ones(len(packed), len(shapes)) if stack.gains is None else stack.gains[rows]
    logits = np.empty((len(packed), len(images), sizes[-1]), np.float32)
    arguments = (weights.numpy(), sizes, packed, gains.contiguous().numpy(), table, inputs)
    bit_kernels.in_threads(kernels.run_perceptrons, len(packed), *arguments, out=logits)
    return torch.from_numpy(logits)
