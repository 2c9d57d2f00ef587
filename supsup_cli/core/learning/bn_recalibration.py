"""Measure a task's statistics under its final mask, instead of using running ones."""

from collections.abc import Callable, Iterable, Iterator, Mapping

import torch
from torch import Tensor, nn

from supsup_cli.core.images import LabelledImages
from supsup_cli.core.masks.superposition import effective_weights
from supsup_cli.core.networks.normalisation import (
    Normalisation,
    Statistics,
    blank_statistics,
    forward_on_batch,
)

_MEAN, _VARIANCE = "running_mean", "running_var"
_MOST_IMAGES = 2048


def sample_batches(
    data: LabelledImages,
    pixels: Callable[[Tensor], Tensor],
    size: int,
    stream: torch.Generator,
    most: int = _MOST_IMAGES,
) -> Iterator[Tensor]:
    """Draw training images at random, without replacement, for `recalibrated_statistics`.

    Args:
        data: N ≥ 1 images; their labels do not matter.
        pixels: turns bytes into inputs.
        size: images per batch, if there are as many.
        stream: CPU generator of the draw.
        most: images of all batches together, at most 2048; there is always one batch.

    Yields:
        (B, C, H, W) float32, batches of one size.
    """
    size = min(size, len(data))
    order = torch.randperm(len(data), generator=stream)
    for start in range(0, max(1, min(most, _MOST_IMAGES, len(order)) - size + 1), size):
        here = order[start : start + size].to(data.device)
        yield pixels(data.take(here))


def recalibrated_statistics(
    network: nn.Module, masks: Mapping[str, Tensor], batches: Iterable[Tensor]
) -> Statistics:
    """Measure the mean and variance of every normalised channel over some images.

    Wu & Johnson 2021, section 3 ("precise" statistics): each batch is normalised separately, and
    its statistics are averaged over batches,

        μ = E[μ_b],   σ² = E[σ_b²] + E[μ_b²] − μ²

    Running statistics are an average too, but over the masks of the last steps, not the final one.

    Args:
        network: frozen network, in evaluation mode.
        masks: the task's, parameter name → float32 of its shape.
        batches: (B, *input_shape) float32, normalised; at least one. Each needs images of all
            classes, so images must not be sorted by class.

    Returns:
        buffer name → (C,) float32; empty for a network that does not normalise, which needs no
        batches.

    Raises:
        ValueError: there is no batch.
    """
    device = next(iter(masks.values())).device
    return measured_statistics(network, effective_weights(network, masks), batches, device)


def measured_statistics(
    network: nn.Module,
    effective: Mapping[str, Tensor],
    batches: Iterable[Tensor],
    device: torch.device,
) -> Statistics:
    """Measure the statistics under given weights, see `recalibrated_statistics`.

    Args:
        network: in evaluation mode.
        effective: parameter name → float32, instead of the network's own.
        batches: (B, *input_shape) float32, normalised; at least one.
        device: of the statistics.
    """
    blank = blank_statistics(network, device)
    if not blank:
        return {}
    names = [name.removesuffix(_MEAN) for name in blank if name.endswith(_MEAN)]
    # On the CPU, because not every device has 64 bits.
    sums = {name: one.cpu().double().zero_() for name, one in blank.items()}
    squares = {name: sums[name + _MEAN].clone() for name in names}
    count = 0
    for inputs in batches:
        # Starting from zero, a running value holds afterwards exactly a share of this batch's
        # value.
        seen = {name: torch.zeros_like(one) for name, one in blank.items()}
        with torch.no_grad():
            forward_on_batch(network, effective, seen, inputs)
        for name in names:
            mean, variance = (
                seen[name + kind].cpu().double() / Normalisation.MOMENTUM
                for kind in (_MEAN, _VARIANCE)
            )
            sums[name + _MEAN] += mean
            squares[name] += mean.square()
            sums[name + _VARIANCE] += variance
        count += 1
    if count == 0:
        raise ValueError("no batch to measure statistics on")
    averages = {name: one / count for name, one in sums.items()}
    for name in names:
        averages[name + _VARIANCE] += squares[name] / count - averages[name + _MEAN].square()
    return {name: one.float().to(device) for name, one in averages.items()}
