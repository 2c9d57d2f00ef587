"""Networks with masks over units: one bit for each unit, however many weights it has."""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Units(nn.Module):
    """Multiply each unit's normalised output by a number, one in the base, which a mask replaces.

    Args:
        units: d, their number.

    Attributes:
        weight: (d,) float32.
    """

    def __init__(self, units: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(units))

    def forward(self, values: Tensor) -> Tensor:
        """Multiply (B, d) float32 by the units' numbers."""
        return values * self.weight


class UnitPerceptron(nn.Module):
    """Linear layers without biases; hidden units are normalised, masked, and pass through Swish.

    Wortsman et al. 2020, section 3.5 (HopSupSup), with layer normalisation (Ba et al. 2016) in
    place of batch normalisation: an image's answer then depends only on that image and the mask,
    and there are no statistics to store. Neither has parameters to learn. Swish: x · sigmoid(x),
    zero at zero, so that a masked unit is silent.

    Args:
        sizes: inputs, units of each hidden layer, outputs.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(fan_in, out, bias=False) for fan_in, out in pairwise(sizes)
        )
        self.units = nn.ModuleList(Units(size) for size in sizes[1:-1])

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) float32 to logits (B, O) float32."""
        values = images.flatten(1)
        *hidden, last = self.layers
        for layer, units in zip(hidden, self.units, strict=True):
            values = layer(values)
            values = F.silu(units(F.layer_norm(values, values.shape[1:])))
        logits: Tensor = last(values)
        return logits
