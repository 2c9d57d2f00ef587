"""Augment a batch of images lightly: mirror them, and move them by a few pixels."""

from typing import Final

import torch
from torch import Tensor

KINDS: Final = ("flip", "shift")
_SHIFT = 1 / 8  # of a side, at most: 4 of 32 pixels, as is common on CIFAR


def parse_augmentation(text: str) -> str:
    """Parse "flip", "shift", "flip,shift" or "none" into one canonical order.

    Raises:
        ValueError: another word.
    """
    if text == "none":
        return ""
    words = text.split(",")
    unknown = [word for word in words if word not in KINDS]
    if unknown:
        raise ValueError(
            f"{unknown[0]!r} found, expected {', '.join(KINDS)}, both as flip,shift, or none"
        )
    return ",".join(kind for kind in KINDS if kind in words)


def augment(images: Tensor, kinds: str, stream: torch.Generator) -> Tensor:
    """Mirror every other image at random, and move each by up to an eighth of its sides.

    Pixels from outside repeat the edge. One gather does both, whatever the kinds.

    Args:
        images: (B, C, H, W) uint8.
        kinds: from `parse_augmentation`; "flip" suits photos, not digits or text.
        stream: CPU generator of this batch's draws.

    Returns:
        (B, C, H, W) uint8, new.
    """
    count, channels, height, width = images.shape
    rows = torch.arange(height).repeat(count, 1)
    columns = torch.arange(width).repeat(count, 1)
    if "flip" in kinds:
        mirrored = torch.rand(count, 1, generator=stream) < 0.5
        columns = torch.where(mirrored, width - 1 - columns, columns)
    if "shift" in kinds:
        rows += _offsets(count, height, stream)
        columns += _offsets(count, width, stream)
    rows, columns = rows.clamp_(0, height - 1), columns.clamp_(0, width - 1)
    device = images.device
    return images[
        torch.arange(count, device=device)[:, None, None, None],
        torch.arange(channels, device=device)[None, :, None, None],
        rows.to(device)[:, None, :, None],
        columns.to(device)[:, None, None, :],
    ]


def _offsets(count: int, size: int, stream: torch.Generator) -> Tensor:
    most = int(size * _SHIFT)
    return torch.randint(-most, most + 1, (count, 1), generator=stream)
