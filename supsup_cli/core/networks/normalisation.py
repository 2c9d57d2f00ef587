"""Normalisation with statistics that belong to a task, as its mask does.

If tasks shared statistics, every later task would change earlier answers.
"""

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

from .traits import layer_traits

# Buffer name → float32 of its shape: one task's values in place of the network's own.
Statistics = dict[str, Tensor]


class Normalisation(nn.Module):
    """Batch normalisation without affine parameters (Ioffe & Szegedy 2015).

        y = (x − μ) / √(σ² + ε),   ε = 10⁻⁵

    In evaluation mode an image's answer depends only on the image and the running statistics; in
    training mode on the batch, which updates them. There is no count of batches and nothing to
    learn. Empty statistics, see `no_statistics`, mean those of the current values.

    A tensor (5, B) put in place of the buffer `seen` receives the images' `layer_traits`; one of
    shape (6, B, C) receives the `pooled_map` of this layer's output. The network's own buffer is
    empty, and nothing is written.

    Args:
        channels: C.
    """

    # Share of the newest batch in running statistics, and ε, which is added to a variance.
    MOMENTUM, EPSILON = 0.1, 1e-5

    running_mean: Tensor
    running_var: Tensor
    seen: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        # Always on the CPU, because only its length matters.
        self.register_buffer("seen", torch.empty(0, device="cpu"), persistent=False)
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (B, C, …) float32 channel by channel."""
        mean, variance = self.running_mean, self.running_var
        if mean.numel() == 0:
            return _by_themselves(values, self.EPSILON)
        if self.seen.numel():
            if self.seen.dim() == 3:
                return self._watched(values)
            self.seen.copy_(layer_traits(values, mean, variance + self.EPSILON))
        return F.batch_norm(
            values,
            mean,
            variance,
            training=self.training,
            momentum=self.MOMENTUM,
            eps=self.EPSILON,
        )

    def _watched(self, values: Tensor) -> Tensor:
        normalised = F.batch_norm(values, self.running_mean, self.running_var, eps=self.EPSILON)
        self.seen.copy_(pooled_map(normalised))
        return normalised


def pooled_map(values: Tensor) -> Tensor:
    """Summarise a map of positions after ReLU: mean, standard deviation, means of its four
    quarters.

    Args:
        values: (B, C, …) float32.

    Returns:
        (6, B, C) float32.
    """
    positive = F.relu(values)
    places = positive.flatten(2)
    deviation, mean = torch.std_mean(places, 2, correction=0)
    quarters = F.adaptive_avg_pool2d(positive, 2).flatten(2) if values.dim() == 4 else None
    if quarters is None:
        quarters = mean[..., None].expand(-1, -1, 4)
    return torch.cat((mean[None], deviation[None], quarters.permute(2, 0, 1)))


class AffineNormalisation(Normalisation):
    """Normalisation with a frozen scale γ and shift β, as networks trained elsewhere have them.

    γ and β are weights of the base that masks do not cover. They cannot be folded into
    convolutions, because the next normalisation would undo a scale, and nothing else could hold a
    shift.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels)
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, values: Tensor) -> Tensor:
        """Normalise (B, C, …) float32 channel by channel, then scale and shift."""
        shape = (-1,) + (1,) * (values.dim() - 2)
        return super().forward(values) * self.weight.view(shape) + self.bias.view(shape)


def forward_on_batch(
    network: nn.Module,
    effective: Mapping[str, Tensor],
    statistics: Statistics,
    inputs: Tensor,
    precision: torch.dtype = torch.float32,
) -> Tensor:
    """Run a network that normalises by this batch's mean and variance, as learning does.

    Args:
        network: frozen network, in evaluation mode before and after.
        effective: parameter name → W ⊙ M, float32.
        statistics: from `blank_statistics`; those of the batch are mixed into them.
        inputs: (B, *input_shape) float32, normalised.
        precision: of products and convolutions; bfloat16 computes only those in 16 bits.

    Returns:
        (B, O) float32 logits.
    """
    if not statistics and precision == torch.float32:
        plain: Tensor = functional_call(network, dict(effective), (inputs,))
        return plain
    mixed = torch.autocast(inputs.device.type, precision, enabled=precision != torch.float32)
    network.train(bool(statistics))
    try:
        with mixed:
            logits: Tensor = functional_call(network, {**effective, **statistics}, (inputs,))
    finally:
        network.eval()
    return logits.float()


def blank_statistics(network: nn.Module, device: torch.device) -> Statistics:
    """Make the statistics of a task that has seen nothing: mean zero, variance one.

    Args:
        network: if it does not normalise, there are none.
        device: of the statistics.

    Returns:
        buffer name → (C,) float32.
    """
    statistics = {}
    for name, module in normalising_layers(network).items():
        place = f"{name}." if name else ""
        shape = module.running_mean.shape
        statistics[f"{place}running_mean"] = torch.zeros(shape, device=device)
        statistics[f"{place}running_var"] = torch.ones(shape, device=device)
    return statistics


def normalising_layers(network: nn.Module) -> dict[str, Normalisation]:
    """Find the layers with statistics of a task, by name, in the network's order."""
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, Normalisation)
    }


def no_statistics(network: nn.Module, device: torch.device) -> Statistics:
    """Make empty statistics, so that the current images are normalised by their own.

    A superposition of masks has no statistics of its own, because its values come from no single
    mask.

    Returns:
        buffer name → (0,) float32; empty for a network that does not normalise.
    """
    return {name: one[:0] for name, one in blank_statistics(network, device).items()}


def joined(statistics: Statistics) -> Tensor:
    """Lay statistics end to end, in order: float32, one dimension, on the CPU."""
    return torch.cat([one.flatten().cpu() for one in statistics.values()])


def parted(values: Tensor, blank: Statistics) -> Statistics:
    """Undo `joined`.

    Args:
        values: (sum of all lengths,) float32.
        blank: of the network, see `blank_statistics`.

    Raises:
        ValueError: another number of values.
    """
    lengths = [one.numel() for one in blank.values()]
    if values.shape != (sum(lengths),):
        raise ValueError(
            f"statistics of shape {tuple(values.shape)} found, expected {(sum(lengths),)}"
        )
    parts = zip(blank, values.split(lengths), strict=True)
    return {name: part.to(blank[name].device) for name, part in parts}


def _by_themselves(values: Tensor, epsilon: float) -> Tensor:
    """Normalise each channel over all images and positions; a single value is not changed."""
    over = [0, *range(2, values.dim())]
    if values[:, 0].numel() == 1:
        return values
    variance, mean = torch.var_mean(values, over, correction=0, keepdim=True)
    return (values - mean) * (variance + epsilon).rsqrt()
