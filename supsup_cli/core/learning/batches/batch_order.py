"""Which images each step sees: a seeded order that can stop and resume anywhere."""

from collections.abc import Mapping

import torch
from torch import Tensor

from supsup_cli.core.seeds import restore_stream


class BatchOrder:
    """Batches without replacement, a new order each time all images have been seen.

    If an order ends inside a batch, the next order continues it, so every batch is full.

    Args:
        images: number of images, at least one.
        batch_size: images per batch.
        stream: CPU generator of the orders, which nothing else draws from.
    """

    def __init__(self, images: int, batch_size: int, stream: torch.Generator) -> None:
        self._images = images
        self._batch_size = batch_size
        self._stream = stream
        self._before = stream.get_state()  # state of the stream when the order was drawn
        self._order = torch.empty(0, dtype=torch.int64)
        self._used = 0

    def next_batch(self) -> Tensor:
        """Draw a batch: (batch_size,) int64 positions below `images`, on the CPU."""
        parts, missing = [], self._batch_size
        while missing:
            if self._used == len(self._order):
                self._draw()
            parts.append(self._order[self._used : self._used + missing])
            self._used += len(parts[-1])
            missing -= len(parts[-1])
        return torch.cat(parts)

    def state(self) -> dict[str, Tensor]:
        """Copy everything that the next batch depends on.

        Returns:
            "order/generator", uint8: the stream before the order in use was drawn; "order/used",
            () float64: how many images of it have been seen.
        """
        used = torch.tensor(self._used, dtype=torch.float64)
        return {"order/generator": self._before.clone(), "order/used": used}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue where another order with as many images and the same batch size stopped.

        Raises:
            ValueError: the state has another form.
        """
        if {name: tensor.shape for name, tensor in state.items()} != self._shapes():
            raise ValueError(f"state of an order with {sorted(state)} found, expected its own")
        before, used = state["order/generator"], float(state["order/used"])
        if not (used.is_integer() and 0 <= used <= self._images):
            raise ValueError(f"{used} images used, expected 0 to {self._images}")
        restore_stream(self._stream, before)
        self._draw()
        self._used = int(used)

    def _shapes(self) -> dict[str, torch.Size]:
        return {name: tensor.shape for name, tensor in self.state().items()}

    def _draw(self) -> None:
        self._before = self._stream.get_state()
        self._order = torch.randperm(self._images, generator=self._stream)
        self._used = 0
