import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from supsup_cli.core.inference.methods import Method, infer_tasks
from supsup_cli.core.inference.novelty import CALIBRATION_LEVELS, calibration_quantiles
from supsup_cli.core.learning.batches.batch_order import BatchOrder
from supsup_cli.core.learning.one_task import (
    LabelledImages,
    Learning,
    Pixels,
    class_log_probabilities,
)
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, SEPARABLE, Recipe, learning_rates
from supsup_cli.core.masks.masks import MaskStack
from supsup_cli.core.masks.superposition import Objective, log_odds, masked_forward
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.data import embedded, variants
from tests.support.networks import TinyConvolution, layout_of, pack, signed_constant

PIXELS = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
OUTPUTS = 200
KINDS = ("plain", "1", "2")


def digits(kind: str, *, train: bool, count: int) -> tuple[Tensor, Tensor]:
    """Load digits as they are, or with a numbered permutation."""
    images, labels = embedded.load_mnist(train)
    images = images[:count]
    if kind != "plain":
        images = variants.permuted(images, int(kind))
    return torch.from_numpy(images.copy()), torch.from_numpy(labels[:count].copy())


def open_learning(
    network: nn.Module, kind: str, recipe: Recipe, seed: int = 0, count: int = 20_000
) -> Learning:
    images, labels = digits(kind, train=True, count=count)
    data = LabelledImages(images, labels)
    names = masked_parameters(network)
    return Learning(network, names, data, PIXELS, recipe, seed=seed, task=kind)


def learn(network: nn.Module, kind: str, recipe: Recipe, seed: int = 0) -> dict[str, Tensor]:
    learning = open_learning(network, kind, recipe, seed)
    while not learning.done:
        learning.advance()
    return learning.masks()


@pytest.fixture(scope="module")
def convolution() -> tuple[nn.Module, MaskStack]:
    """Three tasks learned by a convolution net, which is a module the package does not know."""
    network = signed_constant(TinyConvolution(OUTPUTS), seed=0)
    layout = layout_of(network)
    recipe = dataclasses.replace(PAPER, steps=300, learning_rate=1e-3)
    learned = [learn(network, kind, recipe) for kind in KINDS]
    return network, MaskStack(torch.stack([pack(masks, layout) for masks in learned]), layout)


def test_a_convolution_net_learns_three_tasks(convolution: tuple[nn.Module, MaskStack]) -> None:
    network, stack = convolution
    for number, kind in enumerate(KINDS):
        images, labels = digits(kind, train=False, count=1000)
        log_p = class_log_probabilities(
            network, stack.masks(number), images, PIXELS, torch.arange(10)
        )
        # chance is 0.1; permuted pixels are hard for convolutions
        assert float((log_p.argmax(1) == labels).float().mean()) > 0.8


@pytest.mark.parametrize(
    ("method", "objective", "least"),
    [
        ("one-shot", "H", 0.6),
        ("binary", "H", 0.6),
        ("exhaustive", "H", 0.95),
        ("exhaustive", "R", 0.95),
    ],
)
def test_a_convolution_net_is_superimposed_and_its_tasks_are_named(
    convolution: tuple[nn.Module, MaskStack], method: Method, objective: Objective, least: float
) -> None:
    network, stack = convolution
    real = torch.arange(OUTPUTS) < 10
    named = []
    for number, kind in enumerate(KINDS):
        images, _ = digits(kind, train=False, count=100)
        scores = infer_tasks(
            network,
            stack,
            PIXELS(images)[:, None],
            method=method,
            objective=objective,
            real=real,
            own=real.expand(3, -1),
        ).nan_to_num(-torch.inf)
        named.append(float((scores.argmax(1) == number).float().mean()))
    # one image for each decision; chance is 0.33
    assert sum(named) / len(named) > least


@pytest.mark.parametrize("recipe", [DEFAULT, PAPER, SEPARABLE])
def test_a_recipe_learns_and_repeats_itself(recipe: Recipe) -> None:
    network = signed_constant(MultilayerPerceptron((784, 64, OUTPUTS)), seed=0)
    short = dataclasses.replace(recipe, steps=60)
    before = {name: weight.clone() for name, weight in network.named_parameters()}
    first, again, other = (learn(network, "plain", short, seed) for seed in (0, 0, 1))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert all(torch.equal(before[name], weight) for name, weight in network.named_parameters())
    images, labels = digits("plain", train=False, count=1000)
    floats = {name: mask.float() for name, mask in first.items()}
    log_p = class_log_probabilities(network, floats, images, PIXELS, torch.arange(10))
    accuracy = float((log_p.argmax(1) == labels).float().mean())
    assert accuracy > (0.3 if recipe is PAPER else 0.7)
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(1000))


@pytest.mark.parametrize("recipe", [DEFAULT, PAPER, SEPARABLE])
@pytest.mark.parametrize("steps", [1, 2, 3])
def test_the_shortest_runs_work(recipe: Recipe, steps: int) -> None:
    network = signed_constant(MultilayerPerceptron((784, 8, OUTPUTS)), seed=0)
    assert learn(network, "plain", dataclasses.replace(recipe, steps=steps)).keys() == {
        "layers.0.weight",
        "layers.1.weight",
    }


