"""The tasks of a comparison, the same for every method."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from supsup_cli.baselines.method import TaskImages
from supsup_cli.core.images import LabelledImages
from supsup_cli.data import catalog, names
from supsup_cli.data.reading import Reading
from supsup_cli.data.splits import Split, TaskData, choose
from supsup_cli.errors import UsageError
from supsup_cli.workflows.compare.request import CompareRequest

# Bytes of images that stay in memory between two methods.
_KEPT_BYTES = 1 << 30
# Calibration images of a task on which rates are chosen: a smaller --limit must not choose others.
_RATED = 1000


@dataclass(frozen=True)
class NamedTask:
    """A task before its images are read: its name, its data, their digest, classes and outputs."""

    name: str
    data: str
    digest: str
    classes: tuple[str, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True)
class ComparedTask:
    """A task with its images.

    Attributes:
        data: all splits, as `learn-task` reads them.
        images: training images for rivals, on the device.
        test: test images.
        calibration: images for choosing rates.
    """

    data: TaskData
    images: TaskImages
    test: Split
    calibration: Split


def named_tasks(request: CompareRequest) -> tuple[NamedTask, ...]:
    """Name the tasks in order; no image is read.

    Raises:
        UsageError, NoInputError: unknown or missing data, or two tasks with one name.
    """
    data = names.expand(request.data)
    if not data:
        raise UsageError("--data: none found, expected at least one", hint="supsup data list")
    shape, tasks = request.base.own_shape, []
    seen: set[str] = set()
    for one in data:
        name = names.task_name(one)
        if name in seen:
            raise UsageError(f"{one}: task name {name!r} found twice, expected distinct names")
        seen.add(name)
        classes, outputs = catalog.classes_of(one, request.reading)
        digest = catalog.digest(one, shape, request.reading)
        tasks.append(NamedTask(name, one, digest, classes, outputs))
    return tuple(tasks)


class Tasks:
    """The tasks of one seed; images are read when needed, and stay in memory while they fit.

    Args:
        named: the tasks.
        request: shape, limit, where data lie.
        seed: for the calibration share and the choice of test images.
        device: where rivals learn.
    """

    def __init__(
        self,
        named: tuple[NamedTask, ...],
        request: CompareRequest,
        seed: int,
        device: torch.device,
    ) -> None:
        self.named = named
        self._shape = request.base.own_shape
        self._reading: Reading = request.reading
        self._limit = request.limit
        self._seed = seed
        self._device = device
        self._kept: dict[int, ComparedTask] = {}
        self._sizes: dict[int, int] = {}
        self._broken: dict[int, Sequence[tuple[str, str]]] = {}

    def __len__(self) -> int:
        return len(self.named)

    def read_all(self) -> None:
        """Read the tasks that were not read yet, because their results had been kept.

        Raises:
            UsageError, NoInputError, StorageError: see `catalog.load`.
        """
        for place in range(len(self)):
            if place not in self._sizes:
                self[place]

    @property
    def test_sizes(self) -> tuple[int, ...]:
        """Number of test images of each task that has been read."""
        return tuple(self._sizes[place] for place in sorted(self._sizes))

    @property
    def broken(self) -> list[tuple[str, str]]:
        """Files that cannot be used of the tasks that have been read: each and the reason."""
        return [one for place in sorted(self._broken) for one in self._broken[place]]

    def __getitem__(self, place: int) -> ComparedTask:
        """Return a task, from memory if it is there.

        Raises:
            UsageError, NoInputError, StorageError: see `catalog.load`; or it has no test images.
        """
        if place not in self._kept:
            self._kept[place] = self._read(place)
            while len(self._kept) > 1 and self._bytes() > _KEPT_BYTES:
                del self._kept[next(iter(self._kept))]
        return self._kept[place]

    def _read(self, place: int) -> ComparedTask:
        named = self.named[place]
        data = catalog.load(named.data, self._shape, seed=self._seed, reading=self._reading)
        data = dataclasses.replace(data, name=named.name)
        if not len(data.test):
            raise UsageError(f"{named.data}: no test image found, expected at least one")
        outputs = torch.tensor(data.outputs, device=self._device)
        test = self._part(data.test, self._limit)
        self._sizes[place], self._broken[place] = len(test), data.broken
        return ComparedTask(
            data,
            TaskImages(named.name, self._labelled(data.train), outputs),
            test,
            self._part(data.calibration, _RATED),
        )

    def _part(self, split: Split, limit: int | None) -> Split:
        chosen = split.take(choose(len(split), limit, self._seed))
        return Split(chosen.images, chosen.labels)

    def _labelled(self, split: Split) -> LabelledImages:
        def here(values: NDArray[np.int64] | None) -> torch.Tensor | None:
            return None if values is None else torch.from_numpy(values).to(self._device)

        # arrays that numpy may not write to, such as MNIST's own images, are copied
        store = split.store if split.store.flags.writeable else split.store.copy()
        labels = torch.from_numpy(split.labels).to(self._device)
        images = torch.from_numpy(store).to(self._device)
        return LabelledImages(images, labels, here(split.rows), here(split.sources))

    def _bytes(self) -> int:
        stores = {id(task.data.train.store): task for task in self._kept.values()}
        return sum(task.data.train.store.nbytes for task in stores.values())
