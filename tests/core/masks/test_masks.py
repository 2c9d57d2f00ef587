import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from supsup_cli.core.learning.selection import Positive
from supsup_cli.core.masks import bit_kernels
from supsup_cli.core.masks.masks import MaskLayout, initial_scores, threshold, write_supermask
from supsup_cli.core.seeds import derive_seed
from tests.support.networks import random_stack

SHAPES = {"a": (5, 3), "b": (2, 1, 3, 3), "c": (8,)}


def test_scores_are_uniform_within_one_over_root_fan_in() -> None:
    score = initial_scores({"w": (400, 100)}, seed=0, task="t")["w"]
    bound = 1 / math.sqrt(100)
    assert score.abs().max() <= bound
    assert score.abs().max() > 0.999 * bound
    assert abs(float(score.mean())) < 0.01 * bound
    assert abs(float(score.var()) - bound**2 / 3) < 0.02 * bound**2


@pytest.mark.parametrize(("seed", "task", "name"), [(1, "t", "w"), (0, "u", "w"), (0, "t", "v")])
def test_every_task_parameter_and_seed_has_its_own_scores(seed: int, task: str, name: str) -> None:
    first = initial_scores({"w": (50, 40)}, seed=0, task="t")["w"].flatten()
    other = initial_scores({name: (50, 40)}, seed=seed, task=task)[name].flatten()
    correlation = torch.corrcoef(torch.stack((first, other)))[0, 1]
    assert abs(float(correlation)) < 0.1


def test_the_same_seed_and_task_give_the_same_scores() -> None:
    one, two = (initial_scores(SHAPES, seed=3, task="t") for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in SHAPES)


def test_derived_seeds_are_pinned() -> None:
    # a change here would change every bank that is learned again
    assert derive_seed(0, "scores", "mnist-perm-7", "layers.0.weight") == 1392290068463121388


def test_threshold_keeps_zero_and_drops_the_smallest_negative() -> None:
    scores = {"w": torch.tensor([[0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0]])}
    weights = {"w": torch.full((1, 6), 2.0)}
    effective = {"w": torch.empty(1, 6).requires_grad_()}
    write_supermask(effective, weights, scores)
    kept = threshold(scores)["w"]
    assert kept.tolist() == [[True, True, True, False, True, False]]
    assert torch.equal(effective["w"], weights["w"] * kept)


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_supermask_is_weight_times_mask(seed: int, rows: int, columns: int) -> None:
    stream = torch.Generator().manual_seed(seed)
    weights = {"w": torch.randn(rows, columns, generator=stream)}
    scores = {"w": torch.randn(rows, columns, generator=stream)}
    effective = {"w": torch.empty(rows, columns).requires_grad_()}
    write_supermask(effective, weights, scores)
    assert torch.equal(effective["w"], weights["w"] * threshold(scores)["w"])


def test_straight_through_is_the_gradient_of_a_mask_that_is_the_score() -> None:
    stream = torch.Generator().manual_seed(0)
    weight, images = torch.randn(4, 6, generator=stream), torch.randn(3, 6, generator=stream)
    score = torch.randn(4, 6, generator=stream)
    mask = (score >= 0).float().requires_grad_()
    targets = torch.tensor([0, 1, 2])
    (expected,) = torch.autograd.grad(F.cross_entropy(images @ (weight * mask).T, targets), mask)

    effective = {"w": torch.empty(4, 6).requires_grad_()}
    write_supermask(effective, {"w": weight}, {"w": score})
    loss = F.cross_entropy(images @ effective["w"].T, targets)
    (gradient,) = torch.autograd.grad(loss, [effective["w"]])
    Positive({"w": weight}).differentiate(score, weight, gradient)
    torch.testing.assert_close(gradient, expected)


@given(
    st.integers(0, 2**31), st.integers(1, 9), st.integers(1, 7), st.sampled_from([0.0, 0.1, 0.5, 1])
)
@settings(max_examples=40, deadline=None)
def test_bit_kernels_agree_with_plain_sums(
    seed: int, tasks: int, vectors: int, density: float
) -> None:
    layout = MaskLayout(SHAPES)
    stack = random_stack(layout, tasks, seed, density)
    bits = torch.stack([layout.join(stack.masks(index)) for index in range(tasks)])
    stream = torch.Generator().manual_seed(seed)
    left = torch.randn(vectors, layout.bytes * 8, generator=stream)
    alphas = torch.rand(vectors, tasks, generator=stream)
    torch.testing.assert_close(bit_kernels.products(left, stack.packed), left @ bits.T)
    torch.testing.assert_close(bit_kernels.weighted_sum(alphas, stack.packed), alphas @ bits)


def test_bit_kernels_agree_across_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = MaskLayout(SHAPES)
    stack = random_stack(layout, 7, seed=1)
    vectors, alphas = torch.randn(3, layout.bytes * 8), torch.rand(3, 7)
    whole = bit_kernels.products(vectors, stack.packed)
    mixed = bit_kernels.weighted_sum(alphas, stack.packed)
    monkeypatch.setattr(bit_kernels, "_FEW_BLOCK_VALUES", 2 * layout.bytes * 8)
    torch.testing.assert_close(bit_kernels.products(vectors, stack.packed), whole)
    torch.testing.assert_close(bit_kernels.weighted_sum(alphas, stack.packed), mixed)


def test_unpack_reads_the_least_significant_bit_first() -> None:
    assert bit_kernels.unpack(torch.tensor([0b00000101, 128], dtype=torch.uint8)).tolist() == [
        1, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1,
    ]  # fmt: skip


def test_layout_splits_what_it_joins_and_pads_with_zeros() -> None:
    layout = MaskLayout(SHAPES)
    values = {name: torch.randn(2, *shape) for name, shape in SHAPES.items()}
    flat = layout.join(values, lead=1)
    assert flat.shape == (2, layout.bytes * 8)
    assert layout.bytes == 2 + 3 + 1
    back = layout.split(flat)
    assert all(torch.equal(back[name], values[name]) for name in SHAPES)
    assert float(flat[:, 15].abs().sum() + flat[:, 34:40].abs().sum()) == 0
