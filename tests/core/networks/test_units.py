import dataclasses

import numpy as np
import torch
from torch import Tensor, nn

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.learning.recipes import RECIPES, for_network
from supsup_cli.core.masks.masks import initial_scores
from supsup_cli.core.masks.superposition import masked_forward
from supsup_cli.core.networks.normalisation import blank_statistics
from supsup_cli.core.networks.specs import (
    NetworkSpec,
    build_network,
    freeze,
    kaiming_normal,
    kind_of,
    masked_parameters,
    masking_of,
)
from tests.support.networks import finish

PIXELS = Pixels(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))


def unit_network(arch: str = "units-32-24", outputs: int = 10) -> nn.Module:
    network = build_network(NetworkSpec(arch, (1, 8, 8), outputs))
    weights = {
        name: np.asarray(kaiming_normal(tuple(one.shape), seed=0, name=name))
        for name, one in network.named_parameters()
    }
    freeze(network, weights, torch.device("cpu"))
    return network


def inputs(count: int = 20) -> Tensor:
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(1))


def test_masks_choose_units_and_nothing_else() -> None:
    network = build_network(NetworkSpec("units-2048-2048", (1, 28, 28), 10))
    names = masked_parameters(network)
    assert [network.get_parameter(name).shape for name in names] == [(2048,), (2048,)]
    assert sum(one.numel() for one in network.parameters()) == 5_820_416 + 2 * 2048
    assert (masking_of(network), kind_of(network)) == ("units", "units")
    assert masking_of(build_network(NetworkSpec("mlp-8", (1, 8, 8), 10))) == "edges"


def test_units_are_one_in_every_base() -> None:
    network = unit_network()
    for name in masked_parameters(network):
        assert bool((network.get_parameter(name) == 1).all())


def test_a_unit_that_is_off_is_as_one_without_weights() -> None:
    network, images = unit_network(), inputs()
    first, second = masked_parameters(network)
    on = {first: torch.ones(32), second: torch.ones(24)}
    off = {first: torch.ones(32), second: torch.ones(24)}
    off[second][5] = 0
    before = masked_forward(network, off, images)
    assert not torch.equal(before, masked_forward(network, on, images))
    with torch.no_grad():
        network.get_parameter("layers.2.weight")[:, 5] = 0
    torch.testing.assert_close(masked_forward(network, on, images), before)


def test_an_answer_is_the_image_s_own() -> None:
    network, images = unit_network(), inputs()
    together = network(images)
    alone = torch.cat([network(one[None]) for one in images])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)
    assert blank_statistics(network, torch.device("cpu")) == {}


def test_scores_of_units_begin_with_all_units_kept() -> None:
    scores = initial_scores({"units": (7,), "edges": (7, 3)}, seed=0, task="a")
    assert scores["units"].tolist() == [0.0] * 7
    assert bool((scores["edges"] != 0).all())


def test_a_learning_of_units_goes_on_where_it_was_left() -> None:
    network = unit_network()
    recipe = for_network(RECIPES["default"], kind_of(network))
    assert (recipe.name, recipe.optimiser) == ("default-units", "sgd")
    recipe = dataclasses.replace(recipe, steps=12, batch_size=16)
    stream = torch.Generator().manual_seed(2)
    images = torch.randint(0, 256, (50, 1, 8, 8), generator=stream, dtype=torch.uint8)
    data = LabelledImages(images, torch.arange(50) % 3)

    def opened() -> Learning:
        names = masked_parameters(network)
        return Learning(network, names, data, PIXELS, recipe, seed=0, task="a")

    whole = finish(opened())
    for left_after in (0, 1, 7):
        learning = opened()
        for _ in range(left_after):
            learning.advance()
        again = opened()
        again.restore(learning.state(), learning.steps_done)
        masks = finish(again)
        assert all(torch.equal(masks[name], one) for name, one in whole.items())
    assert any(not bool(one.all()) for one in whole.values())
