"""The update rules are those of torch.optim, without its imports."""

import dataclasses
import subprocess
import sys

import pytest
import torch

from supsup_cli.core.learning import optimisers
from supsup_cli.core.learning.optimisers import UpdateRule, pieces
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, STREAM, Recipe, for_network
from supsup_cli.core.networks.specs import MultilayerPerceptron
from tests.support.networks import signed_constant
from tests.support.torch_rules import torch_rule

RECIPES = [
    *(DEFAULT, PAPER, STREAM),
    *(for_network(PAPER, "convolution"), for_network(DEFAULT, "units")),
]


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("piece", [7, 1 << 17])
def test_updates_are_those_of_torch_optim(
    recipe: Recipe, piece: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(optimisers, "PIECE", piece)
    recipe = dataclasses.replace(recipe, steps=40, density=None)
    stream = torch.Generator().manual_seed(0)
    ours = {name: torch.randn(3, size, generator=stream) for name, size in (("a", 5), ("b", 3))}
    theirs = {name: one.clone() for name, one in ours.items()}
    rule = UpdateRule(recipe, ours)
    expected, schedule = torch_rule(recipe, theirs.values())
    for step in range(recipe.steps):
        rule.begin(step)
        for name, score in ours.items():
            gradient = torch.randn(score.shape, generator=stream)
            theirs[name].grad = gradient.clone()
            moments = [pieces(one[name]) for one in rule.moments.values()]
            for place, part in enumerate(pieces(gradient)):
                rule.update(name, pieces(score)[place], [one[place] for one in moments], part)
        expected.step()
        schedule.step()
        for name, score in ours.items():
            torch.testing.assert_close(score, theirs[name], atol=1e-6, rtol=1e-5)


def test_learning_does_not_load_the_compiler_of_torch() -> None:
    """That import takes a second, a third of the time to learn a small task."""
    script = """
import sys, dataclasses, torch
from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.one_task import Learning
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.core.learning.recipes import RECIPES
network = MultilayerPerceptron((4, 3, 20)).requires_grad_(False).eval()
data = LabelledImages(torch.zeros(8, 1, 2, 2, dtype=torch.uint8), torch.arange(8) % 2)
pixels = Pixels(torch.zeros(1, 1, 1), torch.ones(1, 1, 1))
for recipe in RECIPES.values():
    short = dataclasses.replace(recipe, steps=2, batch_size=4)
    one = Learning(network, masked_parameters(network), data, pixels, short, seed=0, task="t")
    while not one.done:
        one.advance()
print("torch._dynamo" in sys.modules, "numba" in sys.modules)
"""
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["False", "False"]


def test_pieces_are_views_of_the_whole() -> None:
    network = signed_constant(MultilayerPerceptron((600, 500, 20)), seed=0)
    weight = network.get_parameter("layers.0.weight")
    parts = pieces(weight)
    assert [len(part) for part in parts] == [1 << 18, 600 * 500 - (1 << 18)]
    assert parts[1].data_ptr() == weight.data_ptr() + 4 * (1 << 18)
