"""The rules of storing against a reference loop, and what holds for every matrix."""

import hashlib

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from supsup_cli.core.hopfield.attractors import capacity, energy, fields, hebbian, storkey

# Digest of the matrix of 12 patterns of 300 units, float64, little-endian.
_DIGEST = "ba6b76285a89009ca4b862f3864eb58f03eeb5b773d2496cd5119297dca25ff3"
RULES = {"hebbian": hebbian, "storkey": storkey}


def drawn(count: int, size: int, seed: int) -> Tensor:
    stream = torch.Generator().manual_seed(seed)
    return torch.randint(0, 2, (count, size), generator=stream).double() * 2 - 1


patterns = st.builds(drawn, st.integers(1, 5), st.integers(1, 24), st.integers(0, 2**20))


def encode(rows: Tensor, rule: str) -> Tensor:
    matrix = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64)
    for row in rows:
        assert RULES[rule](matrix, row) is matrix
    return matrix


def reference(rows: Tensor, rule: str) -> np.ndarray:
    size = rows.shape[1]
    matrix = np.zeros((size, size))
    for row in rows.tolist():
        field = [sum(matrix[i][k] * row[k] for k in range(size)) for i in range(size)]
        for i in range(size):
            for j in range(size):
                cross = row[i] * field[j] + field[i] * row[j] if rule == "storkey" else 0.0
                matrix[i][j] += (row[i] * row[j] - cross) / size
            matrix[i][i] = 0
    return matrix


@pytest.mark.parametrize("rule", RULES)
@given(rows=patterns)
@settings(max_examples=40, deadline=None)
def test_a_matrix_is_that_of_the_loop_symmetric_with_zero_diagonal(rows: Tensor, rule: str) -> None:
    matrix = encode(rows, rule)
    assert np.abs(matrix.numpy() - reference(rows, rule)).max() < 1e-13
    assert matrix.equal(matrix.T)
    assert not matrix.diagonal().any()


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("size", [6, 64, 100, 128, 300, 333, 784, 1030, 2000])
def test_matrices_of_every_size_are_exactly_symmetric(size: int, rule: str) -> None:
    matrix = encode(drawn(6, size, 1), rule)
    assert matrix.equal(matrix.T)


@given(rows=patterns)
@settings(max_examples=40, deadline=None)
def test_fields_are_summed_by_halves(rows: Tensor) -> None:
    """Sum in plain Python, number by number, in the order that FORMAT.md promises."""

    def halved(terms: list[float]) -> float:
        while len(terms) > 1:
            half = (len(terms) + 1) // 2
            first, second = terms[:half], terms[half:]
            terms = [a + b for a, b in zip(first, second, strict=False)] + first[len(second) :]
        return terms[0]

    matrix = encode(rows, "storkey") + torch.rand(rows.shape[1], generator=torch.Generator())
    terms = (matrix * rows[0]).tolist()
    assert fields(matrix, rows[0]).tolist() == [halved(row) for row in terms]


def test_a_matrix_is_the_same_bits_on_every_processor() -> None:
    """The digest was made on an Intel Xeon with AMX; plain sums and products give it anywhere."""
    stored = encode(drawn(12, 300, 5), "storkey").numpy().astype("<f8").tobytes()
    assert hashlib.sha256(stored).hexdigest() == _DIGEST


@pytest.mark.parametrize(("rule", "load"), [("hebbian", 0.03), ("storkey", 0.08)])
@pytest.mark.parametrize("seed", range(3))
def test_stored_patterns_are_fixed_points_below_capacity(rule: str, load: float, seed: int) -> None:
    rows = drawn(int(300 * load), 300, seed)
    assert len(rows) < capacity(rule, 300)
    matrix = encode(rows, rule)
    assert (rows * (rows @ matrix) > 0).all()


@pytest.mark.parametrize("rule", RULES)
def test_beyond_capacity_they_are_not(rule: str) -> None:
    rows = drawn(2 * capacity(rule, 300), 300, 0)
    assert (rows * (rows @ encode(rows, rule)) < 0).any()


def test_storkey_holds_what_the_hebbian_rule_cannot() -> None:
    rows = drawn(36, 300, 0)
    unstable = {rule: int((rows * (rows @ encode(rows, rule)) <= 0).any(1).sum()) for rule in RULES}
    assert unstable["storkey"] == 0
    assert unstable["hebbian"] > 0


@given(rows=patterns)
@settings(max_examples=20, deadline=None)
def test_energy_is_that_of_the_loop(rows: Tensor) -> None:
    matrix, state = encode(rows, "storkey"), drawn(1, rows.shape[1], 9)[0]
    pairs = np.outer(state.numpy(), state.numpy()) * matrix.numpy()
    assert float(energy(matrix, state)) == pytest.approx(-pairs.sum() / 2, abs=1e-12)


def test_a_stored_pattern_has_less_energy_than_its_neighbours() -> None:
    rows = drawn(6, 200, 4)
    matrix = encode(rows, "storkey")
    for row in rows:
        for unit in range(0, 200, 7):
            other = row.clone()
            other[unit] *= -1
            assert energy(matrix, other) > energy(matrix, row)
