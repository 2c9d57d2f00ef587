"""Run a perceptron under masks one by one, without allocating memory in between."""

from functools import cached_property
from types import ModuleType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core import loops
from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.bit_kernels import bit_table
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.networks.specs import MultilayerPerceptron

# Images per pass: logits of 256 images stay in a core's cache.
CHUNK_IMAGES = 256
# So many masks, each with at least one image, are worth a thread.
_MASKS_FOR_A_THREAD = 8
# Images of one process that are run without compiled loops: loading these takes half a second.
FEW_IMAGES = 16
_PADDING = 16  # numbers beyond the weights that compiled loops may read


class MaskedPerceptron:
    """A chain of linear layers under a stack's masks, one by one, in its own memory.

    Args:
        network: frozen; its weights are masked, all of them.
        stack: the masks.
        dtype: of the arithmetic.

    Attributes:
        weights: (8 · bytes,) of `dtype`, see `joined_weights`.
        AT_ONCE: largest number of images per pass.
    """

    AT_ONCE = CHUNK_IMAGES

    def __init__(self, network: MultilayerPerceptron, stack: MaskStack, dtype: torch.dtype) -> None:
        weights = joined_weights(network, stack).to(dtype)
        self._stack = stack
        self.weights = weights
        self._images = 0
        self._table = bit_table(weights.device, dtype)
        self._bits = torch.empty_like(weights)
        self._effective = torch.empty_like(weights)
        self._layers = list(stack.layout.split(self._effective).values())
        self._rooms = [weights.new_empty(CHUNK_IMAGES, layer.shape[0]) for layer in self._layers]

    def take(self, index: int) -> None:
        """Apply a task's mask to the weights."""
        rows = self._stack.packed[index].to(torch.int32)
        torch.index_select(self._table, 0, rows, out=self._bits.view(-1, 8))
        torch.mul(self.weights, self._bits, out=self._effective)
        if self._stack.gains is not None:
            for layer, gain in zip(self._layers, self._stack.gains[index].tolist(), strict=True):
                if gain != 1:
                    layer.mul_(gain)

    def __call__(self, values: Tensor) -> Tensor:
        """Map (B, inputs), B ≤ 256, to logits (B, O), which are valid until the next call."""
        for place, (layer, room) in enumerate(zip(self._layers, self._rooms, strict=True)):
            if place:
                values.relu_()
            values = torch.mm(values, layer.T, out=room[: len(values)])
        return values

    def worth_loops(self, images: int) -> bool:
        """Count images to come; return whether all so far make up for loading compiled loops."""
        self._images += images
        return self._images > FEW_IMAGES

    @cached_property
    def compiled(self) -> ModuleType | None:
        """Compiled loops over these masks; None on a GPU, for few masks, or without a compiler."""
        # They check no bounds, so the layers must be a chain.
        chain = zip(self._sizes[1:].tolist(), self._sizes[:-1].tolist(), strict=True)
        if [tuple(layer.shape) for layer in self._layers] != list(chain):
            return None
        worth = bit_kernels.worth_compiling(self._stack.packed)
        return loops.load(loops.OF_PERCEPTRONS) if worth else None

    def on_pairs(
        self,
        images: Tensor,
        tasks: NDArray[np.int64],
        starts: NDArray[np.int64],
        members: NDArray[np.int64],
    ) -> Tensor:
        """Run masks, each on its own images, by compiled loops over packed bits.

        An image's result does not depend, to the last bit, on what else is run.

        Args:
            images: (B, …) float32, normalised.
            tasks: (K,) int64, which masks.
            starts: (K + 1,) int64, start of each one's images among `members`.
            members: (P,) int64, places of the images.

        Returns:
            (P, O) float32.

        Raises:
            ValueError: there are no compiled loops for these masks, see `compiled`.
        """
        stack, kernels = self._stack, self.compiled
        if kernels is None:
            raise ValueError("no compiled loops for these masks")
        gains = torch.ones(1, 1) if stack.gains is None else stack.gains
        logits = np.empty((len(members), self._layers[-1].shape[0]), np.float32)
        loops.in_threads(
            kernels.run_perceptrons,
            len(tasks),
            self._planes,
            self._sizes,
            stack.packed.contiguous().numpy(),
            gains.expand(len(stack), len(self._layers)).numpy(),
            images.flatten(1).contiguous().numpy(),
            tasks,
            starts,
            members,
            out=logits,
            least=_MASKS_FOR_A_THREAD,
        )
        return torch.from_numpy(logits)

    @cached_property
    def _sizes(self) -> NDArray[np.int64]:
        """Inputs, then the units of every layer: (L + 1,)."""
        return np.array([self._layers[0].shape[1], *(len(layer) for layer in self._layers)])

    @cached_property
    def _planes(self) -> NDArray[np.float32]:
        """The weights by their bit's place in its byte, (8, bytes + 16), zero at the end."""
        planes = torch.nn.functional.pad(self.weights.view(-1, 8).T, (0, _PADDING))
        return np.asarray(planes.contiguous().numpy())


def joined_weights(network: MultilayerPerceptron, stack: MaskStack) -> Tensor:
    """Lay a perceptron's weights end to end as the masks' bits lie: (8 · bytes,) float32."""
    return stack.layout.join(dict(network.named_parameters())).detach()
