"""Learning that was left and continued gives the masks of learning without a stop."""

import dataclasses
import random

import pytest
import torch
from torch import Tensor

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, SEPARABLE, Recipe, for_network
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from tests.support.networks import signed_constant

PIXELS = Pixels(torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.25))
NETWORK = signed_constant(MultilayerPerceptron((36, 33, 21, 20)), seed=0)
IMAGES = 70
# At this rate, scores of so small a network cross zero within a few dozen steps.
FAST_SPARSE = dataclasses.replace(for_network(PAPER, "convolution"), learning_rate=1e-2)
FAST_PAPER = dataclasses.replace(PAPER, learning_rate=1e-2)


def _data() -> LabelledImages:
    stream = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (IMAGES, 1, 6, 6), generator=stream, dtype=torch.uint8)
    return LabelledImages(images, torch.arange(IMAGES) % 10)


def _fresh(recipe: Recipe) -> Learning:
    names = masked_parameters(NETWORK)
    return Learning(NETWORK, names, _data(), PIXELS, recipe, seed=0, task="t")


def _to_the_end(learning: Learning) -> dict[str, Tensor]:
    while not learning.done:
        learning.advance()
    return learning.masks()


def _left_and_resumed(learning: Learning, recipe: Recipe) -> Learning:
    """Continue a learning from bytes, as a file would hold them, at other memory addresses."""
    resumed = _fresh(recipe)
    state = {
        name: torch.frombuffer(bytearray(one.numpy().tobytes()), dtype=one.dtype).reshape(one.shape)
        for name, one in learning.state().items()
    }
    resumed.restore(state, learning.steps_done)
    return resumed


@pytest.mark.parametrize("recipe", [DEFAULT, FAST_PAPER, SEPARABLE, FAST_SPARSE])
def test_stopped_at_twenty_moments_in_sequence_and_resumed_the_masks_are_the_same(
    recipe: Recipe,
) -> None:
    recipe = dataclasses.replace(recipe, steps=300, batch_size=32)
    whole = _to_the_end(_fresh(recipe))
    first = _fresh(recipe).masks()
    assert all(not torch.equal(whole[name], first[name]) for name in whole)
    learning = _fresh(recipe)
    for stop in sorted(random.Random(0).sample(range(301), 20)):
        while learning.steps_done < stop:
            learning.advance()
        learning = _left_and_resumed(learning, recipe)
    resumed = _to_the_end(learning)
    assert learning.steps_done == 300
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)


@pytest.mark.parametrize("recipe", [DEFAULT, FAST_PAPER, SEPARABLE])
@pytest.mark.parametrize("batch_size", [7, 35, 64, 200])
def test_every_state_is_that_of_a_run_that_was_never_stopped(
    recipe: Recipe, batch_size: int
) -> None:
    """Batches that divide an order of the images, that straddle two orders, that span several."""
    recipe = dataclasses.replace(recipe, steps=24, batch_size=batch_size)
    learning, stopped = _fresh(recipe), _fresh(recipe)
    for _ in range(24):
        stopped = _left_and_resumed(stopped, recipe)
        learning.advance()
        stopped.advance()
        expected, found = learning.state(), stopped.state()
        assert expected.keys() == found.keys()
        assert all(torch.equal(expected[name], found[name]) for name in expected)


def test_a_state_is_a_copy_that_later_steps_do_not_change() -> None:
    learning = _fresh(DEFAULT)
    learning.advance()
    state = learning.state()
    kept = {name: tensor.clone() for name, tensor in state.items()}
    for _ in range(12):
        learning.advance()
    assert all(torch.equal(state[name], kept[name]) for name in kept)
    assert {tensor.dtype for tensor in state.values()} == {
        torch.float32, torch.float64, torch.uint8
    }  # fmt: skip


def test_another_recipe_s_state_is_refused() -> None:
    learning = _fresh(DEFAULT)
    learning.advance()
    state = learning.state()
    with pytest.raises(ValueError, match="exp_avg/"):
        _fresh(PAPER).restore(state, 1)
    with pytest.raises(ValueError, match="expected at most 1000"):
        _fresh(DEFAULT).restore(state, 1001)
    with pytest.raises(ValueError, match="generator's state"):
        _fresh(SEPARABLE).restore(state, 1)


@pytest.mark.parametrize("recipe", [DEFAULT, SEPARABLE])
def test_a_misshapen_state_is_refused(recipe: Recipe) -> None:
    learning = _fresh(recipe)
    learning.advance()
    state = learning.state()
    for name, tensor in state.items():
        without = {key: value for key, value in state.items() if key != name}
        for changed in (
            without,
            without | {name: torch.zeros(3, dtype=tensor.dtype)},
            without | {name: torch.full(tensor.shape, 0.5, dtype=torch.float16)},
            state | {f"{name}-2": tensor},
        ):
            with pytest.raises(ValueError, match=r"state|used"):
                _fresh(recipe).restore(changed, 1)


@pytest.mark.parametrize("used", [-1.0, 0.5, 71.0, float("nan"), float("inf")])
def test_a_place_outside_the_order_is_refused(used: float) -> None:
    order = BatchOrder(IMAGES, 8, torch.Generator().manual_seed(0))
    state = order.state() | {"order/used": torch.tensor(used, dtype=torch.float64)}
    with pytest.raises(ValueError, match="expected 0 to 70"):
        order.restore(state)


def test_bytes_that_are_no_generator_s_state_are_refused() -> None:
    order = BatchOrder(IMAGES, 8, torch.Generator().manual_seed(0))
    state = order.state()
    state["order/generator"] = torch.full_like(state["order/generator"], 255)
    with pytest.raises(ValueError, match="no generator's state"):
        order.restore(state)
