"""Labelled images on a device, kept as bytes until a batch of them becomes the network's input."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """Turn stored bytes into the network's input: (x / 255 − mean) / std per channel.

    Attributes:
        mean: (C, 1, 1) float32, of pixels scaled to 0…1.
        std: (C, 1, 1) float32.
    """

    mean: Tensor
    std: Tensor

    def __call__(self, images: Tensor) -> Tensor:
        """Normalise (…, C, H, W) uint8 to float32 of the same shape."""
        scale, shift = self._line
        return images.to(torch.float32).mul_(scale).sub_(shift)

    @cached_property
    def _line(self) -> tuple[Tensor, Tensor]:
        return 1 / (255 * self.std), self.mean / self.std


@dataclass(frozen=True)
class LabelledImages:
    """All images of one split on the device; batches are gathered there.

    Tasks that only reorder the pixels of the same images share one store; none of them is ever
    written out as a whole.

    Attributes:
        store: (M, C, H, W) uint8, all of the split's images, or those that tasks share.
        targets: (N,) int64, the output for each image's class.
        rows: (N,) int64, the place of each image in the store; None: in order.
        sources: (C · H · W,) int64, place of each pixel in a store's image; None: the same place.
    """

    store: Tensor
    targets: Tensor
    rows: Tensor | None = None
    sources: Tensor | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def device(self) -> torch.device:
        """The device."""
        return self.store.device

    @property
    def shape(self) -> torch.Size:
        """Shape of one image, (C, H, W)."""
        return self.store.shape[1:]

    def take(self, places: Tensor) -> Tensor:
        """Gather images.

        Args:
            places: (B,) int64 below N, on the device.

        Returns:
            (B, C, H, W) uint8.
        """
        rows = places if self.rows is None else self.rows.index_select(0, places)
        taken = self.store.index_select(0, rows)
        return taken if self.sources is None else _moved(taken, self.sources)


class ImagesOfTasks:
    """Images of K tasks on one device; batches of all tasks are gathered together.

    Args:
        data: one for each task, at least one.
    """

    def __init__(self, data: Sequence[LabelledImages]) -> None:
        device = data[0].device
        counts = [len(one) for one in data]
        self._starts = torch.tensor([0, *accumulate(counts[:-1])], device=device)[:, None]
        self._targets = torch.cat([one.targets for one in data])
        groups: dict[int | None, list[int]] = {}
        for place, one in enumerate(data):
            shares = one.rows is not None and one.sources is not None
            groups.setdefault(id(one.store) if shares else None, []).append(place)
        self._groups = [
            (torch.tensor(places, device=device), _Joined([data[place] for place in places]))
            for places in groups.values()
        ]

    def take(self, places: Tensor) -> tuple[Tensor, Tensor]:
        """Gather a batch of each task.

        Args:
            places: (K, B) int64 among each task's own images, on the device.

        Returns:
            (K · B, C, H, W) uint8, task after task, and (K · B,) int64 targets.
        """
        targets = self._targets.index_select(0, (places + self._starts).flatten())
        parts = [joined.take(places[members]) for members, joined in self._groups]
        if len(parts) == 1:
            return parts[0].flatten(0, 1), targets
        images = parts[0].new_empty(*places.shape, *parts[0].shape[2:])
        for (members, _), part in zip(self._groups, parts, strict=True):
            images[members] = part
        return images.flatten(0, 1), targets


class _Joined:
    """Images of tasks that all share one store, or of tasks that share nothing, laid end to end."""

    def __init__(self, data: Sequence[LabelledImages]) -> None:
        counts = [len(one) for one in data]
        device = data[0].device
        self._starts = torch.tensor([0, *accumulate(counts[:-1])], device=device)[:, None]
        rows = [one.rows for one in data if one.rows is not None]
        sources = [one.sources for one in data if one.sources is not None]
        shares = len(rows) == len(sources) == len(data)
        self._store = data[0].store if shares else torch.cat([_written_out(one) for one in data])
        self._rows = torch.cat(rows) if shares else None
        self._sources = torch.stack(sources)[:, None] if shares else None

    def take(self, places: Tensor) -> Tensor:
        """Gather (K, B) places: (K, B, C, H, W) uint8."""
        here = (places + self._starts).flatten()
        rows = here if self._rows is None else self._rows.index_select(0, here)
        taken = self._store.index_select(0, rows)
        if self._sources is not None:
            flat = taken.view(*places.shape, -1)
            taken = flat.gather(2, self._sources.expand_as(flat)).view(taken.shape)
        return taken.view(*places.shape, *taken.shape[1:])


def _written_out(data: LabelledImages) -> Tensor:
    if data.rows is None and data.sources is None:
        return data.store
    return data.take(torch.arange(len(data), device=data.device))


def _moved(images: Tensor, sources: Tensor) -> Tensor:
    """Reorder the pixels of every image.

    Args:
        images: (B, C, H, W) uint8.
        sources: (C · H · W,) int64, the place that each pixel comes from.
    """
    flat = images.flatten(1)
    if images.device.type == "cpu":  # numpy's is five times as fast as torch's
        moved = np.take(flat.numpy(), sources.numpy(), axis=1, mode="clip")
        return torch.from_numpy(moved).view(images.shape)
    return flat.index_select(1, sources).view(images.shape)
