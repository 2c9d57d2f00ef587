"""Network specs, the plain modules they stand for, and their frozen weights."""

import math
import re
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
Kind = Literal["perceptron", "convolution", "units", "trained"]  # what a recipe's numbers depend on

_NAMED_PERCEPTRONS: dict[str, tuple[int, ...]] = {
    "lenet-300-100": (300, 100),
    "fc-1024-1024": (1024, 1024),
}
# Suffix of architectures whose normalisation scales and shifts: only for weights that are trained.
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
    """What decides a network's parameters: architecture name, (C, H, W) of an image, outputs."""

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
        LibraryMissingError: it is timm's, which is not installed.
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
    """Tell whether supsup has a network of this name itself."""
    known = arch in _CONVOLUTIONS or arch in _NAMED_PERCEPTRONS
    return known or _PERCEPTRON.fullmatch(arch) is not None


def masking_of(network: nn.Module) -> Masking:
    """Tell what a mask's bits stand for: units where the network has `Units`, else its edges."""
    has_units = any(isinstance(module, Units) for module in network.modules())
    return "units" if has_units else "edges"


def masked_parameters(network: nn.Module) -> tuple[str, ...]:
    """Name the parameters that masks cover.

    Edges: the weights of linear and convolution layers; of a library's network, whose weights were
    trained, those of the later ones. Units: the numbers that multiply them.
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
    """Tell what a network is made of, which decides what a recipe's name stands for."""
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
    """Give the network its weights for ever: no gradient reaches them, evaluation mode.

    Layers whose statistics belong to a task get blank ones; each task brings its own.

    Args:
        network: from `build_network`.
        weights: all `base_tensors` by name, float32, of the network's shapes.
        device: where the weights shall live.

    Raises:
        RuntimeError: a name or a shape does not fit the network.
    """
    state = {name: torch.from_numpy(array).to(device) for name, array in weights.items()}
    needed = base_tensors(network)
    if state.keys() != needed.keys():
        different = min(state.keys() ^ needed.keys())
        raise RuntimeError(f"{different}: found on one side alone, of the weights and the network")
    # A bank has a single number as one of one dimension.
    state |= {name: state[name].squeeze() for name, one in needed.items() if one.dim() == 0}
    state |= blank_statistics(network, device)
    # What the network computes of its shape alone, such as tables of positions, it has already.
    network.load_state_dict(state, strict=False, assign=True)
    network.to(device).requires_grad_(False).eval()
