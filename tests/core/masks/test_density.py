import dataclasses
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from supsup_cli.core.images import LabelledImages, Pixels
from supsup_cli.core.learning.one_task import Learning, class_log_probabilities
from supsup_cli.core.learning.recipes import DEFAULT, PAPER, learning_rates
from supsup_cli.core.learning.selection import Largest, selection, thinned
from supsup_cli.core.masks.density import Density, gain, mask_values, parse_density
from supsup_cli.core.networks.specs import MultilayerPerceptron, masked_parameters
from supsup_cli.data import embedded
from tests.support.networks import finish, signed_constant

LENET = [(300, 784), (100, 300), (500, 100)]


@pytest.mark.parametrize("text", ["0.1", "1", "0.005", "er:4", "er:0.5", "1e-05"])
def test_densities_are_written_as_they_are_read(text: str) -> None:
    assert str(parse_density(text)) == text


def test_one_density_has_one_text() -> None:
    assert str(parse_density("0.10")) == str(parse_density("1e-1")) == "0.1"
    assert str(parse_density("er:4.0")) == "er:4"


@pytest.mark.parametrize(
    "text", ["", "0", "1.1", "-0.1", "nan", "inf", "er:", "er:0", "er:-1", "erdos", "10%", "1_0"]
)
def test_what_is_no_density_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected a share in \(0, 1\] or er:S with S > 0"):
        parse_density(text)


def test_shares_after_erdos_and_renyi_follow_the_paper() -> None:
    assert Density(4, by_size=True).shares(LENET) == [
        4 * 1084 / (784 * 300), 4 * 400 / 30_000, 4 * 600 / 50_000
    ]  # fmt: skip
    assert Density(32, by_size=True).shares([(100, 300), (4, 4)]) == [32 * 400 / 30_000, 0.5]
    convolution = Density(1, by_size=True).shares([(64, 32, 3, 3)])
    assert convolution == pytest.approx([(64 + 32) / (64 * 32 * 9)])
    assert Density(0.25).shares(LENET) == [0.25] * 3
    assert Density(1e-6).kept(LENET) == [1, 1, 1]


def test_a_gain_restores_the_variance_of_half_the_weights() -> None:
    stream = torch.Generator().manual_seed(0)
    inputs = torch.randn(500, 4000, generator=stream)
    signs = torch.randint(0, 2, (4000,), generator=stream) * 2.0 - 1
    spread = []
    for share in (0.5, 0.02):
        mask = torch.rand(4000, generator=stream) < share
        values = mask_values({"w": mask}, sparse=True)["w"]
        spread.append(float((inputs @ (signs * values)).std()))
    assert spread[1] == pytest.approx(spread[0], rel=0.1)
    assert gain(50, 100) == 1
    plain = mask_values({"w": torch.tensor([True, False, False])}, sparse=False)["w"]
    assert plain.tolist() == [1, 0, 0]


@given(st.integers(0, 2**31), st.integers(1, 30), st.integers(1, 30), st.floats(0.01, 1))
@settings(max_examples=60, deadline=None)
def test_exactly_the_largest_scores_are_kept(
    seed: int, rows: int, columns: int, share: float
) -> None:
    stream = torch.Generator().manual_seed(seed)
    weights = {"w": torch.randn(rows, columns, generator=stream)}
    scores = {"w": torch.randn(rows, columns, generator=stream)}
    kept = Density(share).kept([(rows, columns)])[0]
    select = Largest(weights, Density(share))
    mask = select.masks(scores)["w"]
    assert int(mask.sum()) == kept
    sizes = scores["w"].abs()
    assert float(sizes[mask].min()) >= (float(sizes[~mask].max()) if kept < mask.numel() else 0)
    effective = {"w": torch.empty(rows, columns).requires_grad_()}
    select.write(effective, scores, 1.0)
    expected = weights["w"] * mask_values({"w": mask}, sparse=True)["w"]
    torch.testing.assert_close(effective["w"].detach(), expected)


def test_equal_scores_keep_the_number_too() -> None:
    select = Largest({"w": torch.ones(4, 5)}, Density(0.25))
    assert int(select.masks({"w": torch.zeros(4, 5)})["w"].sum()) == 5


def test_gradients_follow_the_sign_of_the_score() -> None:
    weight, score = torch.tensor([[2.0, 3.0, 5.0]]), torch.tensor([[-1.0, 0.5, 2.0]])
    gradient = torch.tensor([[1.0, 10.0, -1.0]])
    Largest({"w": weight}, Density(0.5)).differentiate(score, weight, gradient)
    assert gradient.tolist() == [[-2.0, 30.0, -5.0]]


def test_masks_thin_out_from_one_half_to_their_number() -> None:
    counts = [thinned(100, 10_000, step / 20) for step in range(21)]
    assert counts[0] == 5_000
    assert counts == sorted(counts, reverse=True)
    assert counts[5] > 150
    assert set(counts[10:]) == {100}
    # a mask denser than one half becomes denser instead
    assert thinned(8_000, 10_000, 0) == 5_000
    assert thinned(8_000, 10_000, 0.25) == pytest.approx(8_000 * (5 / 8) ** 0.125, abs=1)


def test_layers_of_few_weights_learn_more_slowly() -> None:
    sparse = dataclasses.replace(PAPER, density=Density(0.01))
    assert learning_rates(sparse, LENET) == pytest.approx([0.5e-4] * 3)
    dense = dataclasses.replace(PAPER, density=Density(0.3))
    assert learning_rates(dense, LENET) == learning_rates(PAPER, LENET)


@pytest.mark.parametrize("text", ["0.05", "er:2"])
def test_a_sparse_mask_is_learned(text: str) -> None:
    network = signed_constant(MultilayerPerceptron((784, 64, 200)), seed=0)
    recipe = dataclasses.replace(DEFAULT, steps=150, density=parse_density(text))
    images, labels = embedded.load_mnist(True)
    data = LabelledImages(
        torch.from_numpy(images[:20_000].copy()), torch.from_numpy(labels[:20_000].copy())
    )
    pixels = Pixels(torch.full((1, 1, 1), 0.1307), torch.full((1, 1, 1), 0.3081))
    names = masked_parameters(network)
    masks = finish(Learning(network, names, data, pixels, recipe, seed=0, task="t"))
    shapes = [(64, 784), (200, 64)]
    assert [int(mask.sum()) for mask in masks.values()] == parse_density(text).kept(shapes)
    images, labels = embedded.load_mnist(False)
    log_p = class_log_probabilities(
        network,
        mask_values(masks, sparse=True),
        torch.from_numpy(images[:2000].copy()),
        pixels,
        torch.arange(10),
    )
    right = float((log_p.argmax(1) == torch.from_numpy(labels[:2000].copy())).float().mean())
    assert right > 0.75
    # with their gain, logits are large enough for a confident softmax
    assert float(log_p.max(1).values.exp().median()) > 0.5


def test_no_density_means_the_threshold() -> None:
    weights = {"w": torch.ones(2, 2)}
    scores = {"w": torch.tensor([[0.0, -1.0], [2.0, -0.0]])}
    assert selection(weights, None).masks(scores)["w"].tolist() == [[True, False], [True, True]]
    assert math.isclose(gain(1, 100), math.sqrt(50))
