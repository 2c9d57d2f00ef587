"""Traits: values of an image under a mask, and the tasks they name on networks that normalise."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.inference.methods import infer_tasks
from supsup_cli.core.inference.single_mask import (
    forward_alone,
    forward_with_traits,
    single_mask_misfit,
)
from supsup_cli.core.learning.bn_recalibration import recalibrated_statistics
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import DEFAULT, for_network
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import masked_forward, misfit
from supsup_cli.core.networks.specs import (
    MultilayerPerceptron,
    NetworkSpec,
    build_network,
    freeze,
    kaiming_normal,
    masked_parameters,
)
from supsup_cli.core.networks.traits import (
    TypicalTraits,
    image_traits,
    layer_traits,
    parted_traits,
    unknown_unusualness,
)
from tests.support.networks import finish, layout_of, pack, signed_constant

OUTPUTS = 20
OWN = torch.arange(OUTPUTS) < 4


def _convolution(side: int = 16) -> nn.Module:
    network = build_network(NetworkSpec("conv-4", (1, side, side), OUTPUTS))
    weights = {
        name: np.asarray(kaiming_normal(tuple(one.shape), seed=0, name=name))
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    return network


def _values(network: nn.Module, images: Tensor) -> dict[str, Tensor]:
    """A random mask and the statistics of some images under it."""
    stream = torch.Generator().manual_seed(3)
    masks = {
        name: (torch.rand(network.get_parameter(name).shape, generator=stream) < 0.5).float()
        for name in masked_parameters(network)
    }
    return masks | recalibrated_statistics(network, masks, [images])


def _images(count: int, seed: int) -> Tensor:
    return torch.randn(count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def _drawn(count: int, size: int) -> Tensor:
    stream = torch.Generator().manual_seed(1)
    mixing = torch.randn(size, size, generator=stream)
    return torch.randn(count, size, generator=stream) @ mixing + 7


def _typical(traits: Tensor) -> TypicalTraits:
    """What earlier versions measured: the mean, and a factor of the inverse covariance."""
    spread = torch.cov(traits.T.double()) + 1e-2 * torch.eye(traits.shape[1])
    factor = torch.linalg.cholesky(torch.linalg.inv(spread))
    return TypicalTraits(traits.mean(0), factor.float())


def test_unusualness_is_the_logarithm_of_mahalanobis_s_distance() -> None:
    traits = _drawn(4000, 6)
    typical = _typical(traits)
    apart = (traits - traits.mean(0)).numpy().astype(float)
    precision = np.linalg.inv(np.cov(apart.T) + 1e-2 * np.eye(6))
    distances = np.einsum("ni,ij,nj->n", apart, precision, apart)
    expected = torch.from_numpy(3 * np.log1p(distances / 6)).float()
    torch.testing.assert_close(typical.unusualness(traits), expected, rtol=1e-3, atol=1e-3)
    own, far = typical.unusualness(traits).median(), typical.unusualness(traits + 100).min()
    assert float(own) == pytest.approx(unknown_unusualness(), abs=0.3)
    assert far > own + 3


def test_typical_traits_are_read_from_a_mean_and_a_triangle() -> None:
    typical = _typical(_drawn(50, 11))
    rows = [typical.factor[row, : row + 1] for row in range(11)]
    stored = torch.cat([typical.mean, *rows])
    again = parted_traits(stored, layers=2)
    assert torch.equal(again.mean, typical.mean)
    assert torch.equal(again.factor, typical.factor)
    with pytest.raises(ValueError, match=r"traits of shape \(77,\) found, expected \(252,\)"):
        parted_traits(stored, layers=4)


def test_traits_of_a_layer_are_those_of_the_plain_formula() -> None:
    values = _images(3, 0).view(3, 4, 8, 8) * 2 + 1
    mean, variance = torch.tensor([0.0, 1, 2, 3]), torch.tensor([1.0, 2, 3, 4])
    found = layer_traits(values, mean, variance)
    for image, traits in zip(values.numpy(), found.T.tolist(), strict=True):
        squares = (image.mean((1, 2)) - mean.numpy()) ** 2 / variance.numpy()
        ratios = image.var((1, 2)) / variance.numpy()
        logs = np.log(ratios + 1e-3)
        assert traits == pytest.approx(
            [
                math.log(squares.mean() + 1e-4),
                math.log((logs**2).mean() + 1e-4),
                logs.mean(),
                math.log(squares.max() + 1e-4),
                math.log(ratios.max() + 1e-4),
            ],
            abs=1e-4,
        )


def test_layers_are_averaged_by_depth_in_four_parts_at_most() -> None:
    layers = [torch.full((5, 2), float(place)) for place in range(8)]
    traits = image_traits(layers, torch.tensor([9.0, 8.0]))
    assert traits.shape == (2, 21)
    assert traits[0].tolist() == [0.5] * 5 + [2.5] * 5 + [4.5] * 5 + [6.5] * 5 + [9]
    assert image_traits(layers[:2], torch.zeros(2)).shape == (2, 11)


def test_looking_changes_neither_logits_nor_network_and_each_image_counts_alone() -> None:
    network, images = _convolution(), _images(12, 0)
    values = _values(network, images)
    logits, traits = forward_with_traits(network, values, images)
    assert torch.equal(logits, masked_forward(network, values, images))
    assert all(one.numel() == 0 for name, one in network.named_buffers() if "seen" in name)
    alone = torch.cat([forward_with_traits(network, values, one)[1] for one in images.split(1)])
    torch.testing.assert_close(alone, traits, rtol=0, atol=1e-5)


def test_a_network_that_does_not_normalise_is_judged_by_its_outputs_alone() -> None:
    network = signed_constant(MultilayerPerceptron((256, 8, OUTPUTS)), seed=0)
    masks = {name: torch.ones(weight.shape) for name, weight in network.named_parameters()}
    images = _images(5, 0)
    expected = misfit("R", masked_forward(network, masks, images), OWN)
    assert torch.equal(single_mask_misfit(network, masks, images, "R", OWN, None), expected)


def test_without_traits_a_task_counts_as_if_the_image_were_usual_for_it() -> None:
    network, images = _convolution(), _images(6, 0)
    values = _values(network, images)
    logits, unusualness = forward_alone(network, values, images, None)
    assert unusualness.tolist() == pytest.approx([3 * math.log(2)] * 6)
    found = single_mask_misfit(network, values, images, "H", OWN, None)
    torch.testing.assert_close(found, misfit("H", logits, OWN) + unusualness)


def _task(number: int, count: int, seed: int) -> LabelledImages:
    """Four classes, a blob in each quarter; tasks differ only in the blob's width."""
    stream = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % 4
    middles = torch.tensor([[4.0, 4], [4, 11], [11, 4], [11, 11]])[targets]
    middles = middles + torch.randn(count, 2, generator=stream) * 1.5
    width = 3 * 2**number
    down, across = torch.exp(-((torch.arange(16) - middles[:, :, None]) ** 2) / width).unbind(1)
    noise = 20 * torch.rand(count, 16, 16, generator=stream)
    images = 200 * down[:, :, None] * across[:, None] + noise
    return LabelledImages(images[:, None].to(torch.uint8), targets)


