"""A task's signature is fitted as the plain formula says, whatever its images are."""

import tracemalloc

import numpy as np
import pytest
from numpy.typing import NDArray

from supsup_cli.core.signatures.fitting import components, fit_gaussians


def _drawn(count: int, size: int, seed: int = 0) -> NDArray[np.float32]:
    random = np.random.RandomState(seed)
    mixing = random.randn(size, size) * np.geomspace(3, 0.1, size)[:, None]
    return (random.randn(count, size) @ mixing + 5 * random.randn(size)).astype(np.float32)


def _classes(counts: list[int], size: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    parts = [_drawn(count, size, seed) for seed, count in enumerate(counts)]
    labels = np.repeat(np.arange(len(counts)), counts)
    return np.concatenate(parts), labels.astype(np.int64)


@pytest.mark.parametrize("count", [400, 20])  # more images of a class than features, and fewer
def test_each_class_has_its_mean_its_widest_directions_and_the_rest_as_noise(count: int) -> None:
    values, parts = _classes([count, 2 * count], 30)
    found = fit_gaussians(values, parts, 4)
    for one in range(2):
        own = values[parts == one].astype(np.float64)
        squares, sides = np.linalg.eigh(np.cov(own.T, bias=True))
        np.testing.assert_allclose(found.means[one], own.mean(0), rtol=1e-12)
        np.testing.assert_allclose(found.variances[one], squares[::-1][:4], rtol=1e-8)
        rest = (squares.sum() - squares[::-1][:4].sum()) / (30 - 4)
        assert found.noise[one] == pytest.approx(rest, rel=1e-8)
        turned = np.abs(found.directions[one] @ sides[:, ::-1][:, :4])
        np.testing.assert_allclose(turned, np.eye(4), atol=1e-6)
    np.testing.assert_allclose(found.shares, [1 / 3, 2 / 3])


def test_directions_are_of_unit_length_by_falling_variance_and_point_to_their_largest() -> None:
    values, parts = _classes([200, 200, 200], 25)
    found = fit_gaussians(values, parts, 6)
    np.testing.assert_allclose(np.linalg.norm(found.directions, axis=2), 1)
    assert (np.diff(found.variances, axis=1) <= 0).all()
    largest = np.abs(found.directions).argmax(2)
    assert (np.take_along_axis(found.directions, largest[:, :, None], 2) > 0).all()


def test_the_order_of_images_and_mirrored_features_do_not_matter() -> None:
    values, parts = _classes([100, 60], 20)
    order = np.random.RandomState(3).permutation(len(values))
    found = fit_gaussians(values, parts, 3)
    again = fit_gaussians(values[order], parts[order], 3)
    mirrored = fit_gaussians(-values, parts, 3)
    np.testing.assert_allclose(again.directions, found.directions, atol=1e-9)
    np.testing.assert_allclose(mirrored.directions, found.directions, atol=1e-9)
    np.testing.assert_allclose(mirrored.means, -found.means)


@pytest.mark.parametrize(("count", "directions"), [(1, 0), (3, 0), (4, 1), (11, 2), (100, 5)])
def test_few_images_have_few_directions_and_a_noise_above_zero(count: int, directions: int) -> None:
    values, parts = _classes([count, 300], 40)
    found = fit_gaussians(values, parts, 5)
    assert int((found.variances[0] > 0).sum()) == directions
    assert not found.directions[0, directions:].any()
    assert found.noise[0] > 0
    assert np.isfinite(found.directions).all()


def test_constant_features_have_no_direction() -> None:
    values, parts = _classes([80], 20)
    values[:, 7:] = 2.5
    found = fit_gaussians(values, parts, 10)
    assert int((found.variances > 0).sum()) == 7
    np.testing.assert_allclose(found.directions[0, :7, 7:], 0, atol=1e-9)
    assert found.noise[0] > 0


def test_images_that_are_all_alike_are_a_point_with_some_noise() -> None:
    found = fit_gaussians(np.full((50, 9), 3, np.float32), np.zeros(50, np.int64), 4)
    assert not found.directions.any()
    assert not found.variances.any()
    np.testing.assert_array_equal(found.means, np.full((1, 9), 3.0))
    assert found.noise[0] > 0


def test_more_directions_than_half_of_the_features_are_left_out() -> None:
    values, parts = _classes([200], 5)
    found = fit_gaussians(values, parts, 4)
    assert (found.variances[0] > 0).tolist() == [True, True, False, False]


def test_up_to_sixteen_classes_are_components_in_their_order() -> None:
    values, _ = _classes([64], 6)
    labels = np.tile(np.array([40, 3, 3, 90], np.int64), 16)
    assert components(values, labels)[:4].tolist() == [1, 0, 0, 2]
    sixteen = np.tile(np.arange(16), 4)
    assert components(values, sixteen).tolist() == sixteen.tolist()


def _ward(means: NDArray[np.float64], counts: list[int], left: int) -> set[frozenset[int]]:
    """Join the two groups that add least to the sum of squares within groups."""
    groups = [frozenset([one]) for one in range(len(means))]

    def within(group: frozenset[int]) -> float:
        own = [one for one in sorted(group) for _ in range(counts[one])]
        return float(np.square(means[own] - means[own].mean(0)).sum())

    while len(groups) > left:
        _, first, second = min(
            (within(a | b) - within(a) - within(b), i, j)
            for j, b in enumerate(groups)
            for i, a in enumerate(groups[:j])
        )
        joined = groups[first] | groups[second]
        groups = [one for k, one in enumerate(groups) if k not in (first, second)] + [joined]
    return set(groups)


def test_more_classes_are_joined_by_ward_s_rule() -> None:
    random = np.random.RandomState(1)
    means = random.randn(23, 4)
    counts = random.randint(2, 9, 23).tolist()
    labels = np.repeat(np.arange(23), counts).astype(np.int64)
    values = means[labels].astype(np.float32)
    found = components(values, labels)
    groups = {frozenset(labels[found == one].tolist()) for one in range(16)}
    assert groups == _ward(means, counts, 16)
    order = random.permutation(len(labels))
    np.testing.assert_array_equal(components(values[order], labels[order]), found[order])


def test_many_classes_are_joined_in_the_memory_of_their_means() -> None:
    random = np.random.RandomState(5)
    features = random.randn(600, 256).astype(np.float32)
    labels = np.arange(600, dtype=np.int64) % 300
    tracemalloc.start()
    try:
        parts = components(features, labels)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(np.unique(parts)) == 16
    assert peak < 10 * 300 * 256 * 8  # bytes; all pairs' differences take 300 times the means
