"""conv-4: a small convolution net that learns in a minute or two on a CPU."""

from torch import Tensor, nn
from torch.nn import functional as F

from .normalisation import Normalisation

# Channels and stride of each convolution; the side of the last layer's input map.
_LAYERS = ((32, 2), (32, 1), (64, 2), (64, 1))
_SIDE = 4
# With fewer pixels a side, the last map would be smaller than `_SIDE`.
_LEAST_SIDE = 16


class Convolution4(nn.Module):
    """Four 3 x 3 convolutions with normalisation and ReLU, and a linear layer, without biases.

    After the nets of Ramanujan et al. 2020, section 4, but narrower and with strides instead of
    pooling.

    Args:
        input_shape: (C, H, W), H and W at least 16.
        outputs: O.

    Raises:
        ValueError: an image has fewer than 16 x 16 pixels.
    """

    def __init__(self, input_shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        channels, height, width = input_shape
        if min(height, width) < _LEAST_SIDE:
            raise ValueError(
                f"conv-4: images of {height} x {width} pixels found, expected at least "
                f"{_LEAST_SIDE} x {_LEAST_SIDE}"
            )
        sizes = (channels, *(size for size, _ in _LAYERS))
        self.convolutions = nn.ModuleList(
            nn.Conv2d(before, size, 3, stride, padding=1, bias=False)
            for before, (size, stride) in zip(sizes, _LAYERS, strict=False)
        )
        self.normalisations = nn.ModuleList(Normalisation(size) for size in sizes[1:])
        self.pool = nn.AdaptiveAvgPool2d(_SIDE)
        self.last = nn.Linear(sizes[-1] * _SIDE * _SIDE, outputs, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) float32 to logits (B, O) float32."""
        values = images
        for convolve, normalise in zip(self.convolutions, self.normalisations, strict=True):
            values = F.relu(normalise(convolve(values)))
        logits: Tensor = self.last(self.pool(values).flatten(1))
        return logits
