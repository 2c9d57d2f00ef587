"""Perceptrons under masks, by matrix products and by compiled loops over packed bits."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from supsup_cli.core.inference.perceptrons import MaskedPerceptron
from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskLayout, MaskStack
from supsup_cli.core.networks.specs import MultilayerPerceptron

TASKS, IMAGES = 7, 60
Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]


@pytest.fixture(autouse=True)
def _compiled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bit_kernels, "_WORTH_COMPILED", 0)


def _perceptron(sizes: tuple[int, ...], *, sparse: bool = False) -> MaskedPerceptron:
    stream = torch.Generator().manual_seed(sum(sizes))
    network = MultilayerPerceptron(sizes).requires_grad_(False)
    layout = MaskLayout({name: tuple(one.shape) for name, one in network.named_parameters()})
    packed = torch.randint(0, 256, (TASKS, layout.bytes), generator=stream, dtype=torch.uint8)
    gains = torch.rand(TASKS, len(sizes) - 1, generator=stream) + 0.5 if sparse else None
    return MaskedPerceptron(network, MaskStack(packed, layout, gains), torch.float32)


def _inputs(sizes: tuple[int, ...]) -> Tensor:
    return torch.randn(IMAGES, sizes[0], generator=torch.Generator().manual_seed(1))


def _pairs() -> Pairs:
    """Run three masks on one image, on none, and on more than fit into one pass."""
    members = np.concatenate(([3], np.arange(40) % IMAGES))
    return np.array([5, 2, 0]), np.array([0, 1, 1, 41]), members


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize(
    "sizes", [(36, 25, 17, 10), (16, 8, 9), (5, 3), (20, 9, 1, 3), (784, 30, 12)], ids=str
)
def test_compiled_loops_say_what_products_say(sizes: tuple[int, ...], sparse: bool) -> None:
    """Rows of these lengths begin at every bit of a byte."""
    layers, inputs = _perceptron(sizes, sparse=sparse), _inputs(sizes)
    tasks, starts, members = _pairs()
    found = layers.on_pairs(inputs, tasks, starts, members)
    for place, task in enumerate(tasks.tolist()):
        here = slice(int(starts[place]), int(starts[place + 1]))
        layers.take(task)
        expected = layers(inputs[members[here]])
        torch.testing.assert_close(found[here], expected, rtol=1e-4, atol=1e-4)


def test_no_bit_depends_on_what_else_is_run() -> None:
    sizes = (36, 25, 17, 10)
    layers, inputs = _perceptron(sizes), _inputs(sizes)
    together = layers.on_pairs(inputs, *_pairs())
    one = np.array([0, 1])
    for place in range(1, 41):
        alone = layers.on_pairs(inputs, np.array([0]), one, _pairs()[2][place : place + 1])
        assert torch.equal(alone[0], together[place])


def test_layers_that_are_no_chain_are_not_taken_for_one() -> None:
    network = MultilayerPerceptron((8, 4, 2)).requires_grad_(False)
    shapes = {name: tuple(one.shape) for name, one in network.named_parameters()}
    layout = MaskLayout(dict(reversed(shapes.items())))
    stack = MaskStack(torch.zeros(1, layout.bytes, dtype=torch.uint8), layout)
    layers = MaskedPerceptron(network, stack, torch.float32)
    assert layers.compiled is None
    with pytest.raises(ValueError, match="no compiled loops"):
        layers.on_pairs(torch.zeros(1, 8), np.array([0]), np.array([0, 1]), np.array([0]))
