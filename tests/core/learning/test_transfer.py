"""Starting from earlier masks, and combining them, on a small network over digits."""

import dataclasses
from typing import TypeAlias

import pytest
import torch
from torch import Tensor, nn

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.earlier_tasks.combination import Coefficients, learn_coefficients
from supsup_cli.core.learning.earlier_tasks.transfer import (
    MOST_PARENTS,
    choose_parents,
    fit_loss,
    losses_by_task,
    transferred_scores,
)
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import DEFAULT
from supsup_cli.core.masks.masks import MaskStack, threshold
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.data import embedded
from tests.support.networks import finish, layout_of, pack, random_stack, signed_constant

PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
RECIPE = dataclasses.replace(DEFAULT, steps=150)
Learned: TypeAlias = tuple[nn.Module, LabelledImages, MaskStack]


@pytest.fixture(scope="module")
def learned() -> Learned:
    """A network, digits, and four masks: noise, the one learned from these digits, noise twice."""
    network = signed_constant(MultilayerPerceptron((784, 32, 200)), seed=0)
    images, labels = embedded.load_mnist(True)
    data = LabelledImages(
        torch.from_numpy(images[:10_000].copy()), torch.from_numpy(labels[:10_000].copy())
    )
    layout = layout_of(network)
    names = masked_parameters(network)
    masks = finish(Learning(network, names, data, PIXELS, RECIPE, seed=0, task="t"))
    packed = random_stack(layout, 4, seed=1).packed
    packed[1] = pack(masks, layout)
    return network, data, MaskStack(packed, layout)


def test_the_mask_that_fits_comes_first(learned: Learned) -> None:
    network, data, stack = learned
    losses = losses_by_task(network, stack, data, PIXELS)
    assert losses.shape == (4,)
    assert int(losses.argmin()) == 1
    torch.testing.assert_close(losses[2], fit_loss(network, stack.masks(2), data, PIXELS))
    chosen = choose_parents(losses)
    assert chosen[0] == 1
    assert sorted(chosen) == [0, 1, 2, 3]
    assert torch.equal(stack.subset(chosen).packed[0], stack.packed[1])
    assert choose_parents(torch.arange(20.0).flip(0)) == [19 - n for n in range(MOST_PARENTS)]


def test_fit_is_measured_on_images_of_all_classes(learned: Learned) -> None:
    network, data, stack = learned
    order = data.targets.argsort()
    by_class = LabelledImages(data.take(order), data.targets[order])
    shuffled, sorted_ = (losses_by_task(network, stack, one, PIXELS) for one in (data, by_class))
    torch.testing.assert_close(sorted_, shuffled, rtol=0.25, atol=0)


def test_scores_start_at_the_mask_that_fits_alone(learned: Learned) -> None:
    _, _, stack = learned
    losses = torch.tensor([2.0, 0.1, 2.0, 2.0])
    scores = transferred_scores(stack, losses, sparse=False, seed=0, task="new")
    for name, kept in threshold(scores).items():
        assert torch.equal(kept, stack.masks(1)[name] > 0)
        bound = 1 / stack.layout.shapes[name][1] ** 0.5
        assert 0.24 * bound < float(scores[name].abs().min())
        assert float(scores[name].abs().max()) < 0.76 * bound


def test_scores_start_at_the_mean_where_all_fit_alike(learned: Learned) -> None:
    _, _, stack = learned
    scores = transferred_scores(stack, torch.ones(4), sparse=False, seed=0, task="new")
    for name, score in scores.items():
        votes = sum(stack.masks(row)[name] for row in range(4))
        bound = 1 / stack.layout.shapes[name][1] ** 0.5
        for count, share in ((0, -0.5), (1, -0.25), (3, 0.25), (4, 0.5)):
            assert float(score[votes == count].mean()) == pytest.approx(
                share * bound, abs=bound / 20
            )


def test_sparse_scores_start_large_only_where_masks_keep(learned: Learned) -> None:
    _, _, stack = learned
    losses = torch.tensor([2.0, 0.1, 2.0, 2.0])
    scores = transferred_scores(stack, losses, sparse=True, seed=0, task="new")
    for name, score in scores.items():
        kept = stack.masks(1)[name] > 0
        # noise of a quarter on both: what masks keep lies at one half, the rest at zero
        assert float(score[kept].abs().min()) >= float(score[~kept].abs().max()) - 1e-6


def test_the_noise_belongs_to_seed_and_task(learned: Learned) -> None:
    _, _, stack = learned

    def start(seed: int, task: str) -> dict[str, Tensor]:
        return transferred_scores(stack, torch.ones(4), sparse=False, seed=seed, task=task)

    first, again, other, another = start(0, "a"), start(0, "a"), start(1, "a"), start(0, "b")
    for name in first:
        assert torch.equal(first[name], again[name])
        assert not torch.equal(first[name], other[name])
        assert not torch.equal(first[name], another[name])


def test_coefficients_are_a_vote() -> None:
    votes = {"w": torch.tensor([[1.0, 1.0, -1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, 1.0]])}
    even = Coefficients({"w": torch.tensor([1.0, 1.0, 1.0, 0.0])})
    assert even.masks(votes)["w"].tolist() == [True, True, False]
    first = Coefficients({"w": torch.tensor([1.0, 0.0, 0.0, 0.0])})
    assert first.masks(votes)["w"].tolist() == [True, True, False]
    strict = Coefficients({"w": torch.tensor([1.0, 1.0, 1.0, 2.0])})
    assert strict.masks(votes)["w"].tolist() == [False, False, False]


@pytest.mark.parametrize("order", [[1, 0, 2], [0, 1, 2]])
def test_a_combination_finds_the_mask_that_fits(learned: Learned, order: list[int]) -> None:
    network, data, stack = learned
    parents = stack.subset(order)
    steps = []
    found = learn_coefficients(
        network,
        parents,
        data,
        PIXELS,
        dataclasses.replace(RECIPE, steps=60),
        seed=0,
        task="t",
        on_step=steps.append,
    )
    assert steps == list(range(1, 61))
    assert all(one.shape == (4,) for one in found.values.values())
    kept = [parents.masks(row) for row in range(3)]
    votes = {name: torch.stack([one[name] for one in kept]) * 2 - 1 for name in kept[0]}
    masks = {name: mask.float() for name, mask in found.masks(votes).items()}
    best = float(fit_loss(network, stack.masks(1), data, PIXELS))
    noise = float(fit_loss(network, stack.masks(0), data, PIXELS))
    reached = float(fit_loss(network, masks, data, PIXELS))
    if order[0] == 1:
        assert reached <= best + 1e-6
    else:
        assert reached < noise - 0.1 * (noise - best)
