"""Recall from corrupted copies, against the definition and on small matrices."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from supsup_cli.core.hopfield.attractors import corrupt, settle

F64 = torch.float64


def signs(count: int, size: int, seed: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, size), generator=stream).to(F64) * 2 - 1


def hebbian_matrix(patterns: Tensor) -> Tensor:
    matrix = patterns.T @ patterns / patterns.shape[1]
    return matrix.fill_diagonal_(0)


@given(st.integers(2, 40), st.integers(0, 2**20))
@settings(max_examples=60, deadline=None)
def test_a_state_at_rest_is_a_fixed_point_of_no_more_energy(size: int, seed: int) -> None:
    stream = torch.Generator().manual_seed(seed)
    matrix = torch.randn(size, size, generator=stream, dtype=F64)
    matrix = (matrix + matrix.T).fill_diagonal_(0)
    start = signs(1, size, seed)[0]
    rest = settle(matrix, start)
    assert rest.abs().eq(1).all()
    assert (rest * (matrix @ rest)).min() >= -1e-6
    assert rest @ matrix @ rest >= start @ matrix @ start - 1e-9
    assert settle(matrix, rest).equal(rest)


def test_the_start_is_left_as_it_is() -> None:
    matrix = hebbian_matrix(signs(1, 50, 0))
    start = corrupt(signs(1, 50, 0)[0], 0.2, torch.Generator().manual_seed(1))
    before = start.clone()
    assert not settle(matrix, start).equal(start)
    assert start.equal(before)


def test_corrupted_copies_of_few_patterns_are_recalled_exactly() -> None:
    patterns = signs(8, 400, 3)
    matrix = hebbian_matrix(patterns)
    for place, pattern in enumerate(patterns):
        assert settle(matrix, pattern).equal(pattern)
        copy = corrupt(pattern, 0.15, torch.Generator().manual_seed(place))
        assert int((copy != pattern).sum()) == 60
        assert settle(matrix, copy).equal(pattern)


def test_far_beyond_capacity_patterns_are_lost() -> None:
    patterns = signs(200, 400, 3)
    matrix = hebbian_matrix(patterns)
    assert not any(settle(matrix, pattern).equal(pattern) for pattern in patterns[:10])
