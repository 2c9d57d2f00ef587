"""Many tasks learned in one program: each gets the mask that it gets by itself."""

import dataclasses

import pytest
import torch
from torch import Tensor

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.many_tasks import ManyLearnings, learns_together
from supsup_cli.core.learning.one_task import Learning, class_log_probabilities
from supsup_cli.core.learning.recipes import DEFAULT, FAST, PAPER, SEPARABLE, Recipe
from supsup_cli.core.masks.masks import Masks
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.data import embedded, variants
from tests.support.networks import finish, signed_constant

PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
TASKS = ("one", "two", "three")
COUNTS = (3000, 2000, 1000)


def _network() -> MultilayerPerceptron:
    network = MultilayerPerceptron((784, 64, 32, 100))
    signed_constant(network, seed=0)
    return network


def _data(task: int, *, train: bool = True) -> LabelledImages:
    images, labels = (part[: COUNTS[task]] for part in embedded.load_mnist(train))
    images = variants.permuted(images, task)
    return LabelledImages(torch.from_numpy(images), torch.tensor(labels))


def _together(recipe: Recipe) -> list[Masks]:
    parts = [_data(task) for task in range(len(TASKS))]
    many = ManyLearnings(_network(), parts, PIXELS, recipe, seed=5, tasks=TASKS)
    while not many.done:
        many.advance()
    return [many.masks(task) for task in range(len(TASKS))]


def _alone(recipe: Recipe, task: int) -> Masks:
    network = _network()
    names = masked_parameters(network)
    return finish(Learning(network, names, _data(task), PIXELS, recipe, seed=5, task=TASKS[task]))


def _right(masks: Masks, task: int) -> float:
    test = _data(task, train=False)
    values: dict[str, Tensor] = {name: mask.float() for name, mask in masks.items()}
    answers = class_log_probabilities(_network(), values, test.store, PIXELS, torch.arange(10))
    return float((answers.argmax(-1) == test.targets).float().mean())


@pytest.mark.parametrize("recipe", [FAST, DEFAULT, PAPER], ids=lambda recipe: recipe.name)
def test_masks_are_those_that_each_task_learns_by_itself(recipe: Recipe) -> None:
    # few steps: the rounding of two sums grows with each, faster on some processors
    recipe = dataclasses.replace(recipe, steps=30, batch_size=32)
    for task, masks in enumerate(_together(recipe)):
        alone = _alone(recipe, task)
        assert masks.keys() == alone.keys()
        for name, mask in masks.items():
            assert mask.shape == alone[name].shape
            assert float((mask == alone[name]).float().mean()) > 0.99
        assert _right(masks, task) == pytest.approx(_right(alone, task), abs=0.02)


def test_first_step_is_the_very_one_of_each_task() -> None:
    """Rounding has not grown yet: no score has crossed zero because of it."""
    recipe = dataclasses.replace(FAST, steps=1, batch_size=32)
    for task, masks in enumerate(_together(recipe)):
        alone = _alone(recipe, task)
        for name, mask in masks.items():
            assert int((mask != alone[name]).sum()) <= 2


def test_a_task_that_diverges_leaves_the_others_whole() -> None:
    recipe = dataclasses.replace(FAST, steps=2, batch_size=8)
    whole = _data(0)
    data = LabelledImages(whole.store[:50], whole.targets[:50])
    many = ManyLearnings(_network(), [data] * 2, PIXELS, recipe, seed=0, tasks=TASKS[:2])
    many.advance()
    for score in many._scores.values():
        score.chunk(2)[0].fill_(torch.nan)
    many.advance()
    with pytest.raises(ValueError, match="diverged"):
        many.masks(0)
    assert all(mask.any() for mask in many.masks(1).values())


def test_only_plain_steps_are_taken_together() -> None:
    assert all(learns_together(one) for one in (FAST, DEFAULT, PAPER))
    others = (
        SEPARABLE,
        dataclasses.replace(FAST, transfer=True),
        dataclasses.replace(FAST, combine=0.9),
        dataclasses.replace(FAST, augment="flip"),
        dataclasses.replace(FAST, patience=4),
    )
    assert not any(learns_together(one) for one in others)
    with pytest.raises(ValueError, match="one task at a time"):
        ManyLearnings(_network(), [_data(2)], PIXELS, SEPARABLE, seed=0, tasks=TASKS[:1])
    with pytest.raises(ValueError, match="no training images"):
        ManyLearnings(_network(), [], PIXELS, FAST, seed=0, tasks=())
