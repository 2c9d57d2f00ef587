"""Every mask tried on a few images: for one decision, when nothing else shares its cost."""

import numpy as np
import torch
from torch import Tensor

from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import Objective, misfit
from supsup_cli.core.networks.specs import MultilayerPerceptron

# Images up to which compiled loops, one row of weights at a time, are faster than unpacking a mask
# for matrix products.
_FEW_IMAGES = 8
# Tasks that are run, then judged, at a time: logits of 16 MB for 500 outputs and 8 images.
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
        (B, T) float32 misfits, nats; None where the images are too many, nothing is compiled, or
        the layers are no chain.
    """
    kernels = bit_kernels.compiled(stack.packed) if 0 < len(images) <= _FEW_IMAGES else None
    shapes = list(stack.layout.shapes.values())
    sizes = np.array([images[:1].numel(), *(shape[0] for shape in shapes)])
    # Compiled loops check no bounds: the masks' layers must be the chain that they take them for.
    if kernels is None or shapes != list(zip(sizes[1:], sizes[:-1], strict=True)):
        return None
    weights = stack.layout.join(dict(network.named_parameters())).detach().numpy()
    table = bit_kernels.bit_table(images.device, torch.float32).numpy()
    inputs = images.flatten(1).contiguous().numpy()
    gains = torch.ones(len(stack), len(shapes)) if stack.gains is None else stack.gains
    columns = []
    for start in range(0, len(stack), _TASKS_AT_ONCE):
        some = slice(start, start + _TASKS_AT_ONCE)
        packed = stack.packed[some].contiguous().numpy()
        arguments = (weights, sizes, packed, gains[some].contiguous().numpy(), table, inputs)
        logits = np.empty((len(packed), len(images), sizes[-1]), np.float32)
        bit_kernels.in_threads(kernels.run_perceptrons, len(packed), *arguments, out=logits)
        columns.append(misfit(objective, torch.from_numpy(logits), own[some, None]))
    return torch.cat(columns).T
