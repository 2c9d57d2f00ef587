"""Statistics belong to a task: learned with its mask, resumed with it, never the network's."""

import dataclasses

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.bn_recalibration import recalibrated_statistics
from supsup_cli.core.learning.one_task import Learning, class_log_probabilities
from supsup_cli.core.learning.recipes import Recipe
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.normalisation import Normalisation, Statistics, no_statistics
from supsup_cli.core.networks.specs import freeze, masked_parameters
from tests.support.networks import finish, layout_of, pack, signed_constant

PIXELS = Pixels(torch.full((1, 1, 1), 0.5), torch.full((1, 1, 1), 0.25))
RECIPE = Recipe("test", "adam", 0.05, "one-cycle", steps=60, batch_size=16)


class Normalised(nn.Module):
    """A convolution, its normalisation, a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(1, 6, 3, bias=False)
        self.norm = Normalisation(6)
        self.head = nn.Linear(6 * 36, 8, bias=False)

    def forward(self, images: Tensor) -> Tensor:
        values = self.norm(self.first(images)).relu()
        logits: Tensor = self.head(values.flatten(1))
        return logits


def _data(brightness: int) -> LabelledImages:
    stream = torch.Generator().manual_seed(brightness)
    targets = torch.arange(64) % 2
    images = torch.randint(0, 100, (64, 1, 8, 8), generator=stream, dtype=torch.uint8) + brightness
    images[targets == 1, :, :4] += 50
    return LabelledImages(images.to(torch.uint8), targets)


def _network() -> nn.Module:
    return signed_constant(Normalised(), seed=1)


def _learning(network: nn.Module, brightness: int) -> Learning:
    names = masked_parameters(network)
    return Learning(
        network, names, _data(brightness), PIXELS, RECIPE, seed=0, task=f"t{brightness}"
    )


def _answers(network: nn.Module, values: Statistics, images: Tensor) -> Tensor:
    return class_log_probabilities(network, values, images, PIXELS, torch.arange(2))


def test_a_later_task_leaves_the_network_and_the_answers_of_an_earlier_one_alone() -> None:
    network = _network()
    first = _learning(network, 0)
    masks = {name: mask.float() for name, mask in finish(first).items()}
    values = masks | first.statistics()
    images = _data(0).store
    before = _answers(network, values, images)
    assert (before.argmax(-1) == _data(0).targets).float().mean() > 0.9
    buffers = {name: one.clone() for name, one in network.named_buffers()}
    second = _learning(network, 90)
    finish(second)
    assert torch.equal(_answers(network, values, images), before)
    assert all(torch.equal(one, buffers[name]) for name, one in network.named_buffers())
    assert not network.training
    moved = second.statistics()["norm.running_mean"] - first.statistics()["norm.running_mean"]
    assert moved.abs().max() > 0.1


def test_an_image_answers_alike_alone_and_among_others() -> None:
    network = _network()
    learning = _learning(network, 0)
    values = {name: mask.float() for name, mask in finish(learning).items()}
    values |= learning.statistics()
    images = _data(0).store
    together = _answers(network, values, images)
    alone = torch.cat([_answers(network, values, images[row : row + 1]) for row in range(20)])
    assert torch.allclose(together[:20], alone, atol=1e-5)


def test_learning_that_is_left_and_taken_up_gives_the_same_statistics() -> None:
    whole, stopped, resumed = (_learning(_network(), 0) for _ in range(3))
    masks = finish(whole)
    for _ in range(5):
        stopped.advance()
    stopped.statistics()  # measuring has its own random stream
    resumed.restore(stopped.state(), 5)
    assert all(torch.equal(one, masks[name]) for name, one in finish(resumed).items())
    for name, one in whole.statistics().items():
        assert torch.equal(one, resumed.statistics()[name])


def test_in_16_bits_learning_ends_near_where_it_would_and_goes_on_alike() -> None:
    network = _network()
    names = masked_parameters(network)

    def opened(precision: torch.dtype) -> Learning:
        return Learning(
            network, names, _data(0), PIXELS, RECIPE, seed=0, task="t", precision=precision
        )

    full, mixed, left, resumed = map(
        opened, (torch.float32, torch.bfloat16, torch.bfloat16, torch.bfloat16)
    )
    masks, in_16_bits = finish(full), finish(mixed)
    for _ in range(7):
        left.advance()
    resumed.restore(left.state(), 7)
    again = finish(resumed)
    assert all(torch.equal(one, again[name]) for name, one in in_16_bits.items())
    assert any(not torch.equal(one, masks[name]) for name, one in in_16_bits.items())
    alike = torch.cat([(one == masks[name]).flatten() for name, one in in_16_bits.items()])
    assert alike.float().mean() > 0.9
    values = {name: mask.float() for name, mask in in_16_bits.items()} | mixed.statistics()
    assert all(one.dtype == torch.float32 for one in mixed.state().values() if one.dim() > 1)
    assert (_answers(network, values, _data(0).store).argmax(-1) == _data(0).targets).all()


def test_without_statistics_the_images_at_hand_are_normalised_by_themselves() -> None:
    network = _network()
    images = torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 3 + 2
    masks = {name: torch.ones_like(one) for name, one in network.named_parameters()}
    own = no_statistics(network, torch.device("cpu"))
    alone = masked_forward(network, masks | own, images[:1])
    seen = recalibrated_statistics(network, masks, [images[:1]])
    seen["norm.running_var"] *= 35 / 36  # for one map of 6 x 6: from n − 1 to n
    assert torch.allclose(alone, masked_forward(network, masks | seen, images[:1]), atol=1e-4)
    together = masked_forward(network, masks | own, images)
    assert not torch.allclose(together[:1], alone, atol=1e-2)
    single = Normalisation(2)
    state = {"running_mean": torch.empty(0), "running_var": torch.empty(0)}
    value = torch.tensor([[3.0, 4.0]])
    assert torch.equal(functional_call(single, state, (value,)), value)


def test_negatives_have_a_part_in_the_statistics_and_learning_with_them_goes_on_alike() -> None:
    network = _network()
    recipe = dataclasses.replace(RECIPE, negatives=0.3, negatives_weight=0.1, patience=9, steps=30)

    def opened(recipe: Recipe = recipe) -> Learning:
        names = masked_parameters(network)
        return Learning(
            network, names, _data(0), PIXELS, recipe, seed=0, task="t", held_out=_data(0)
        )

    whole, left, resumed = opened(), opened(), opened()
    masks = finish(whole)
    for _ in range(17):
        left.advance()
    resumed.restore(left.state(), 17)
    assert all(torch.equal(one, masks[name]) for name, one in finish(resumed).items())
    with_them, again = whole.statistics(), resumed.statistics()
    assert all(torch.equal(one, again[name]) for name, one in with_them.items())
    values = {name: mask.float() for name, mask in masks.items()}
    without = recalibrated_statistics(network, values, PIXELS(_data(0).store).split(16))
    assert not torch.allclose(with_them["norm.running_mean"], without["norm.running_mean"])


def test_exact_statistics_are_those_of_all_images_together() -> None:
    network = _network()
    masks = {name: torch.ones_like(one) for name, one in network.named_parameters()}
    batches = torch.randn(4, 64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) + 1
    found = recalibrated_statistics(network, masks, batches)
    whole = network.first(batches.flatten(0, 1))
    assert torch.allclose(found["norm.running_mean"], whole.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(found["norm.running_var"], whole.var((0, 2, 3)), rtol=1e-3)
    assert not network.training
    assert network.norm.running_var.tolist() == [1.0] * 6
    with pytest.raises(ValueError, match="no batch"):
        recalibrated_statistics(network, masks, [])
    assert recalibrated_statistics(nn.Linear(2, 2), {"weight": torch.ones(2, 2)}, []) == {}


def test_a_stack_gives_each_task_its_own_statistics() -> None:
    network = _network()
    layout = layout_of(network)
    rows, own = [], []
    for brightness in (0, 90):
        learning = _learning(network, brightness)
        rows.append(pack(finish(learning), layout))
        own.append(learning.statistics())
    stack = MaskStack(torch.stack(rows), layout, None, tuple(own)).subset([1, 0])
    inputs = PIXELS(_data(90).store)
    expected = masked_forward(network, {**layout.split(_bits(rows[1])), **own[1]}, inputs)
    assert torch.equal(masked_forward(network, stack.masks(0), inputs), expected)
    assert not torch.allclose(masked_forward(network, stack.masks(1), inputs), expected)


def test_a_frozen_network_has_blank_statistics() -> None:
    with torch.device("meta"):
        network = Normalised()
    weights = {name: torch.ones(one.shape).numpy() for name, one in network.named_parameters()}
    freeze(network, weights, torch.device("cpu"))
    assert network.norm.running_mean.tolist() == [0.0] * 6
    assert network.norm.running_var.tolist() == [1.0] * 6


def _bits(packed: Tensor) -> Tensor:
    return ((packed[:, None] >> torch.arange(8)) & 1).flatten().float()
