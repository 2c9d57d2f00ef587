"""Regularisation and replay, from the library Avalanche (the extra `avalanche`).

Carta et al. 2023, "Avalanche: A PyTorch Library for Deep Continual Learning". One network with one
head learns all tasks; the task is never given, neither for learning nor for an answer. The library
takes seconds to import, so it is imported when a method starts.
"""

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from supsup_cli.baselines.library_methods import LibraryMethod
from supsup_cli.baselines.method import TaskImages
from supsup_cli.baselines.networks import Base, begun
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.masks.superposition import images_at_once
from supsup_cli.core.networks.normalisation import blank_statistics
from supsup_cli.core.seeds import derive_seed

_EVALUATION_IMAGES = 1024
_WRITTEN_OUT = 4096
_MOST_EPOCHS = 1 << 40


class OneNetwork(nn.Module):
    """The network with pixels normalised first, so that images stay bytes in the library.

    Args:
        network: with its weights.
        pixels: turns bytes into inputs.
    """

    def __init__(self, network: nn.Module, pixels: Pixels) -> None:
        super().__init__()
        self.network = network
        self._pixels = pixels

    def forward(self, images: Tensor) -> Tensor:
        """Map images (B, C, H, W) uint8 to logits (B, O)."""
        logits: Tensor = self.network(self._pixels(images))
        return logits


class LibraryLearner:
    """One network, learned by a strategy of the library.

    Args:
        method: which one.
        base: the network of the comparison.
        pixels: turns bytes into inputs.
        outputs: those of the one head, all classes of all tasks.
        rate: learning rate.
        steps: updates per task.
        batch_size: images per update.
    """

    def __init__(
        self,
        method: LibraryMethod,
        base: Base,
        pixels: Pixels,
        outputs: int,
        *,
        rate: float,
        steps: int,
        batch_size: int,
    ) -> None:
        network = base.network(outputs)
        blank = blank_statistics(network, base.device)
        state = begun(base, network) | blank | dict(base.statistics)
        network.load_state_dict({name: one.clone() for name, one in state.items()}, assign=True)
        network.requires_grad_(True)
        self._model = OneNetwork(network, pixels)
        self._seed = base.seed
        self._steps = steps
        self._strategy = _begin(method, self._model, base.device, rate, batch_size)
        self._method = method
        self._counts: list[int] = []
        self._image_bytes = 0

    def learn(self, tasks: Sequence[TaskImages], advance: Callable[[int], None]) -> None:
        """Learn the next task, or several at once; targets are outputs of the one head.

        Args:
            tasks: their images.
            advance: called with the steps just done.
        """
        stream = _experiences(tasks)
        self._counts += [len(task.train) for task in tasks]
        self._image_bytes = tasks[0].train.shape.numel()
        self._strategy.supsup_steps.begin(self._steps * len(tasks), advance)
        with torch.random.fork_rng(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.manual_seed(derive_seed(self._seed, "library", tasks[0].name))
            self._strategy.train(stream if self._method.at_once else stream[0], num_workers=0)

    def logits(self, images: Tensor) -> Tensor:
        """Compute the logits of (N, C, H, W) uint8 images: (N, O) float32."""
        self._model.eval()
        with torch.no_grad():
            parts = images.split(images_at_once(images, _EVALUATION_IMAGES))
            return torch.cat([self._model(part) for part in parts])

    @property
    def bytes(self) -> int:
        """Number of bytes needed to continue: the network, its rule's numbers, stored images."""
        network = sum(one.numel() * one.element_size() for one in self._model.parameters())
        images = self._method.images(self._counts) * self._image_bytes
        return network * (1 + self._method.networks(len(self._counts))) + images


def _begin(
    method: LibraryMethod,
    model: nn.Module,
    device: torch.device,
    rate: float,
    batch_size: int,
) -> Any:
    """Make the library's strategy; its type is the library's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from avalanche.training import supervised

        from supsup_cli.baselines.library_plugins import Steps, mend

    optimisers = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}
    counting = Steps()
    strategy = getattr(supervised, method.strategy)(
        model=model,
        optimizer=optimisers[method.optimiser](model.parameters(), lr=rate),
        criterion=F.cross_entropy,
        train_mb_size=batch_size,
        train_epochs=_MOST_EPOCHS,  # the number of updates ends it
        device=device,
        plugins=[counting],
        evaluator=None,
        **method.options,
    )
    strategy.supsup_steps = counting
    mend(strategy)
    return strategy


def _experiences(tasks: Iterable[TaskImages]) -> Any:
    """Feed tasks to the library as a stream of experiences."""
    from avalanche.benchmarks import benchmark_from_datasets

    # The library needs task labels: all images get the same one, because the task is not given.
    from avalanche.benchmarks.utils.classification_dataset import (
        _make_taskaware_classification_dataset as labelled_with_tasks,
    )

    datasets = [labelled_with_tasks(_Bytes(task.train), task_labels=0) for task in tasks]
    return benchmark_from_datasets(train=datasets).train_stream


class _Bytes(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """Images one by one, gathered if tasks share a store.

    Attributes:
        targets: of each image; the library looks for them under this name.
    """

    def __init__(self, images: LabelledImages) -> None:
        places = torch.arange(len(images), device=images.device).split(_WRITTEN_OUT)
        plain = images.rows is None and images.sources is None
        self._images = images.store if plain else torch.cat([images.take(one) for one in places])
        self.targets: list[int] = images.targets.tolist()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: int) -> tuple[Tensor, int]:
        return self._images[place], self.targets[place]
