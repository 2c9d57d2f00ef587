import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supsup_cli.core.hopfield.attractors import encode
from supsup_cli.core.hopfield.recovery import RecoverySettings, doubt, recover
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import RECIPES, for_network
from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.masks.superposition import entropy
from supsup_cli.core.networks.specs import (
    NetworkSpec,
    build_network,
    freeze,
    kaiming_normal,
    masked_parameters,
)
from supsup_cli.data import catalog
from tests.support.networks import finish

PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
TASKS = ("mnist-split-0", "mnist-split-1", "mnist-split-3")


@dataclasses.dataclass(frozen=True)
class Stored:
    network: nn.Module
    masks: list[Masks]
    images: list[Tensor]
    matrices: dict[str, Tensor]
    start: dict[str, Tensor]


@pytest.fixture(scope="module")
def stored() -> Stored:
    """Three pairs of digits, learned in seconds and stored as attractors."""
    network = build_network(NetworkSpec("units-512-512", (1, 28, 28), 10))
    weights = {
        name: np.asarray(kaiming_normal(tuple(one.shape), seed=0, name=name))
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    recipe = dataclasses.replace(for_network(RECIPES["default"], "units"), steps=60)
    names = masked_parameters(network)
    masks, images = [], []
    for task in TASKS:
        loaded = catalog.load(task, (1, 28, 28))
        outputs = torch.tensor(loaded.outputs)
        train = LabelledImages(
            torch.from_numpy(loaded.train.images), outputs[torch.from_numpy(loaded.train.labels)]
        )
        masks.append(finish(Learning(network, names, train, PIXELS, recipe, seed=0, task=task)))
        images.append(PIXELS(torch.from_numpy(loaded.test.images[:600])))
    signs = {name: torch.stack([one[name] for one in masks]).double() * 2 - 1 for name in names}
    matrices = {name: encode(one, "storkey") for name, one in signs.items()}
    start = {name: one.mean(0) for name, one in signs.items()}
    return Stored(network, masks, images, matrices, start)


@pytest.mark.parametrize("count", [16, 64, 600])
def test_images_alone_bring_their_task_s_mask_back(stored: Stored, count: int) -> None:
    for mask, images in zip(stored.masks, stored.images, strict=True):
        found = recover(stored.network, stored.matrices, stored.start, images[:count])
        assert all(torch.equal(found.mask[name], one) for name, one in mask.items())
        assert found.converged
        assert found.steps == len(found.trace) == len(found.doubts) == len(found.energies) <= 35


def test_a_recovery_repeats_itself_and_changes_nothing_it_was_given(stored: Stored) -> None:
    given = [*stored.matrices.values(), *stored.start.values()]
    before = [one.clone() for one in given]
    one, other = (
        recover(stored.network, stored.matrices, stored.start, stored.images[0][:32])
        for _ in range(2)
    )
    assert (one.doubts, one.energies, one.steps) == (other.doubts, other.energies, other.steps)
    assert all(torch.equal(one.mask[name], other.mask[name]) for name in one.mask)
    assert all(map(torch.equal, given, before))
    assert not stored.network.training


def test_a_descent_cut_short_says_that_it_did_not_converge(stored: Stored) -> None:
    settings = RecoverySettings(attempts=1, steps=1, rate=0.01)
    start = {name: torch.randn(512, generator=torch.Generator().manual_seed(3)) / 9
             for name in stored.start}  # fmt: skip
    found = recover(stored.network, stored.matrices, start, stored.images[0][:8], settings)
    assert (found.steps, found.images, found.converged) == (1, 8, False)


def test_the_images_used_are_counted(stored: Stored) -> None:
    settings = RecoverySettings(attempts=1, steps=3, batch_size=16)
    found = recover(stored.network, stored.matrices, stored.start, stored.images[0], settings)
    assert 3 * 15 <= found.images <= 3 * 16


def test_no_images_are_refused(stored: Stored) -> None:
    with pytest.raises(ValueError, match="no images"):
        recover(stored.network, stored.matrices, stored.start, stored.images[0][:0])


def test_doubt_is_the_entropy_of_one_image_and_least_for_sure_and_different_answers() -> None:
    logits = torch.randn(6, 5, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(doubt(logits[:1]), entropy(logits[0]))
    p = logits.softmax(1)
    mean = p.mean(0)
    expected = -(p * p.log()).sum(1).mean() + 5 / 6 * (mean * mean.log()).sum()
    torch.testing.assert_close(doubt(logits), expected)
    sure = torch.eye(4) * 100
    assert float(doubt(sure)) == pytest.approx(-3 / 4 * math.log(4))
    assert float(doubt(sure[[0, 0, 0, 0]])) == pytest.approx(0, abs=1e-6)
