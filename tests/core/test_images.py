"""Batches from a store that tasks share equal those of images held in full."""

import numpy as np
import pytest
import torch

from supsup_cli.core.images import ImagesOfTasks, LabelledImages
from supsup_cli.data import catalog, embedded, variants
from supsup_cli.data.splits import part_calibration


def _pairs(shape: tuple[int, int, int]) -> tuple[list[LabelledImages], list[LabelledImages]]:
    """Make three tasks over one store, and the same tasks with their own images."""
    draw = torch.Generator().manual_seed(0)
    store = torch.randint(0, 256, (50, *shape), dtype=torch.uint8, generator=draw)
    shared, own = [], []
    for count in (30, 7, 20):
        rows = torch.randperm(50, generator=draw)[:count]
        sources = torch.randperm(store[0].numel(), generator=draw)
        targets = torch.randint(0, 10, (count,), generator=draw)
        shared.append(LabelledImages(store, targets, rows, sources))
        images = store[rows].flatten(1)[:, sources].unflatten(1, shape)
        own.append(LabelledImages(images, targets))
    return shared, own


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 5, 4)], ids=str)
def test_a_batch_of_a_store_is_that_of_images_of_its_own(shape: tuple[int, int, int]) -> None:
    for shared, own in zip(*_pairs(shape), strict=True):
        places = torch.tensor([3, 0, 3, 6])
        assert len(shared) == len(own)
        assert shared.shape == own.shape == shape
        assert torch.equal(shared.take(places), own.take(places))
        assert torch.equal(shared.take(places), own.store[places])


def test_batches_of_tasks_are_theirs_whether_they_share_a_store_or_not() -> None:
    shared, own = _pairs((1, 4, 6))
    places = torch.tensor([[29, 0], [6, 6], [1, 19]])
    for data in (shared, own, [shared[0], own[1], shared[2]]):
        images, targets = ImagesOfTasks(data).take(places)
        alone = [one.take(here) for one, here in zip(own, places, strict=True)]
        assert torch.equal(images, torch.cat(alone))
        expected = [one.targets[here] for one, here in zip(own, places, strict=True)]
        assert torch.equal(targets, torch.cat(expected))


def test_permutations_share_the_embedded_images_and_look_as_if_written_out() -> None:
    images, labels = embedded.load_mnist(True)
    expected = part_calibration(variants.permuted(images, 3), labels, 7)
    data = catalog.load("mnist-perm-3", (1, 28, 28), seed=7)
    for split, whole in zip((data.train, data.calibration), expected, strict=True):
        assert split.store is images
        assert np.array_equal(split.images, whole.images)
        assert np.array_equal(split.labels, whole.labels)
    coarse = catalog.load("mnist-perm-3", (1, 14, 14), seed=7)
    assert coarse.train.images.shape == (57_000, 1, 14, 14)
