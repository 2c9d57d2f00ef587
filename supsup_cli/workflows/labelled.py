"""Splits of data put on the network's device, as learning and signatures take them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.images import LabelledImages
from supsup_cli.data.splits import Split
from supsup_cli.workflows.opening import OpenNetwork

# Stores of images that tasks share, once on each device; they stay as long as the process.
_STORES: dict[tuple[int, torch.device], tuple[NDArray[np.uint8], Tensor]] = {}


def labelled(net: OpenNetwork, split: Split, outputs: Tensor) -> LabelledImages:
    """Put a split on the network's device, its labels as outputs (K,) int64 of the classes."""
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
    """Put images (N, C, H, W) on a device; what may not be written to is copied."""
    return torch.from_numpy(images if images.flags.writeable else images.copy()).to(device)
