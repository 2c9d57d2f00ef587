"""Is this a task we know? What a task's own images look like to its own mask."""

import torch
from torch import Tensor, nn

from .learning import Pixels
from .masks import Masks
from .superposition import log_odds, masked_forward

# R grows where a mask fits badly: thresholds are read off the upper tail, so it is the finer one.
CALIBRATION_LEVELS = (0.0, 0.01, 0.05, 0.25, 0.5, 0.75, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998, 1.0)

_IMAGES_AT_ONCE = 2048


def calibration_quantiles(
    network: nn.Module, masks: Masks, images: Tensor, pixels: Pixels, outputs: Tensor
) -> Tensor:
    """Measure R of a task's mask on images of that task that it has not learned from.

    Args:
        network: frozen network.
        masks: parameter name → float32 zeros and ones.
        images: (N, C, H, W) uint8 on the network's device, N ≥ 1.
        pixels: how bytes become inputs.
        outputs: (K,) int64, the task's own outputs, fewer than all.

    Returns:
        (13,) float64 on the CPU, nats: R at `CALIBRATION_LEVELS`, ascending.
    """
    values = []
    for part in images.split(_IMAGES_AT_ONCE):
        logits = masked_forward(network, masks, pixels(part))
        own = torch.zeros(logits.shape[-1], dtype=torch.bool, device=logits.device)
        own[outputs] = True
        values.append(log_odds(logits, own).double().cpu())
    levels = torch.tensor(CALIBRATION_LEVELS, dtype=torch.float64)
    return torch.quantile(torch.cat(values), levels)
