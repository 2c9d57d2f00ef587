"""Features of random convolution nets: pooled maps of all layers, whitened using only the base."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.func import functional_call

from supsup_cli.core.networks.normalisation import (
    Normalisation,
    blank_statistics,
    normalising_layers,
)

_MOST_FEATURES = 640
# Reference images, and the values of all of them that are computed at most.
_IMAGES, _LEAST_IMAGES, _VALUES = 2000, 320, 2000 * 3 * 32 * 32
# Share of the mean variance that is added to each before dividing, so that directions in which
# reference images hardly differ are not amplified.
_RIDGE = 1e-2


class PooledMaps:
    """Means and deviations of every map, and the quarters of the last, in the unmasked network.

    The network runs without normalisation, because random weights with He's variance keep that of
    the values, and no task's statistics suit all. Square roots are taken, as for counts.

    Args:
        network: frozen, with `Normalisation` layers.
    """

    def __init__(self, network: nn.Module) -> None:
        self._network = network
        layers = normalising_layers(network)
        self._names = list(layers)
        self._identity: dict[str, Tensor] = {}
        device = next(network.parameters()).device
        for name, one in blank_statistics(network, device).items():
            variance = name.endswith("running_var")
            # σ² + ε is one, so that values pass unchanged.
            self._identity[name] = one - Normalisation.EPSILON if variance else one
        channels = [len(layer.running_mean) for layer in layers.values()]
        self._channels = channels
        found = 2 * sum(channels) + 4 * channels[-1]
        self.size = min(found, _MOST_FEATURES)
        self._chosen = torch.linspace(0, found - 1, self.size, dtype=torch.float64).round().long()

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, *input_shape) float32, normalised, to (B, D) float32."""
        seen = {
            f"{name}.seen" if name else "seen": images.new_empty(6, len(images), size)
            for name, size in zip(self._names, self._channels, strict=True)
        }
        functional_call(self._network, self._identity | seen, (images,))
        maps = list(seen.values())
        values = torch.cat(
            [part for one in maps for part in (one[0], one[1])] + list(maps[-1][2:]), dim=1
        )
        return values[:, self._chosen.to(values.device)].clamp_min(0).sqrt()


class WhitenedMaps:
    """Pooled maps, transformed so that they are uncorrelated for reference images.

    Args:
        maps: of the network.
        mean: (D,) float32, of reference images.
        whitening: (D, D) float32, see `whitening_of`.
    """

    def __init__(self, maps: PooledMaps, mean: Tensor, whitening: Tensor) -> None:
        self._maps, self._mean, self._whitening = maps, mean, whitening
        self.size = maps.size

    def __call__(self, images: Tensor) -> Tensor:
        """Map images (B, *input_shape) float32, normalised, to (B, D) float32."""
        return (self._maps(images) - self._mean) @ self._whitening


def whitening_of(values: Tensor) -> tuple[Tensor, Tensor]:
    """Compute the transform to uncorrelated values: z = (v − mean) (C + ε I)^−½, ε = tr C / 100 D.

    Args:
        values: (N, D) float32, of reference images.

    Returns:
        mean (D,) and the symmetric matrix (D, D), float32.
    """
    exact = values.double()
    mean = exact.mean(0)
    apart = exact - mean
    covariance = apart.T @ apart / max(1, len(values) - 1)
    squares, axes = torch.linalg.eigh(covariance)
    scales = (squares.clamp_min(0) + _RIDGE * squares.mean()).rsqrt()
    return mean.float(), ((axes * scales) @ axes.T).float()


def reference_images(shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Draw images that resemble photos only in their spectrum, which falls as 1/f.

    Equal shapes give equal images: numpy promises RandomState's stream. Colours are mostly grey.

    Args:
        shape: (C, H, W) of the bank's input.

    Returns:
        (N, C, H, W) uint8; N = 2000, fewer of large ones.
    """
    channels, height, width = shape
    count = max(_LEAST_IMAGES, min(_IMAGES, _VALUES // (channels * height * width)))
    random = np.random.RandomState(0)
    rows, columns = np.fft.fftfreq(height)[:, None], np.fft.fftfreq(width)[None]
    frequency = np.hypot(rows, columns)
    frequency[0, 0] = 1 / max(height, width)
    noise = random.randn(count, channels, height, width)
    images = np.fft.ifft2(np.fft.fft2(noise) / frequency).real
    images /= images.std((1, 2, 3), keepdims=True)
    mixing = random.randn(count, channels, channels) * 0.35 + 1
    images = np.einsum("nij,njhw->nihw", mixing, images)
    images /= images.std((1, 2, 3), keepdims=True)
    contrast = random.uniform(0.1, 0.3, (count, 1, 1, 1))
    light = random.uniform(0.3, 0.7, (count, 1, 1, 1)) + 0.05 * random.randn(count, channels, 1, 1)
    levels: NDArray[np.float64] = (images * contrast + light) * 255
    return levels.clip(0, 255).astype(np.uint8)