def test_single_images_name_their_task_on_a_convolution_net() -> None:
    network = _convolution()
    layout = layout_of(network)
    pixels = Pixels(torch.full((1, 1, 1), 0.2), torch.full((1, 1, 1), 0.2))
    recipe = for_network(DEFAULT, "convolution")
    recipe = dataclasses.replace(recipe, steps=40, batch_size=32, patience=0)
    rows, own, usual, asked = [], [], [], []
    for number in range(4):
        data = _task(number, 128, seed=number)
        learning = Learning(
            network, masked_parameters(network), data, pixels, recipe, seed=0, task=f"t{number}"
        )
        masks, statistics = finish(learning), learning.statistics()
        rows.append(pack(masks, layout))
        own.append(statistics)
        values = {name: mask.float() for name, mask in masks.items()} | statistics
        usual.append(_typical(forward_with_traits(network, values, pixels(data.store))[1]))
        asked.append(pixels(_task(number, 40, seed=100 + number).store))
    stack = MaskStack(torch.stack(rows), layout, None, tuple(own), tuple(usual))
    groups, truth = torch.cat(asked)[:, None], torch.arange(4).repeat_interleave(40)

    def named(stack: MaskStack) -> Tensor:
        own = OWN.expand(len(stack), -1)
        return infer_tasks(
            network, stack, groups, method="exhaustive", objective="H", real=OWN, own=own
        )

    def right(scores: Tensor) -> float:
        return float((scores.argmax(1) == truth).float().mean())

    scores = named(stack)
    assert right(scores) > 0.9
    assert right(named(dataclasses.replace(stack, traits=None))) < 0.6  # by the outputs alone
    torch.testing.assert_close(named(stack.subset([2, 0])), scores[:, [2, 0]])
    assert isinstance(stack.typical(3), TypicalTraits)
