"""Every mask tried on a few images: for one decision, when nothing else shares its cost."""

import numpy as np
import torch
from torch import Tensor

from . import bit_kernels
from .masks import MaskStack
from .networks import MultilayerPerceptron
from .superposition import Objective, misfit

# Images up to which compiled loops, one row of weights at a time, are faster than unpacking a mask
# for matrix products.
_FEW_IMAGES = 8
# Tasks whose logits are judged at a time: 16 MB for 500 outputs and 8 images.
_TASKS_AT_ONCE = 1024


def few_misfits(
    network: MultilayerPerceptron,
    stack: MaskStack,
    images: Tensor,
    objective: Objective,
    own: Tensor,
) -> Tensor | None:
    """Run a perceptron under each mask, without memory for any mask as a whole.

    Args:
        network: frozen; its weights are masked, all of them.
        stack: T packed masks.
        images: (B, …) float32, normalised.
        objective: H, G or R.
        own: (T, O) bool, each task's own outputs.

    Returns:
        (B, T) float32 misfits; None where the images are too many, or nothing is compiled.
    """
    kernels = bit_kernels.compiled(stack.packed) if 0 < len(images) <= _FEW_IMAGES else None
    if kernels is None:
        return None
    shapes = list(stack.layout.shapes.values())
    gains = torch.ones(len(stack), len(shapes)) if stack.gains is None else stack.gains
    out = np.empty((len(stack), len(images), shapes[-1][0]), np.float32)
    arguments = (
        stack.layout.join(dict(network.named_parameters())).detach().numpy(),
        np.array([shapes[0][1], *(shape[0] for shape in shapes)]),
        stack.packed.contiguous().numpy(),
        gains.contiguous().numpy(),
        bit_kernels.bit_table(images.device, torch.float32).numpy(),
        images.flatten(1).contiguous().numpy(),
    )
    bit_kernels.in_threads(kernels.run_perceptrons, len(stack), *arguments, out=out)
    logits = torch.from_numpy(out)
    columns = [
        misfit(objective, part, real[:, None])
        for part, real in zip(logits.split(_TASKS_AT_ONCE), own.split(_TASKS_AT_ONCE), strict=True)
    ]
    return torch.cat(columns).T
