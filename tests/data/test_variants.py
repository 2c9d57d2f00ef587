"""Variants against plain definitions and against torchvision."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.transforms import functional

from supsup_cli.data import variants
from supsup_cli.data.embedded import load_mnist


def test_permuted_is_the_definition() -> None:
    images = load_mnist(False)[0][:1003]
    order = np.random.RandomState(7).permutation(784)
    expected = np.stack([image.flatten()[order].reshape(1, 28, 28) for image in images])
    assert np.array_equal(variants.permuted(images, 7), expected)


@settings(max_examples=30, deadline=None)
@given(
    number=st.integers(0, 2**32 - 1),
    shape=st.tuples(
        st.integers(0, 5), st.sampled_from([1, 3]), st.integers(1, 6), st.integers(1, 6)
    ),
)
def test_permuted_keeps_the_pixels_of_every_image(
    number: int, shape: tuple[int, int, int, int]
) -> None:
    images = np.arange(np.prod(shape), dtype=np.int64).astype(np.uint8).reshape(shape)
    result = variants.permuted(images, number)
    assert result.shape == shape
    flat = (shape[0], int(np.prod(shape[1:])))
    assert np.array_equal(np.sort(result.reshape(flat)), np.sort(images.reshape(flat)))


@pytest.mark.parametrize("degrees", [0, 10, 45, 90, 135, 180, 270, 350, 360, -30, 0.5, 123.456])
def test_rotated_is_torchvisions(degrees: float) -> None:
    images = load_mnist(False)[0][:64]
    expected = functional.rotate(torch.from_numpy(images.copy()), degrees).numpy()
    assert np.array_equal(variants.rotated(images, degrees), expected)


def test_rotated_by_a_quarter_turns_counter_clockwise() -> None:
    images = load_mnist(False)[0][:16]
    assert np.array_equal(variants.rotated(images, 90.0), np.rot90(images, axes=(2, 3)))


def test_rotated_handles_colour_and_fills_with_black() -> None:
    images = np.full((2, 3, 20, 20), 255, dtype=np.uint8)
    images[1, 2] = 7
    expected = functional.rotate(torch.from_numpy(images.copy()), 45.0).numpy()
    result = variants.rotated(images, 45.0)
    assert np.array_equal(result, expected)
    assert result[0, :, 0, 0].tolist() == [0, 0, 0]


@pytest.mark.parametrize("index", range(5))
def test_split_keeps_two_digits(index: int) -> None:
    images, labels = load_mnist(False)
    kept, new = variants.split(images, labels, index)
    where = np.isin(labels, [2 * index, 2 * index + 1])
    assert np.array_equal(kept, images[where])
    assert np.array_equal(new + 2 * index, labels[where])
    assert set(new.tolist()) == {0, 1}


def test_nothing_changes_its_input() -> None:
    images, labels = (part[:50].copy() for part in load_mnist(False))
    before = images.copy(), labels.copy()
    variants.permuted(images, 1)[:] = 0
    variants.rotated(images, 30.0)[:] = 0
    variants.split(images, labels, 0)[1][:] = 9
    assert np.array_equal(images, before[0])
    assert np.array_equal(labels, before[1])
