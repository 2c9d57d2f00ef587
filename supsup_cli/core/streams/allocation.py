"""The paper's rule for a stream: does a batch need a mask of its own?"""

from collections.abc import Sequence

import torch
from torch import Tensor

from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.masks.superposition import entropy

from .stream_masks import FrozenNetwork

EPSILON = 2.0**-3


def alpha_weights(shared: FrozenNetwork, masks: Sequence[Masks], images: Tensor) -> Tensor:
    """Weigh masks by ν = softmax(−∂H/∂α) at the even superposition, H averaged over the batch.

    Wortsman et al. 2020, section 3.5. The masks may come from scores that are still learning, so
    they are used one by one and never packed.

    Args:
        shared: the network.
        masks: k masks, parameter name → bool.
        images: (B, C, H, W) uint8.

    Returns:
        (k,) float32 that sum to one.
    """
    even = {name: torch.zeros_like(weight) for name, weight in shared.weights.items()}
    for one in masks:
        for name, bits in one.items():
            even[name].add_(bits, alpha=1 / len(masks))
    leaves = [mask.requires_grad_() for mask in even.values()]
    effective = {name: mask * shared.weights[name] for name, mask in even.items()}
    loss = entropy(shared.logits(effective, images)).mean()
    gradients = dict(zip(even, torch.autograd.grad(loss, leaves), strict=True))
    slopes = [sum(gradients[name][bits].sum() for name, bits in one.items()) for one in masks]
    return torch.softmax(-torch.stack([torch.as_tensor(slope) for slope in slopes]), 0)


def needs_new_mask(weights: Tensor) -> bool:
    """Apply the rule: if k · max ν < 1 + ε, no mask stands out."""
    return float(len(weights) * weights.max()) < 1 + EPSILON
