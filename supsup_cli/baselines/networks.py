"""The network that the other methods learn, and its first weights."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from supsup_cli.baselines.method import Tensors
from supsup_cli.core.networks.head import find_head
from supsup_cli.core.networks.specs import NetworkSpec, build_network, kaiming_normal
from supsup_cli.core.seeds import generator

_EDGES = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


class LastLayer(nn.Linear):
    """The layer that classifies, where a library's network had one for its own classes."""


@dataclass(frozen=True)
class Base:
    """The network of the comparison, as in supsup's own bank.

    Attributes:
        spec: its outputs include superfluous ones.
        real_outputs: outputs that may be classes, the only ones that a rival has.
        weights: parameter name → float32, on the device of the comparison.
        trained: whether they were trained elsewhere; then rivals start from them.
        seed: for all random draws.
        statistics: of normalisation, buffer name → (C,) float32, where they came with the weights;
            then they stay as they are, for rivals as for supsup.
    """

    spec: NetworkSpec
    real_outputs: int
    weights: Mapping[str, Tensor]
    trained: bool
    seed: int
    statistics: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def device(self) -> torch.device:
        """The device of the comparison."""
        return next(iter(self.weights.values())).device

    def network(self, outputs: int) -> nn.Module:
        """Build the network with so many outputs on the meta device, but for `statistics`."""
        network = build_network(NetworkSpec(self.spec.arch, self.spec.input_shape, outputs))
        head = find_head(network)
        if head is not None:
            name, features = head[0], head[1].features
            network.set_submodule(name, LastLayer(features, outputs, device="meta"))
        for name, values in self.statistics.items():
            layer, _, buffer = name.rpartition(".")
            setattr(network.get_submodule(layer), buffer, values)
        return network.eval()


def blank_like(statistics: Mapping[str, Tensor]) -> Tensors:
    """Return statistics that change nothing: mean zero, variance one."""
    return {
        name: torch.ones_like(one) if name.endswith("_var") else torch.zeros_like(one)
        for name, one in statistics.items()
    }


def edge_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Find the linear and convolution layers by name, from the input on; the last is the head."""
    return {name: one for name, one in network.named_modules() if isinstance(one, _EDGES)}


def head_names(network: nn.Module) -> tuple[str, ...]:
    """Name the parameters of the last layer: its weight, and its bias if it has one."""
    layers = edge_layers(network)
    replaced = (name for name, one in layers.items() if isinstance(one, LastLayer))
    head = next(replaced, [*layers][-1])
    return tuple(name for name, _ in network.named_parameters() if name.startswith(f"{head}."))


def drawn(base: Base, network: nn.Module, *purpose: str) -> Tensors:
    """Draw every weight of a network (He et al. 2015); biases are zero, scales of units one.

    Args:
        base: seed and device.
        network: gives the parameters' shapes.
        purpose: keeps the random streams apart from others with the same names.

    Returns:
        parameter name → float32.
    """
    weights = {}
    for name, one in network.named_parameters():
        stream = "/".join((*purpose, name))
        values = kaiming_normal(tuple(one.shape), seed=base.seed, name=f"baselines/{stream}")
        weights[name] = (values * 0 if name.endswith("bias") else values).to(base.device)
    return weights


def xavier(base: Base, network: nn.Module) -> Tensors:
    """Draw every matrix from N(0, 2 / (fan_in + fan_out)) (Glorot & Bengio 2010); see `drawn`."""
    weights = drawn(base, network, "xavier")
    for name, one in weights.items():
        if one.dim() > 1:
            fan_in, fan_out = one[0].numel(), one[:, 0].numel()
            weights[name] = one * math.sqrt(fan_in / (fan_in + fan_out))
    return weights


def begun(base: Base, network: nn.Module) -> Tensors:
    """Return a rival's first weights: the trained base's if there is one, else drawn.

    The head is always drawn, because the base's has superfluous outputs.
    """
    weights = drawn(base, network)
    if base.trained:
        kept = set(weights).difference(head_names(network))
        weights |= {name: base.weights[name] for name in weights if name in kept}
    return weights


def drawn_head(base: Base, network: nn.Module, task: str, classes: int) -> Tensors:
    """Draw a task's own last layer with so many outputs: parameter name → float32."""
    heads = {}
    for name in head_names(network):
        shape = (classes, *network.get_parameter(name).shape[1:])
        values = kaiming_normal(shape, seed=base.seed, name=f"baselines/head/{task}/{name}")
        heads[name] = (values * 0 if name.endswith("bias") else values).to(base.device)
    return heads


def has_attention(network: nn.Module) -> bool:
    """Return whether layers of attention use their projections' weights without calling them."""
    return any("Attention" in type(one).__name__ for one in network.modules())


def along_inputs(layer: nn.Module, values: Tensor) -> Tensor:
    """Shape (channels,) values so that they multiply a layer's inputs or outputs."""
    kernel = () if isinstance(layer, nn.Linear) else getattr(layer, "kernel_size", ())
    return values.view(-1, *(1,) * len(kernel))


def signs(size: int, base: Base, *purpose: str) -> Tensor:
    """Draw (size,) float32 of ±1."""
    bits = torch.randint(0, 2, (size,), generator=generator(base.seed, *purpose))
    return (bits * 2 - 1).to(base.device, torch.float32)
