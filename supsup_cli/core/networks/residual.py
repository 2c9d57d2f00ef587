"""Residual networks: the narrow ResNet-18 of the paper's SplitCIFAR100, and torchvision's."""

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.temporary import imports_without_temporary_folder

from .normalisation import Normalisation

_NARROW = 20  # channels of the narrow network's first stage; they double with each stage
# Smallest pixels a side, for which the last stage's map has one pixel.
_LEAST_SIDE = {"gem-resnet18": 8, "resnet18": 32, "resnet50": 32}


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut (He et al. 2016, Fig. 2).

    Args:
        before: channels of the input.
        channels: of the output.
        stride: of the first convolution, and of the shortcut.
    """

    def __init__(self, before: int, channels: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(before, channels, 3, stride, padding=1, bias=False)
        self.first_normalisation = Normalisation(channels)
        self.second = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.second_normalisation = Normalisation(channels)
        self.shortcut = nn.Sequential()
        if stride != 1 or before != channels:
            self.shortcut.append(nn.Conv2d(before, channels, 1, stride, bias=False))
            self.shortcut.append(Normalisation(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Map (B, before, H, W) float32 to (B, channels, H / stride, W / stride) float32."""
        inner = F.relu(self.first_normalisation(self.first(values)))
        inner = self.second_normalisation(self.second(inner))
        return F.relu(inner + self.shortcut(values))


class NarrowResNet18(nn.Module):
    """ResNet-18 with 20 channels and a stem for small images (Lopez-Paz & Ranzato 2017).

    Wortsman et al. 2020 learn SplitCIFAR100 with it: 1,090,940 weights with 5 outputs.

    Args:
        input_shape: (C, H, W), H and W at least 8.
        outputs: O.

    Raises:
        ValueError: an image has fewer than 8 x 8 pixels.
    """

    def __init__(self, input_shape: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        _check("gem-resnet18", input_shape)
        self.stem = nn.Conv2d(input_shape[0], _NARROW, 3, padding=1, bias=False)
        self.stem_normalisation = Normalisation(_NARROW)
        self.blocks = nn.Sequential()
        before = _NARROW
        for stage in range(4):
            channels = _NARROW << stage
            for stride in (1 if stage == 0 else 2, 1):
                self.blocks.append(ResidualBlock(before, channels, stride))
                before = channels
        self.last = nn.Linear(before, outputs, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) float32 to logits (B, O) float32."""
        values = F.relu(self.stem_normalisation(self.stem(images)))
        logits: Tensor = self.last(self.blocks(values).mean((-2, -1)))
        return logits


def torchvision_resnet(
    arch: str,
    input_shape: tuple[int, int, int],
    outputs: int,
    normalisation: type[Normalisation] = Normalisation,
) -> nn.Module:
    """Build torchvision's ResNet-18 or ResNet-50 with our normalisation and without biases.

    He et al. 2016, with the names and shapes of torchvision's weights; the first convolution has
    as many input channels as the images have.

    Args:
        arch: resnet18 or resnet50.
        input_shape: (C, H, W), H and W at least 32.
        outputs: O.
        normalisation: with a scale and shift of its own, or without.

    Raises:
        ValueError: an image has fewer than 32 x 32 pixels.
    """
    with imports_without_temporary_folder():
        from torchvision.models import resnet

    _check(arch, input_shape)
    make: Callable[..., nn.Module] = {"resnet18": resnet.resnet18, "resnet50": resnet.resnet50}[
        arch
    ]
    network = make(weights=None, num_classes=outputs, norm_layer=normalisation)
    last = network.get_submodule("fc")
    network.register_module("fc", nn.Linear(_size(last, "in_features"), outputs, bias=False))
    if input_shape[0] != 3:
        stem = nn.Conv2d(input_shape[0], 64, 7, stride=2, padding=3, bias=False)
        network.register_module("conv1", stem)
    return network


def _size(module: nn.Module, name: str) -> int:
    return int(getattr(module, name))


def _check(arch: str, input_shape: tuple[int, int, int]) -> None:
    least = _LEAST_SIDE[arch]
    _, height, width = input_shape
    if min(height, width) < least:
        raise ValueError(
            f"{arch}: images of {height} x {width} pixels found, expected at least "
            f"{least} x {least}"
        )
