"""Measures of a matrix of accuracies, against ten lines written from the papers' text."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from supsup_cli.baselines.metrics import measures


def reference(matrix: NDArray[np.float64], chances: NDArray[np.float64]) -> list[float]:
    count = len(matrix)
    last = sum(matrix[count - 1][j] for j in range(count)) / count
    rows = [sum(matrix[i][j] for j in range(i + 1)) / (i + 1) for i in range(count)]
    earlier = range(count - 1)
    most = [max(matrix[i][j] for i in range(j, count - 1)) for j in earlier]
    forgetting = sum(most[j] - matrix[count - 1][j] for j in earlier) / (count - 1)
    backward = sum(matrix[count - 1][j] - matrix[j][j] for j in earlier) / (count - 1)
    forward = sum(matrix[j - 1][j] - chances[j] for j in range(1, count)) / (count - 1)
    return [last, sum(rows) / count, forgetting, -backward, backward, forward]


@given(st.integers(2, 6), st.integers(0, 2**32 - 1))
def test_measures_agree_with_the_reference(count: int, seed: int) -> None:
    draws = np.random.default_rng(seed)
    matrix, chances = draws.random((count, count)), draws.random(count)
    found = measures(matrix, chances)
    values = [
        found.accuracy,
        found.accuracy_over_time,
        found.forgetting,
        found.forgetting_since_learned,
        found.backward_transfer,
        found.forward_transfer,
    ]
    np.testing.assert_allclose(np.array(values, float), reference(matrix, chances), atol=1e-12)


def test_a_small_matrix_by_hand() -> None:
    missing = np.nan
    matrix = np.array([[0.8, 0.5, missing], [0.9, 0.7, missing], [0.6, 0.5, 1.0]])
    found = measures(matrix, np.full(3, 0.5))
    assert found.accuracy == pytest.approx(0.7)
    assert found.accuracy_over_time == pytest.approx((0.8 + 0.8 + 0.7) / 3)
    assert found.forgetting == pytest.approx((0.3 + 0.2) / 2)  # from the best, .9 and .7
    assert found.forgetting_since_learned == pytest.approx((0.2 + 0.2) / 2)  # from .8 and .7
    assert found.backward_transfer == pytest.approx(-0.2)
    assert found.forward_transfer is None  # nothing was measured before the third task


def test_one_task_has_an_accuracy_and_no_transfer() -> None:
    found = measures(np.array([[0.9]]), np.array([0.1]))
    assert (found.accuracy, found.accuracy_over_time) == (0.9, 0.9)
    assert found.forgetting is found.backward_transfer is found.forward_transfer is None


@pytest.mark.parametrize("matrix", [np.empty((0, 0)), np.array([[0.5, 0.5], [np.nan, 0.5]])])
def test_a_missing_accuracy_of_a_learned_task_is_refused(matrix: NDArray[np.float64]) -> None:
    with pytest.raises(ValueError, match="missing"):
        measures(matrix, np.zeros(len(matrix)))