def test_negatives_tell_tasks_apart_that_look_alike() -> None:
    network = signed_constant(MultilayerPerceptron((784, 100, OUTPUTS)), seed=0)
    layout = layout_of(network)
    train, test = (embedded.load_mnist(half) for half in (True, False))
    pairs = ((2, 3), (8, 9))
    shown = [variants.split(*test, first // 2)[0][:400] for first, _ in pairs]
    groups = PIXELS(torch.from_numpy(np.concatenate(shown)).view(-1, 1, 1, 28, 28))
    own = torch.zeros(2, OUTPUTS, dtype=torch.bool)
    right = {}
    for recipe in (DEFAULT, SEPARABLE):
        packed = []
        for number, pair in enumerate(pairs):
            images, labels = variants.split(*train, pair[0] // 2)
            targets = torch.from_numpy(labels) + pair[0]
            own[number, list(pair)] = True
            learning = Learning(
                network,
                masked_parameters(network),
                LabelledImages(torch.from_numpy(images).view(-1, 1, 28, 28), targets),
                PIXELS,
                dataclasses.replace(recipe, steps=200),
                seed=0,
                task=str(pair),
            )
            while not learning.done:
                learning.advance()
            packed.append(pack(learning.masks(), layout))
        named = infer_tasks(
            network,
            MaskStack(torch.stack(packed), layout),
            groups,
            method="exhaustive",
            objective="R",
            real=own.any(0),
            own=own,
        ).argmax(1)
        right[recipe.name] = float((named == torch.arange(2).repeat_interleave(400)).float().mean())
    # measured: 0.745 and 0.870
    assert right["separable"] > max(0.8, right["default"] + 0.05)


def test_negatives_need_a_superfluous_output() -> None:
    network = signed_constant(MultilayerPerceptron((784, 8, 10)), seed=0)
    with pytest.raises(ValueError, match="superfluous"):
        learn(network, "plain", dataclasses.replace(SEPARABLE, steps=1))


def test_a_recipe_without_negatives_does_not_record_them() -> None:
    named = {"negatives": SEPARABLE.negatives, "negatives_weight": SEPARABLE.negatives_weight}
    assert not named.keys() & (DEFAULT.settings().keys() | PAPER.settings().keys())
    assert named.items() <= SEPARABLE.settings().items()
    assert min(named.values()) > 0


def test_rates_follow_fan_in_and_depth_in_the_default_recipe_alone() -> None:
    shapes = [(300, 784), (100, 300), (500, 100)]
    assert learning_rates(PAPER, shapes) == [1e-4, 1e-4, 1e-4]
    assert learning_rates(DEFAULT, shapes) == pytest.approx([1.5 / 784, 0.75 / 300, 0.1 / 100])
    assert learning_rates(DEFAULT, [(32, 1, 5, 5), (10, 32)]) == pytest.approx([1.5 / 25, 0.1 / 32])
    assert learning_rates(DEFAULT, [(10, 784)]) == pytest.approx([1.5 / 784])


def test_batches_see_every_image_once_a_pass_and_are_always_full() -> None:
    order = BatchOrder(10, 4, torch.Generator().manual_seed(0))
    drawn = [order.next_batch() for _ in range(7)]
    assert [len(batch) for batch in drawn] == [4] * 7
    flat = torch.cat(drawn)
    assert sorted(flat[:10].tolist()) == sorted(flat[10:20].tolist()) == list(range(10))
    assert flat[:10].tolist() != flat[10:20].tolist()


def test_batches_may_be_larger_than_the_data() -> None:
    order = BatchOrder(3, 8, torch.Generator().manual_seed(0))
    assert [len(order.next_batch()) for _ in range(2)] == [8, 8]


def test_no_images_and_divergence_are_refused() -> None:
    network = signed_constant(MultilayerPerceptron((784, 8, OUTPUTS)), seed=0)
    with pytest.raises(ValueError, match="no training images"):
        open_learning(network, "plain", DEFAULT, count=0)
    with pytest.raises(ValueError, match="diverged"):
        learn(network, "plain", dataclasses.replace(PAPER, steps=3, learning_rate=float("inf")))


def test_pixels_scale_bytes_and_normalise() -> None:
    images = torch.tensor([0, 128, 255], dtype=torch.uint8).view(3, 1, 1, 1)
    expected = (torch.tensor([0, 128 / 255, 1.0]) - 0.1307) / 0.3081
    torch.testing.assert_close(PIXELS(images).flatten(), expected)


def test_calibration_quantiles_are_those_of_the_log_odds() -> None:
    network = signed_constant(MultilayerPerceptron((784, 8, OUTPUTS)), seed=0)
    images, _ = digits("plain", train=False, count=101)
    masks = {name: torch.ones(p.shape) for name, p in network.named_parameters()}
    outputs = torch.arange(10)
    values = calibration_quantiles(network, masks, images, PIXELS, outputs)
    own = torch.arange(OUTPUTS) < 10
    odds = log_odds(masked_forward(network, masks, PIXELS(images)), own).sort().values
    assert len(values) == len(CALIBRATION_LEVELS)
    torch.testing.assert_close(values[0], odds[0].double())
    torch.testing.assert_close(values[CALIBRATION_LEVELS.index(0.5)], odds[50].double())
    torch.testing.assert_close(values[-1], odds[-1].double())
