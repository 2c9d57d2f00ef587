"""Put splits of data on the network's device, as learning and signatures need them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.images import LabelledImages
from supsup_cli.core.masks.superposition import images_at_once
from supsup_cli.core.networks.parts import Between
from supsup_cli.data.splits import Split
from supsup_cli.workflows.opening import OpenNetwork

# Images per pass below the masks, and largest number of bytes to keep of them.
_AT_ONCE, _MOST_BYTES = 64, 1 << 30
# Stores of images that tasks share, once on each device, for the life of the process.
_STORES: dict[tuple[int, torch.device], tuple[NDArray[np.uint8], Tensor]] = {}


def labelled(net: OpenNetwork, split: Split, outputs: Tensor) -> LabelledImages:
    """Put a split on the network's device; `outputs`, (K,) int64, turns its labels into outputs."""
    targets = outputs[torch.from_numpy(split.labels).to(net.device)]
    if split.rows is None:
        return LabelledImages(torch.from_numpy(split.images).to(net.device), targets)
    key = id(split.store), net.device
    if key not in _STORES:
        _STORES[key] = split.store, torch.tensor(split.store, device=net.device)
    sources = None if split.sources is None else torch.from_numpy(split.sources).to(net.device)
    rows = torch.from_numpy(split.rows).to(net.device)
    return LabelledImages(_STORES[key][1], targets, rows, sources)


def device_images(images: NDArray[np.uint8], device: torch.device) -> Tensor:
    """Put images (N, C, H, W) on a device; a read-only array is copied."""
    return torch.from_numpy(images if images.flags.writeable else images.copy()).to(device)


def lower_values(net: OpenNetwork, images: NDArray[np.uint8]) -> Between | None:
    """Run the layers below every mask, once for all masks that are tried on the images.

    Args:
        net: the open network.
        images: (N, C, H, W) uint8.

    Returns:
        tensors of N rows; None if there are no such layers, or they would take more than 1 GiB.
    """
    if net.parts.below is None or len(images) == 0:
        return None
    there = device_images(images, net.device)
    blocks: list[Between] = []
    for part in there.split(images_at_once(there, _AT_ONCE)):
        blocks.append(net.parts.lower(net.pixels(part)))
        if sum(one.nbytes for one in blocks[0]) / len(blocks[0][0]) * len(images) > _MOST_BYTES:
            return None
    return tuple(torch.cat(one) for one in zip(*blocks, strict=True))
