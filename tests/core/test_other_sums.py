"""What promises equal bits keeps them even if products add up in another order."""

import os

import pytest
import torch

from supsup_cli.core.hopfield.attractors import RULES, Rule, encode
from tests.support.summation import OtherSums

SIZES = (6, 64, 100, 128, 300, 333, 512, 784, 1000, 1030)


def _patterns(count: int, size: int) -> torch.Tensor:
    stream = torch.Generator().manual_seed(size)
    return torch.randint(0, 2, (count, size), generator=stream).double() * 2 - 1


@pytest.mark.skipif("SUPSUP_OTHER_SUMS" in os.environ, reason="all products are so already")
def test_products_do_add_up_in_another_order() -> None:
    """The rule as it was, one `addmm_` of rank two: symmetric with one BLAS, not with another."""
    one, other = torch.rand(2, 50, 40, dtype=torch.float64)
    base = torch.rand(50, 50, dtype=torch.float64)
    base = base + base.T
    plain = one @ other.T
    with OtherSums():
        assert not (one @ other.T).equal(plain)
        torch.testing.assert_close(one @ other.T, plain)
        assert (one @ other.T).equal(one @ other.T)
        base.addmm_(one[:, :2], torch.stack((one[:, 1], one[:, 0])))
    assert not base.equal(base.T)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", SIZES)
def test_a_matrix_of_attractors_is_symmetric_and_the_same_bits(size: int, rule: Rule) -> None:
    patterns = _patterns(5, size)
    expected = encode(patterns, rule)
    with OtherSums():
        found = encode(patterns, rule)
    assert found.equal(found.T)
    assert found.equal(expected)
