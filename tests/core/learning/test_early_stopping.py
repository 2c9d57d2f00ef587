"""Learning that stops by itself: when, with which masks, and the same after any number of stops."""

import dataclasses

import pytest
import torch

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.early_stopping import EarlyStopping
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import DEFAULT, Recipe
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from tests.support.networks import finish, signed_constant

PIXELS = Pixels(torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.25))
NETWORK = signed_constant(MultilayerPerceptron((36, 33, 21, 20)), seed=0)
RECIPE = dataclasses.replace(DEFAULT, steps=200, batch_size=32, patience=2)


def _noise(images: int, seed: int) -> LabelledImages:
    """Images with random labels: learning some makes others worse."""
    stream = torch.Generator().manual_seed(seed)
    pixels = torch.randint(0, 256, (images, 1, 6, 6), generator=stream, dtype=torch.uint8)
    return LabelledImages(pixels, torch.arange(images) % 10)


def _learning(held_out: LabelledImages | None = None, recipe: Recipe = RECIPE) -> Learning:
    names = masked_parameters(NETWORK)
    data = _noise(60, 0)
    return Learning(NETWORK, names, data, PIXELS, recipe, seed=0, task="t", held_out=held_out)


def test_checks_follow_the_second_half_of_the_steps_and_the_last() -> None:
    for steps in (1, 2, 7, 20, 33, 200):
        stopping = EarlyStopping(steps, 1)
        due = [step for step in range(1, steps + 1) if stopping.due(step)]
        assert due[-1] == steps
        assert due[0] * 2 >= steps
        assert len(due) <= 17
    assert [step for step in range(1, 201) if EarlyStopping(200, 1).due(step)] == [
        *range(100, 201, 10)
    ]


def test_learning_stops_when_held_out_images_fit_worse_and_keeps_the_best_masks() -> None:
    learning = _learning(_noise(40, 1))
    masks = finish(learning)
    assert learning.steps_done < RECIPE.steps
    assert learning.kept_step == learning.steps_done - 20  # two checks before
    whole = _learning()
    while whole.steps_done < learning.kept_step:
        whole.advance()
    assert all(torch.equal(one, masks[name]) for name, one in whole.masks().items())
    assert whole.kept_step is None
    assert not all(torch.equal(one, masks[name]) for name, one in finish(whole).items())


def test_learning_that_goes_on_getting_better_is_not_stopped() -> None:
    # the very images that it learns from; a step back or two may happen by chance
    learning = _learning(_noise(60, 0), dataclasses.replace(RECIPE, patience=8))
    finish(learning)
    assert learning.steps_done == RECIPE.steps
    assert learning.kept_step is not None
    assert learning.kept_step > RECIPE.steps / 2


@pytest.mark.parametrize("stop", [5, 100, 101, 115])
def test_left_and_taken_up_it_stops_where_it_would_have(stop: int) -> None:
    whole, left, resumed = (_learning(_noise(40, 1)) for _ in range(3))
    finish(whole)
    for _ in range(stop):
        left.advance()
    resumed.restore(left.state(), stop)
    masks = finish(resumed)
    assert (resumed.steps_done, resumed.kept_step) == (whole.steps_done, whole.kept_step)
    assert all(torch.equal(one, masks[name]) for name, one in whole.masks().items())


def test_a_foreign_state_is_refused() -> None:
    learning = _learning(_noise(40, 1))
    for _ in range(101):
        learning.advance()
    good = learning.state()
    some = next(name for name in good if name.startswith("kept/"))
    without = {name: one for name, one in good.items() if name != some}
    for broken in (
        without,
        good | {some: torch.ones(3, 3, dtype=torch.uint8)},
        good | {"kept": torch.ones(2)},
    ):
        with pytest.raises(ValueError, match=r"found, expected|other expected"):
            _learning(_noise(40, 1)).restore(broken, 101)
