"""The last layer of a task: over trained weights each task has its own, in float16."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# The logit of an output that is not the task's: e^−10000 is zero, and 0 · −10000 is finite.
NO_CLASS = -1e4


class Head(nn.Module):
    """A linear layer with weights of a task; without a task it returns the features.

    With a task's `head_values` instead of its buffers it returns logits. The network's own buffers
    are empty, so that the frozen network alone computes features.

    Args:
        features: F, the number of features of an image.
    """

    weight: Tensor
    bias: Tensor

    def __init__(self, features: int) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("weight", torch.empty(0), persistent=False)
        self.register_buffer("bias", torch.empty(0), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Map features (B, F) float32 to logits (B, O) float32, or return them."""
        if self.weight.numel() == 0:
            return features
        return F.linear(features, self.weight, self.bias)


def find_head(network: nn.Module) -> tuple[str, Head] | None:
    """Find the layer that tasks replace, with its name; None if tasks share the network's."""
    for name, module in network.named_modules():
        if isinstance(module, Head):
            return name, module
    return None


def head_values(
    network: nn.Module, weight: Tensor, bias: Tensor, rows: Tensor, outputs: int
) -> dict[str, Tensor]:
    """Return a task's own last layer as `masked_forward` takes it, together with masks.

    Args:
        network: one that has a `Head`.
        weight: (K, F) float16 or float32, a row for each class.
        bias: (K,) of the same.
        rows: (K,) int64, the output of each class.
        outputs: O of the network.

    Returns:
        buffer name → (O, F) and (O,) float32; outputs without a class get the logit −10000.

    Raises:
        ValueError: the network has no such layer, or another number of features.
    """
    found = find_head(network)
    if found is None:
        raise ValueError("a head found, expected none: the tasks of this network share their last")
    name, head = found
    if weight.shape != (len(rows), head.features) or bias.shape != (len(rows),):
        raise ValueError(
            f"head of {tuple(weight.shape)} and {tuple(bias.shape)} found, expected "
            f"{(len(rows), head.features)} and {(len(rows),)}"
        )
    whole = weight.new_zeros((outputs, head.features), dtype=torch.float32)
    shift = bias.new_full((outputs,), NO_CLASS, dtype=torch.float32)
    whole[rows], shift[rows] = weight.float(), bias.float()
    return {f"{name}.weight": whole, f"{name}.bias": shift}


def pooled_features(network: nn.Module, images: Tensor) -> Tensor:
    """Compute the last layer's input in the frozen network, unmasked.

    Args:
        network: frozen network, in evaluation mode.
        images: (B, *input_shape) float32, normalised.

    Returns:
        (B, F) float32.

    Raises:
        ValueError: the network has no linear layer.
    """
    if find_head(network) is not None:
        features: Tensor = network(images)
        return features
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    if not layers:
        raise ValueError("no linear layer found, expected one at the network's end")
    seen: list[Tensor] = []
    watching = layers[-1].register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    try:
        network(images)
    finally:
        watching.remove()
    return seen[0]
