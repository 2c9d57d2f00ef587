"""Stored signatures: rounded within a known bound, refused if they do not fit, small enough."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from bank_format.kinds.gaussians import (
    GAUSSIANS,
    Gaussians,
    directions_that_fit,
    read_gaussians,
    store_gaussians,
)
from bank_format.kinds.signature import build_signature
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_records import SignatureRecord
from supsup_cli.workflows.signatures import _LARGE, _SMALL
from tests.support.banks import PROVENANCE, create, facts, masks

CLASSES, COUNT = 3, 4


def _gaussians(size: int, classes: int = CLASSES, count: int = COUNT) -> Gaussians:
    random = np.random.RandomState(size)
    directions = random.randn(classes, count, size)
    directions /= np.linalg.norm(directions, axis=2, keepdims=True)
    return Gaussians(
        (random.randn(classes, size) * 20).astype(np.float32),
        directions.astype(np.float32),
        np.sort(random.rand(classes, count))[:, ::-1].astype(np.float32),
        (random.rand(classes) + 0.1).astype(np.float32),
        np.full(classes, 1 / classes, np.float32),
        np.sort(random.rand(17)).astype(np.float32),
    )


@pytest.mark.parametrize("size", [1, 8, 33])
def test_rounding_moves_a_number_by_half_a_step_at_most(size: int) -> None:
    gaussians = _gaussians(size)
    read = read_gaussians(store_gaussians(gaussians), size)
    for exact, rounded, levels in (
        (gaussians.means, read.means, 127),
        (gaussians.directions, read.directions, 7),
    ):
        step = np.abs(exact).max(axis=-1, keepdims=True) / levels
        assert (np.abs(exact - rounded) <= step * 0.5001).all()
        np.testing.assert_allclose(
            np.abs(rounded).max(axis=-1), np.abs(exact).max(axis=-1), rtol=1e-5
        )
    for name in ("variances", "noise", "shares", "quantiles"):
        np.testing.assert_array_equal(getattr(read, name), getattr(gaussians, name))


def test_what_was_read_is_stored_to_the_same_bytes() -> None:
    stored = store_gaussians(_gaussians(33))
    again = store_gaussians(read_gaussians(stored, 33))
    for name, array in stored.items():
        assert array.dtype == again[name].dtype
        if "scales" not in name:
            np.testing.assert_array_equal(array, again[name], name)
        np.testing.assert_allclose(array.astype(float), again[name].astype(float), rtol=1e-6)


def test_four_bits_lie_as_the_format_says() -> None:
    one = _gaussians(3, 1, 1)
    directions = np.array([[[7, -7, 1]]], np.float32)
    stored = store_gaussians(dataclasses.replace(one, directions=directions))
    assert stored["signature/directions"].tolist() == [[[0x1F, 0x89]]]
    assert stored["signature/direction-scales"].tolist() == [[1.0]]


def test_zeros_stay_zeros() -> None:
    one = _gaussians(6)
    zeros = dataclasses.replace(one, means=one.means * 0, directions=one.directions * 0)
    read = read_gaussians(store_gaussians(zeros), 6)
    assert not read.means.any()
    assert not read.directions.any()


@pytest.mark.parametrize("classes", [1, 2, 10])
def test_there_may_be_no_directions_and_no_quantiles(classes: int) -> None:
    one = _gaussians(5, classes, 0)
    read = read_gaussians(store_gaussians(dataclasses.replace(one, quantiles=one.noise[:0])), 5)
    assert read.directions.shape == (classes, 0, 5)
    assert read.quantiles.shape == (0,)


@pytest.mark.parametrize("name", list(store_gaussians(_gaussians(5))))
def test_wrong_arrays_are_refused_by_their_name(name: str) -> None:
    stored = dict(store_gaussians(_gaussians(5)))
    whole = stored.pop(name)
    with pytest.raises(ValueError, match=f"array {name} missing"):
        read_gaussians(stored, 5)
    for other in (whole.astype(np.float16), whole[None], whole.astype(np.int16)):
        with pytest.raises(ValueError, match=f"array {name}: .* expected"):
            read_gaussians(stored | {name: other}, 5)
    if name != "signature/quantiles":
        with pytest.raises(ValueError, match=r"array signature/.*: .* expected"):
            read_gaussians(stored | {name: np.concatenate((whole, whole))}, 5)


def test_another_number_of_features_is_refused() -> None:
    stored = store_gaussians(_gaussians(5))
    for features in (4, 6):
        with pytest.raises(ValueError, match=f"expected int8 .*{features}"):
            read_gaussians(stored, features)


@pytest.mark.parametrize(
    ("name", "value"), [("variances", -1e-3), ("noise", 0), ("noise", -1), ("shares", 0)]
)
def test_numbers_that_no_gaussian_has_are_refused(name: str, value: float) -> None:
    stored = dict(store_gaussians(_gaussians(5)))
    wrong = stored[f"signature/{name}"].copy()
    wrong.reshape(-1)[-1] = value
    with pytest.raises(ValueError, match="variance below zero"):
        read_gaussians(stored | {f"signature/{name}": wrong}, 5)


@pytest.mark.parametrize("name", ["signature/mean-scales", "signature/direction-scales"])
def test_scales_that_lead_beyond_float32_are_refused(name: str) -> None:
    stored = dict(store_gaussians(_gaussians(5)))
    with pytest.raises(ValueError, match="scale"):
        read_gaussians(stored | {name: np.full_like(stored[name], 3e38)}, 5)


@pytest.mark.parametrize("classes", range(1, 17))
@pytest.mark.parametrize(
    ("features", "arrays", "budget"),
    [(300, _SMALL, 12 * 1024), (256, _LARGE, 28 * 1024), (640, _LARGE, 28 * 1024)],
)
def test_what_a_signature_adds_to_a_task_s_file_keeps_within_its_budget(
    classes: int, features: int, arrays: int, budget: int, tmp_path: Path
) -> None:
    count = directions_that_fit(classes, features, arrays)
    stored = store_gaussians(_gaussians(features, classes, count))
    one_more = store_gaussians(_gaussians(features, classes, count + 1))
    assert count == 24 or _bytes(one_more) > arrays
    assert _bytes(stored) <= arrays
    bank, record = create(tmp_path / "bank"), SignatureRecord(GAUSSIANS, 6144)
    sizes = []
    for name, more, signature in (("plain0", {}, None), ("signed", stored, record)):
        bank.add_task(facts(name, signature=signature), masks(bank), {}, PROVENANCE, more)
        sizes.append(bank.task_path(name).stat().st_size)
    assert sizes[1] - sizes[0] <= budget
    # A separate file also names its bank and its task.
    data = build_signature(bank.record, "pets", "ab" * 32, record, stored)
    assert len(data) <= budget + 512


def _bytes(stored: Arrays) -> int:
    """Bytes of all arrays but the quantiles."""
    return sum(one.nbytes for name, one in stored.items() if name != "signature/quantiles")


def test_few_features_have_no_more_directions_than_half_of_them() -> None:
    assert directions_that_fit(2, 7, 27_000) == 3
    assert directions_that_fit(1, 1, 27_000) == 0
