"""Signatures of tasks: made while learning or later, and put side by side for decisions."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from bank_format.kinds.appearance import images_seen
from bank_format.kinds.features import Whitening
from bank_format.kinds.gaussians import (
    GAUSSIANS,
    Gaussians,
    directions_that_fit,
    read_gaussians,
    store_gaussians,
)
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import SignatureRecord
from bank_format.store.features import keep_features, read_features
from supsup_cli.core.images import LabelledImages
from supsup_cli.core.inference.novelty import CALIBRATION_LEVELS
from supsup_cli.core.masks.superposition import images_at_once
from supsup_cli.core.networks.normalisation import normalising_layers
from supsup_cli.core.networks.parts import Between
from supsup_cli.core.seeds import generator
from supsup_cli.core.signatures.features import (
    FirstLayer,
    FrozenFeatures,
    first_layer,
    roots,
    trained_features,
)
from supsup_cli.core.signatures.fitting import (
    FEW_IMAGES,
    MOST_IMAGES,
    FittedGaussians,
    components,
    fit_gaussians,
)
from supsup_cli.core.signatures.maps import (
    PooledMaps,
    WhitenedMaps,
    reference_images,
    whitening_of,
)
from supsup_cli.core.signatures.table import TaskSignature
from supsup_cli.workflows.appearances import appearance_arrays
from supsup_cli.workflows.opening import OpenNetwork

# Images of one pass, always as many, because products of other sizes are summed in other orders.
_BATCH = 256
_MAPS = "maps-1"  # how features of random convolution nets are made
# Bytes of a signature's arrays. With their description and quantiles they add 12 KiB to a task's
# file if masks are small, else 28 KiB.
_SMALL_MASK, _SMALL, _LARGE = 1 << 16, 11_000, 27_300
_LOOKS = 850  # of these, for what images look like


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread, so that the number of threads changes no bit.

    With more, products are summed in other orders on some processors (measured with AVX2), and
    eigenvectors have other last bits.
    """
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


@_one_thread()
def make_signature(
    net: OpenNetwork,
    train: LabelledImages,
    held_out: LabelledImages,
    seed: int,
    task: str,
    lower: Between | None = None,
) -> tuple[SignatureRecord, Arrays] | None:
    """Make a task's signature from its images; None for a network without features.

    Args:
        net: the open network.
        train: the task's training images; a seeded choice of them is used.
        held_out: its calibration images, which show how far its own images lie; may be none.
        seed: of the learning.
        task: its name, on which the choice depends.
        lower: values below the masks for all of `train`, if they are known.
    """
    features = open_features(net, keep=True)
    if features is None or len(train) == 0:
        return None
    small = net.layout.bytes <= _SMALL_MASK and isinstance(features, FirstLayer)
    order = torch.randperm(len(train), generator=generator(seed, "signature", task))
    chosen = order[: FEW_IMAGES if small else MOST_IMAGES].to(train.device)
    if lower is None:
        found = image_features(net, features, train.take(chosen)).numpy()
    else:
        found = features_above(net, tuple(one[chosen] for one in lower)).numpy()
    parts = components(found, train.targets[chosen].cpu().numpy())
    convolves = not isinstance(features, FirstLayer)
    size = _SMALL if small else _LARGE - (_LOOKS if convolves else 0)
    fitted = fit_gaussians(
        found, parts, directions_that_fit(int(parts.max()) + 1, features.size, size)
    )
    arrays = store_gaussians(_gaussians(fitted, np.empty(0)))
    if len(held_out):
        here = torch.arange(len(held_out), device=held_out.device)
        rounded = ready(read_gaussians(arrays, features.size), net)
        own = image_features(net, features, held_out.take(here)).to(net.device)
        apart = [rounded.distances(part, rounded.noise) for part in own.split(_BATCH)]
        quantiles = torch.quantile(
            torch.cat(apart).double().cpu(), torch.tensor(CALIBRATION_LEVELS, dtype=torch.float64)
        )
        arrays = store_gaussians(_gaussians(fitted, quantiles.numpy()))
    if convolves:
        seen = images_seen(len(chosen), net.bank.record.input.shape)
        arrays = {**arrays, **appearance_arrays(train.take(chosen[:seen]))}
    return SignatureRecord(GAUSSIANS, len(chosen)), arrays


def open_features(net: OpenNetwork, *, keep: bool) -> FrozenFeatures | None:
    """Make the pass through a bank's frozen network; None for a network without features.

    A random convolution net needs a mean and a matrix for its maps. They are computed from the base
    in seconds, and kept in the bank.

    Args:
        net: the open network.
        keep: whether the bank may be written.

    Raises:
        StorageError: the system refused to read.
    """
    if not normalising_layers(net.network):
        return trained_features(net.network) or first_layer(net.network)
    maps, bank = PooledMaps(net.network), net.bank
    found = read_features(bank.path, bank.record, _MAPS)
    if found is None or len(found.mean) != maps.size:
        images = torch.from_numpy(reference_images(bank.record.input.shape)).to(net.device)
        with _one_thread():
            mean, matrix = whitening_of(image_features(net, maps, images))
        found = Whitening(mean.numpy(), matrix.numpy())
        if keep:
            keep_features(bank.folder, bank.record, _MAPS, found)
    mean, matrix = (torch.from_numpy(one).to(net.device) for one in (found.mean, found.matrix))
    return WhitenedMaps(maps, mean, matrix)


def image_features(net: OpenNetwork, features: FrozenFeatures, images: Tensor) -> Tensor:
    """Compute features of (N, C, H, W) uint8 images in batches of one size: (N, D) on the CPU."""
    parts = [torch.empty(0, features.size)]
    with torch.no_grad():
        for part in images.split(images_at_once(images, _BATCH)):
            parts.append(features(net.pixels(part)).cpu())
    return torch.cat(parts)


def features_above(net: OpenNetwork, lower: Between) -> Tensor:
    """Compute features of a library's network from what lies below its masks: (N, D) on the CPU."""
    blocks = zip(*(one.split(_BATCH) for one in lower), strict=True)
    return torch.cat([roots(net.parts.above(block, {})).cpu() for block in blocks])


def ready(gaussians: Gaussians, net: OpenNetwork) -> TaskSignature:
    """Put a task's Gaussians on the network's device."""
    means, directions, variances, shares = (
        torch.from_numpy(one).to(net.device)
        for one in (gaussians.means, gaussians.directions, gaussians.variances, gaussians.shares)
    )
    return TaskSignature(
        means,
        directions,
        variances,
        shares,
        float(gaussians.noise.mean(dtype=np.float64)),
        torch.from_numpy(gaussians.quantiles).double(),
    )


def _gaussians(fitted: FittedGaussians, quantiles: NDArray[np.float64]) -> Gaussians:
    means, directions, variances, noise, shares, levels = (
        one.astype(np.float32)
        for one in (
            fitted.means,
            fitted.directions,
            fitted.variances,
            fitted.noise,
            fitted.shares,
            quantiles,
        )
    )
    return Gaussians(means, directions, variances, noise, shares, levels)
