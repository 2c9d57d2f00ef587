"""Short lists: as many masks as the signatures leave in doubt, and what a mask's answer adds."""

import math

import pytest
import torch

from supsup_cli.core.inference.short_list import (
    LEFT_OUT,
    MOST_TRIED,
    evidence_scale,
    short_lists,
)


def _scores(*probabilities: float) -> torch.Tensor:
    return torch.tensor([probabilities], dtype=torch.float64).log()


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ((1.0, 0.0, 0.0), [True, False, False]),
        ((0.2, 0.5, 0.3), [True, True, True]),
        ((1 - 2e-4, 1.5e-4, 0.5e-4), [True, True, False]),
        ((1e-5, 1 - 2e-5, 1e-5), [False, True, False]),
    ],
)
def test_the_fewest_that_leave_little_out(
    probabilities: tuple[float, ...], expected: list[bool]
) -> None:
    wanted, truncated = short_lists(_scores(*probabilities) - 7)
    assert wanted.tolist() == [expected]
    assert truncated.tolist() == [False]


def test_lists_are_as_short_as_the_probability_left_out_allows() -> None:
    scores = 3 * torch.randn(500, 40, generator=torch.Generator().manual_seed(0)).double()
    wanted, truncated = short_lists(scores)
    probabilities = scores.softmax(1)
    on_it = torch.where(wanted, probabilities, 0)
    least = torch.where(wanted, probabilities, 2).amin(1)
    assert float(on_it.sum(1).min()) >= 1 - LEFT_OUT
    assert float((on_it.sum(1) - least).max()) < 1 - LEFT_OUT  # without the last, too short
    assert bool((torch.where(wanted, 0, probabilities).amax(1) <= least).all())
    assert not truncated.any()
    assert len(set(wanted.sum(1).tolist())) > 5


def test_a_cap_cuts_the_worst_off_and_says_so() -> None:
    scores = torch.cat((-torch.arange(100.0)[None] / 50, _scores(1, *[0.0] * 99)))
    wanted, truncated = short_lists(scores)
    assert wanted[0].tolist() == [True] * MOST_TRIED + [False] * 36
    assert truncated.tolist() == [True, False]
    wanted, truncated = short_lists(scores, most=100)
    assert int(wanted[0].sum()) == 100
    assert not truncated.any()
    assert short_lists(scores, most=1)[0].sum(1).tolist() == [1, 1]


def test_equals_are_listed_in_their_order_and_what_is_out_of_the_race_never() -> None:
    wanted, truncated = short_lists(torch.tensor([[-math.inf, 0, 0, 0, -math.inf]]), most=2)
    assert wanted.tolist() == [[False, True, True, False, False]]
    assert truncated.tolist() == [True]
    assert short_lists(torch.tensor([[-math.inf, 0.0]]))[0].tolist() == [[False, True]]


def test_evidence_counts_half_a_nat_for_a_deviation_of_the_task_s_own() -> None:
    assert evidence_scale(-5.0, -2.0, odds=False) == pytest.approx(0.5 * 1.2816 / 3)
    assert evidence_scale(-5.0, -2.0, odds=True) == pytest.approx(1.2816 / 3)
    # A mask that gives all its own images the same answer is not trusted without limit.
    assert evidence_scale(0.0, 0.0, odds=False) == 500
