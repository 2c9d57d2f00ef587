"""Network specs, the plain modules they stand for, and their frozen weights."""

import math
import re
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Final, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.choices import did_you_mean
from supsup_cli.core.seeds import generator

from .adapter import adapted, base_tensors, later_layers, maskable_parameters
from .convolution import Convolution4
from .head import find_head
from .library import in_library, torchvision_names
from .normalisation import AffineNormalisation, blank_statistics
from .residual import NarrowResNet18, torchvision_resnet
from .units import UnitPerceptron, Units

Masking = Literal["edges", "units"]
Kind = Literal["perceptron", "convolution", "units", "trained"]  # recipes' numbers depend on it

_NAMED_PERCEPTRONS: dict[str, tuple[int, ...]] = {
    "lenet-300-100": (300, 100),
    "fc-1024-1024": (1024, 1024),
}
# Suffix of architectures with normalisation that scales and shifts; only for trained weights.
AFFINE = "-affine"
_CONVOLUTIONS: dict[str, Callable[[tuple[int, int, int], int], nn.Module]] = {
    "conv-4": Convolution4,
    "gem-resnet18": NarrowResNet18,
    "resnet18": partial(torchvision_resnet, "resnet18"),
    "resnet50": partial(torchvision_resnet, "resnet50"),
    **{
        f"{arch}{AFFINE}": partial(torchvision_resnet, arch, normalisation=AffineNormalisation)
        for arch in ("resnet18", "resnet50")
    },
}
NAMED: Final = (*_NAMED_PERCEPTRONS, *_CONVOLUTIONS)
_PERCEPTRON = re.compile(r"(?:mlp|units)(?:-[1-9][0-9]{0,5}){1,16}")


@dataclass(frozen=True)
class NetworkSpec:
    """What decides a network's parameters: architecture, (C, H, W) of an image, outputs."""

    arch: str
    input_shape: tuple[int, int, int]
    outputs: int


class MultilayerPerceptron(nn.Module):
    """Linear layers without biases, ReLU between them (Wortsman et al. 2020, section 4)."""

    def __init__(self, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Linear(fan_in, out, bias=False) for fan_in, out in pairwise(sizes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) float32 to logits (B, O) float32."""
        values = images.flatten(1)
        *hidden, last = self.layers
        for layer in hidden:
            values = F.relu(layer(values))
        logits: Tensor = last(values)
        return logits


def build_network(spec: NetworkSpec) -> nn.Module:
    """Build the module of a spec on the meta device: shapes, no memory, no weights.

    Raises:
        LibraryMissingError: it is timm's, and timm is not installed.
        ValueError: the architecture is unknown, or takes no images of that size.
    """
    if in_library(spec.arch):
        return adapted(spec.arch, spec.input_shape)
    if spec.arch in _CONVOLUTIONS:
        with torch.device("meta"):
            return _CONVOLUTIONS[spec.arch](spec.input_shape, spec.outputs)
    hidden = _NAMED_PERCEPTRONS.get(spec.arch)
    if hidden is None:
        if not _PERCEPTRON.fullmatch(spec.arch):
            guess = did_you_mean(spec.arch, (*NAMED, *torchvision_names()))
            known = ", ".join((*NAMED, "mlp-A-B-…", "units-A-B-…", "a name of torchvision's"))
            raise ValueError(
                f"unknown architecture {spec.arch!r}; {guess}expected {known} or timm/NAME"
            )
        hidden = tuple(int(size) for size in spec.arch.split("-")[1:])
    perceptron = UnitPerceptron if spec.arch.startswith("units-") else MultilayerPerceptron
    with torch.device("meta"):
        return perceptron((math.prod(spec.input_shape), *hidden, spec.outputs))


def is_own(arch: str) -> bool:
    """Return whether supsup itself has a network of this name."""
    known = arch in _CONVOLUTIONS or arch in _NAMED_PERCEPTRONS
    return known or _PERCEPTRON.fullmatch(arch) is not None


def masking_of(network: nn.Module) -> Masking:
    """Return what a mask's bits stand for: units if the network has `Units`, else edges."""
    has_units = any(isinstance(module, Units) for module in network.modules())
    return "units" if has_units else "edges"


def masked_parameters(network: nn.Module) -> tuple[str, ...]:
    """Name the parameters that masks cover.

    Edges: the weights of linear and convolution layers; in a library's network, which has trained
        weights, only of the later layers. Units: the numbers that multiply them.
    """
    if find_head(network) is not None:
        return later_layers(maskable_parameters(network))
    edges = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
    masked = Units if masking_of(network) == "units" else edges
    return tuple(
        f"{name}.weight" if name else "weight"
        for name, module in network.named_modules()
        if isinstance(module, masked)
    )


def kind_of(network: nn.Module) -> Kind:
    """Return what a network is made of; the meaning of a recipe's name depends on it."""
    if find_head(network) is not None:
        return "trained"
    if masking_of(network) == "units":
        return "units"
    convolves = any(isinstance(module, nn.Conv2d) for module in network.modules())
    return "convolution" if convolves else "perceptron"


def kaiming_normal(shape: tuple[int, ...], *, seed: int, name: str) -> Tensor:
    """Draw a parameter from N(0, 2 / fan_in) in its own random stream (He et al. 2015).

    Returns:
        float32 of `shape`; fan_in is the product of all sizes but the first. One of a single
        dimension, which multiplies units, is all ones.
    """
    if len(shape) < 2:
        return torch.ones(shape)
    deviation = math.sqrt(2 / math.prod(shape[1:]))
    return torch.randn(shape, generator=generator(seed, "weights", name)) * deviation


def freeze(network: nn.Module, weights: Mapping[str, np.ndarray], device: torch.device) -> None:
    """Set the network's weights for ever: no gradient reaches them, evaluation mode.

    Layers with statistics of a task get blank ones; each task brings its own.

    Args:
        network: from `build_network`.
        weights: all `base_tensors` by name, float32, of the network's shapes.
        device: of the weights.

    Raises:
        RuntimeError: a name or a shape does not fit the network.
    """
    state = {name: torch.from_numpy(array).to(device) for name, array in weights.items()}
    needed = base_tensors(network)
    if state.keys() != needed.keys():
        different = min(state.keys() ^ needed.keys())
        raise RuntimeError(f"{different}: found on one side alone, of the weights and the network")
    # A bank stores a single number with one dimension.
    state |= {name: state[name].squeeze() for name, one in needed.items() if one.dim() == 0}
    state |= blank_statistics(network, device)
    # Values that depend only on the network's shape, such as tables of positions, exist already.
    whole = OrderedDict(state)
    # MNASNet asks a state for the version of its layout; the base always has the current one.
    whole._metadata = network.state_dict()._metadata  # type: ignore[attr-defined]
    network.load_state_dict(whole, strict=False, assign=True)
    network.to(device).requires_grad_(False).eval()
