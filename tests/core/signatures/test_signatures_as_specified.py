"""The code computes signatures as FORMAT.md describes them."""

import doctest
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import bank_format
from bank_format.kinds.gaussians import GAUSSIANS, Gaussians, read_gaussians, store_gaussians
from supsup_cli.core.inference.novelty import CALIBRATION_LEVELS
from supsup_cli.core.signatures.appearance import appearance
from supsup_cli.core.signatures.maps import reference_images
from supsup_cli.core.signatures.table import TaskSignature

SECTION = (
    Path(bank_format.__file__)
    .with_name("FORMAT.md")
    .read_text(encoding="utf-8")
    .partition("\n## Signatures\n")[2]
    .partition("\n## ")[0]
)


@pytest.fixture(scope="module")
def specified() -> dict[str, Any]:
    globs: dict[str, Any] = {"np": np}
    for example in doctest.DocTestParser().get_examples(SECTION):
        if example.source.startswith("def"):
            exec(example.source, globs)
    return globs


@pytest.mark.parametrize("shape", [(1, 16, 16), (3, 20, 12), (3, 96, 96)])
def test_reference_images_are_those_of_the_specification(
    specified: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    count = min(2000, max(320, 6_144_000 // (shape[0] * shape[1] * shape[2])))
    expected = specified["reference_images"](count, *shape)
    np.testing.assert_array_equal(reference_images(shape), expected)


@pytest.mark.parametrize("size", [9, 30])  # with an odd number of features, four bits are unused
def test_the_distance_is_that_of_the_specification(specified: dict[str, Any], size: int) -> None:
    random = np.random.RandomState(size)
    stored = store_gaussians(
        Gaussians(
            random.randn(4, size).astype(np.float32) * 3,
            random.randn(4, 3, size).astype(np.float32) / size**0.5,
            (random.rand(4, 3) * [9, 1, 0]).astype(np.float32),
            np.full(4, 0.5, np.float32),
            np.array([0.4, 0.3, 0.2, 0.1], np.float32),
            np.empty(0, np.float32),
        )
    )
    read = read_gaussians(stored, size)
    parts = (read.means, read.directions, read.variances, read.shares)
    task = TaskSignature(*map(torch.from_numpy, parts), 0.5, torch.from_numpy(read.quantiles))
    named = {name.removeprefix("signature/"): one for name, one in stored.items()}
    features = (random.randn(6, size) * 3).astype(np.float32)
    for noise in (0.5, 1.5):
        expected = [specified["distance"](one.astype(float), named, noise) for one in features]
        found = task.distances(torch.from_numpy(features), noise)
        np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-2)


def test_model_arrays_and_levels_are_listed() -> None:
    assert f'`"{GAUSSIANS}"`' in SECTION
    empty = np.empty((1, 0), np.float32)
    stored = store_gaussians(
        Gaussians(np.ones((1, 4), np.float32), np.empty((1, 0, 4), np.float32), empty,
                  *np.ones((2, 1), np.float32), np.empty(0, np.float32))
    )  # fmt: skip
    for name, array in stored.items():
        assert f"| `{name}` | {array.dtype} [" in SECTION
    levels = ", ".join(f"{level:g}".replace("0.", ".") for level in CALIBRATION_LEVELS)
    assert f"at the levels {levels};" in SECTION


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28), (3, 17, 23), (2, 8, 8)])
def test_what_images_look_like_is_measured_as_specified(
    specified: dict[str, Any], shape: tuple[int, int, int]
) -> None:
    random = np.random.RandomState(3)
    noise = random.randint(0, 256, (4, *shape))
    smooth = np.cumsum(random.randint(-9, 10, (4, *shape)), axis=3) + 120
    saturated = np.where(noise > 100, 255, noise // 20)
    constant = np.broadcast_to(np.arange(4)[:, None, None, None] * 80, noise.shape)
    images = np.concatenate((noise, smooth, saturated, constant)).clip(0, 255).astype(np.uint8)
    found = appearance(torch.from_numpy(images)).numpy()
    expected = np.stack([specified["looks"](one) for one in images])
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)
