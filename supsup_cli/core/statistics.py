"""Normalisation whose statistics belong to a task, as its mask does.

Statistics shared between tasks would change an earlier task's answers with every later one.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Buffer name → float32 of its shape: one task's values in place of the network's own.
Statistics = dict[str, Tensor]


class Normalisation(nn.Module):
    """Batch normalisation without affine parameters (Ioffe & Szegedy 2015).

    In evaluation mode an image's answer depends on the running statistics and on nothing else; in
    training mode on the batch, which moves them. There is no count of batches, nothing to learn.

    Args:
        channels: C.
    """

    _MOMENTUM, _EPSILON = 0.1, 1e-5

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (B, C, …) float32 channel by channel."""
        mean, variance = self.running_mean, self.running_var
        return F.batch_norm(
            values,
            mean,
            variance,
            training=self.training,
            momentum=self._MOMENTUM,
            eps=self._EPSILON,
        )


def blank_statistics(network: nn.Module, device: torch.device) -> Statistics:
    """Make the statistics of a task that has seen nothing: mean zero, variance one.

    Args:
        network: one that normalises, or not; then there are none.
        device: where they shall live.

    Returns:
        buffer name → (C,) float32.
    """
    statistics = {}
    for name, module in network.named_modules():
        if isinstance(module, Normalisation):
            place = f"{name}." if name else ""
            shape = module.running_mean.shape
            statistics[f"{place}running_mean"] = torch.zeros(shape, device=device)
            statistics[f"{place}running_var"] = torch.ones(shape, device=device)
    return statistics
