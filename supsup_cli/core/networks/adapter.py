"""Use any classification network of a library as a base: its classifier, layers, statistics."""

import copy
import math
from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .head import Head
from .library import build, distant_classes

# Masks cover the weights of the last quarter of the layers. The layers below are the same for all
# tasks and run once for each image.
_MASKED_SHARE = 1 / 4
_STATISTICS = ("running_mean", "running_var")
_EDGES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)
# Attention has its own parameters for its projections, besides a linear layer at its end.
_PROJECTIONS = ("in_proj_weight", "q_proj_weight", "k_proj_weight", "v_proj_weight")


def adapted(arch: str, input_shape: tuple[int, int, int]) -> nn.Module:
    """Build a library's network with a `Head` as last layer; its parameters take no memory.

    It always stays in evaluation mode: dropout and stochastic depth are off, and batch
    normalisation uses the statistics that came with the weights.

    Args:
        arch: torchvision/NAME or timm/NAME.
        input_shape: (3, H, W).

    Raises:
        LibraryMissingError: the library is not installed.
        ValueError: there is no such network, or it cannot be used; the message says why.
    """
    if input_shape[0] != 3:
        raise ValueError(f"{arch}: {input_shape[0]} channels found, expected 3 (colour)")
    network = build(arch, input_shape)
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            if module.running_mean is None:
                raise ValueError(f"{arch}: normalises by the batch at hand, expected statistics")
            module.num_batches_tracked = None  # the number of batches does not matter any more
    network = _with_head(arch, network).eval().requires_grad_(False)
    _check_runs(arch, network, input_shape)
    return network


def base_tensors(network: nn.Module) -> dict[str, Tensor]:
    """Return every tensor that decides a network's answers and is not computed, in order.

    Returns:
        name → parameter, or statistics of batch normalisation that are the same for all tasks.
    """
    found: dict[str, Tensor] = {}
    for place, module in network.named_modules():
        prefix = f"{place}." if place else ""
        own = dict(module.named_parameters(recurse=False))
        if isinstance(module, _BatchNorm):
            own |= {name: module.get_buffer(name) for name in _STATISTICS}
        found |= {f"{prefix}{name}": one for name, one in own.items()}
    return found


def maskable_parameters(network: nn.Module) -> tuple[str, ...]:
    """Name the weights of convolutions, linear layers and attention's projections, in order."""
    names: list[str] = []
    for place, module in network.named_modules():
        prefix = f"{place}." if place else ""
        own = ["weight"] if isinstance(module, _EDGES) else []
        if isinstance(module, nn.MultiheadAttention):
            own = [name for name in _PROJECTIONS if getattr(module, name) is not None]
        names += [f"{prefix}{name}" for name in own]
    return tuple(names)


def later_layers(names: tuple[str, ...]) -> tuple[str, ...]:
    """Choose the last quarter of the maskable parameters, at least one."""
    return names[-math.ceil(len(names) * _MASKED_SHARE) :]


def _with_head(arch: str, network: nn.Module) -> nn.Module:
    """Replace the classifier, known by its number of outputs, by a `Head`."""
    classes = distant_classes()
    found = [
        (name, module)
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
        and classes in (getattr(module, "out_features", 0), getattr(module, "out_channels", 0))
    ]
    if len(found) != 1:
        raise ValueError(f"{arch}: {len(found)} layers that classify found, expected one")
    name, layer = found[0]
    if isinstance(layer, nn.Linear):
        network.set_submodule(name, Head(layer.in_features))
        return network
    # A convolution classifies each position, and its outputs are pooled: pool its inputs instead.
    if layer.kernel_size != (1, 1):
        raise ValueError(f"{arch}: a classifier of {layer.kernel_size} found, expected 1 x 1")
    network.set_submodule(name, nn.Identity())
    return nn.Sequential(OrderedDict(body=network, head=Head(layer.in_channels)))


def _check_runs(arch: str, network: nn.Module, input_shape: tuple[int, int, int]) -> None:
    """Run the network on two images, without memory.

    Raises:
        ValueError: it does not take such images, or does not return a row of features for each.
    """
    head = next(module for module in network.modules() if isinstance(module, Head))
    trial = copy.deepcopy(network).to("meta")
    size = " x ".join(map(str, input_shape[1:]))
    try:
        with torch.no_grad():
            features = trial(torch.empty(2, *input_shape, device="meta"))
    except (RuntimeError, ValueError, AssertionError, TypeError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise ValueError(f"{arch}: takes no images of {size} pixels ({reason[0]})") from error
    if not isinstance(features, Tensor) or features.shape != (2, head.features):
        found = list(features.shape) if isinstance(features, Tensor) else type(features).__name__
        raise ValueError(
            f"{arch}: features {found} of two images found, expected [2, {head.features}]"
        )
