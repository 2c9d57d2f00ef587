"""Values below a network's first masked layer, computed once for each image and kept."""

import torch
from torch import Tensor

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.augmentation import augment
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.networks.parts import Between, Parts
from supsup_cli.core.seeds import generator

# Largest number of bytes to keep: fixed, so that learning does not depend on a machine's memory.
_MOST_BYTES = 1 << 30
_BLOCK = 64  # images per pass


class LowerValues:
    """Values between a network's parts, for batches of a task's images.

    They are kept if that pays: each image is used several times, is at most mirrored, and all
    values take no more than 1 GiB. A mirrored image counts as another image.

    Args:
        parts: of the network.
        data: the task's training images.
        pixels: turns bytes into inputs.
        recipe: steps, batch size and augmentation.
        seed: of the augmentation, together with `task`.
        task: name, which keeps the random streams of tasks apart.
    """

    def __init__(
        self,
        parts: Parts,
        data: LabelledImages,
        pixels: Pixels,
        recipe: Recipe,
        *,
        seed: int,
        task: str,
    ) -> None:
        self._parts, self._data, self._pixels = parts, data, pixels
        self._augment, self._seed, self._task = recipe.augment, seed, task
        self._kept: tuple[Between, ...] = ()
        views = {"": 1, "flip": 2}.get(recipe.augment, 0)
        uses = recipe.steps * recipe.batch_size
        if parts.below is not None and views and uses >= views * len(data):
            one = self._values(data.take(torch.zeros(1, dtype=torch.int64, device=data.device)))
            size = sum(part.nbytes for part in one)
            if size * views * len(data) <= _MOST_BYTES:
                self._kept = tuple(self._all(mirrored=bool(view)) for view in range(views))

    @property
    def plain(self) -> Between | None:
        """Values of all images as they are, in their order; None where none are kept."""
        return self._kept[0] if self._kept else None

    def batch(self, places: Tensor, step: int) -> Between:
        """Return the values of a batch.

        Args:
            places: (B,) int64 among the images, on their device.
            step: its number, which decides what is mirrored.

        Returns:
            tensors of B rows each.
        """
        # a stream for each step, so that there is no state to save
        stream = generator(self._seed, "augmentation", self._task, str(step))
        if self._augment == "flip":
            mirrored = (torch.rand(len(places), generator=stream) < 0.5).to(places.device)
        else:
            mirrored = torch.zeros(len(places), dtype=torch.bool, device=places.device)
        if self._kept:
            taken = [tuple(one[places] for one in view) for view in self._kept]
            if len(taken) == 1:
                return taken[0]
            return tuple(
                torch.where(mirrored.view(-1, *(1,) * (plain.dim() - 1)), other, plain)
                for plain, other in zip(*taken, strict=True)
            )
        images = self._data.take(places)
        if self._augment == "flip":
            images[mirrored] = images[mirrored].flip(-1)
        elif self._augment:
            images = augment(images, self._augment, stream)
        return self._values(images)

    def _all(self, *, mirrored: bool) -> Between:
        every = torch.arange(len(self._data), device=self._data.device)
        blocks = []
        for places in every.split(_BLOCK):
            images = self._data.take(places)
            blocks.append(self._values(images.flip(-1) if mirrored else images))
        return tuple(torch.cat(parts) for parts in zip(*blocks, strict=True))

    def _values(self, images: Tensor) -> Between:
        inputs = self._pixels(images)
        # Channels last is faster by a quarter on a CPU.
        values = self._parts.lower(inputs.contiguous(memory_format=torch.channels_last))
        return tuple(one.contiguous() for one in values)
