"""Convolution networks: their parts, and how many of their weights sparse masks keep."""

import numpy as np
import pytest
import torch
from torch import nn

from supsup_cli.core.images import Pixels
from supsup_cli.core.learning.bn_recalibration import recalibrated_statistics
from supsup_cli.core.learning.one_task import class_log_probabilities
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, RECIPES, for_network, half_cosine
from supsup_cli.core.masks.density import parse_density
from supsup_cli.core.masks.superposition import images_at_once
from supsup_cli.core.networks.specs import (
    NetworkSpec,
    build_network,
    freeze,
    kaiming_normal,
    kind_of,
    masked_parameters,
)

ARCHS = ("conv-4", "gem-resnet18", "resnet18", "resnet50")
PIXELS = Pixels(torch.full((3, 1, 1), 0.5), torch.full((3, 1, 1), 0.25))


def frozen(arch: str, shape: tuple[int, int, int], outputs: int) -> nn.Module:
    network = build_network(NetworkSpec(arch, shape, outputs))
    weights = {
        name: np.asarray(kaiming_normal(tuple(one.shape), seed=0, name=name))
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    return network


@pytest.mark.parametrize("arch", ARCHS)
def test_every_parameter_is_masked_and_every_buffer_a_statistic(arch: str) -> None:
    network = build_network(NetworkSpec(arch, (3, 64, 48), 7))
    parameters = dict(network.named_parameters())
    assert masked_parameters(network) == tuple(parameters)
    assert all(one.is_meta and one.dim() in (2, 4) for one in parameters.values())
    assert {name.rsplit(".", 1)[1] for name, _ in network.named_buffers()} == {
        "running_mean",
        "running_var",
        "seen",
    }
    assert {name.rsplit(".", 1)[1] for name in network.state_dict()} == {
        "weight",
        "running_mean",
        "running_var",
    }
    assert kind_of(network) == "convolution"


@pytest.mark.parametrize(("arch", "side"), [("conv-4", 16), ("gem-resnet18", 8), ("resnet18", 32)])
def test_networks_take_images_of_any_size_and_channels_from_their_least_side_on(
    arch: str, side: int
) -> None:
    for shape in ((1, side, side), (3, side + 5, side * 2 + 1)):
        logits = frozen(arch, shape, 6)(torch.zeros(2, *shape))
        assert logits.shape == (2, 6)
    with pytest.raises(ValueError, match=f"{arch}: images of {side} x {side - 1} pixels found"):
        build_network(NetworkSpec(arch, (3, side, side - 1), 6))


def test_the_narrow_residual_network_has_the_weights_of_the_paper() -> None:
    network = build_network(NetworkSpec("gem-resnet18", (3, 32, 32), 5))
    shapes = [tuple(one.shape) for one in network.parameters()]
    assert sum(one.numel() for one in network.parameters()) == 1_090_940
    kept = [sum(parse_density(f"er:{factor}").kept(shapes)) for factor in (1, 2, 4, 8, 16)]
    assert kept == [2868, 5736, 11212, 21944, 42670]


def test_sparse_masks_of_resnet_50_keep_as_many_weights_as_the_paper_s() -> None:
    network = build_network(NetworkSpec("resnet50", (3, 224, 224), 10))
    shapes = [tuple(one.shape) for one in network.parameters()]
    assert sum(one.numel() for one in network.parameters()) == 23_475_392
    kept = [sum(parse_density(f"er:{factor}").kept(shapes)) for factor in (4, 8, 16, 32)]
    assert kept == [204_596, 402_968, 795_696, 1_566_816]


@pytest.mark.parametrize("arch", ["conv-4", "gem-resnet18"])
def test_an_image_answers_alike_alone_and_in_any_batch(arch: str) -> None:
    network = frozen(arch, (3, 32, 32), 20)
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (48, 3, 32, 32), generator=stream, dtype=torch.uint8)
    masks = {
        name: (torch.rand(one.shape, generator=stream) < 0.5).float()
        for name, one in network.named_parameters()
    }
    values = masks | recalibrated_statistics(network, masks, [PIXELS(images)])
    outputs = torch.arange(10)
    together = class_log_probabilities(network, values, images, PIXELS, outputs)
    for part in (images[:1], images[:2], images[:17], images[:33].flip(0)):
        answers = class_log_probabilities(network, values, part, PIXELS, outputs)
        rows = answers.flip(0) if len(part) == 33 else answers
        assert torch.allclose(rows, together[: len(part)], atol=1e-5)
    assert together.std(0).min() > 0.01  # the answers do differ between images


def test_a_recipe_s_name_stands_for_what_suits_the_network() -> None:
    for recipe in RECIPES.values():
        assert for_network(recipe, "perceptron") is recipe
    default, paper = (for_network(one, "convolution") for one in (DEFAULT, PAPER))
    assert (default.name, paper.name) == ("default-convolution", "paper-convolution")
    assert (paper.optimiser, paper.learning_rate, paper.schedule) == ("adam", 1e-3, "cosine")
    assert paper.settings()["density"] == "er:16"
    assert default.settings()["patience"] == 4
    assert "patience" not in DEFAULT.settings()  # as before there was any task


def test_half_a_cosine_falls_from_one_to_nothing() -> None:
    rates = [half_cosine(8, done) for done in range(9)]
    assert rates == sorted(rates, reverse=True)
    assert (rates[0], rates[4]) == (1.0, pytest.approx(0.5))
    assert rates[8] == pytest.approx(0.0, abs=1e-12)


def test_large_images_go_through_a_network_few_at_a_time() -> None:
    def images(count: int, *shape: int) -> torch.Tensor:
        return torch.empty(count, *shape, device="meta", dtype=torch.uint8)

    assert images_at_once(images(5, 1, 28, 28), 2048) == 2048
    assert images_at_once(images(5, 3, 224, 224), 2048) == 111
    assert images_at_once(images(5, 3, 4096, 4096), 2048) == 1
    assert images_at_once(images(0, 3, 224, 224), 2048) == 2048
