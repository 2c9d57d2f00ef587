"""Statistics belong to a task: learned with its mask, resumed with it, never the network's."""

import pytest
import torch
from torch import Tensor, nn

from supsup_cli.core.learning import LabelledImages, Learning, Pixels, class_log_probabilities
from supsup_cli.core.masks import MaskStack
from supsup_cli.core.networks import freeze, masked_parameters
from supsup_cli.core.recipes import Recipe
from supsup_cli.core.statistics import Normalisation, Statistics
from supsup_cli.core.superposition import masked_forward
from tests.networks import finish, layout_of, pack, signed_constant

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
    images = _data(0).images
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
    images = _data(0).images
    together = _answers(network, values, images)
    alone = torch.cat([_answers(network, values, images[row : row + 1]) for row in range(20)])
    assert torch.allclose(together[:20], alone, atol=1e-5)


def test_learning_goes_on_with_the_statistics_it_had() -> None:
    whole, stopped, resumed = (_learning(_network(), 0) for _ in range(3))
    finish(whole)
    for _ in range(5):
        stopped.advance()
    resumed.restore(stopped.state(), 5)
    finish(resumed)
    for name, one in whole.statistics().items():
        assert torch.equal(one, resumed.statistics()[name])
    broken = stopped.state() | {"statistics/norm.running_var": torch.ones(7)}
    with pytest.raises(ValueError, match=r"statistics/norm\.running_var"):
        _learning(_network(), 0).restore(broken, 5)


def test_a_stack_gives_each_task_its_own_statistics() -> None:
    network = _network()
    layout = layout_of(network)
    rows, own = [], []
    for brightness in (0, 90):
        learning = _learning(network, brightness)
        rows.append(pack(finish(learning), layout))
        own.append(learning.statistics())
    stack = MaskStack(torch.stack(rows), layout, None, tuple(own)).subset([1, 0])
    inputs = PIXELS(_data(90).images)
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
