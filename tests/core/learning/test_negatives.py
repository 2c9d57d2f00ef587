import math

import pytest
import torch

from supsup_cli.core.learning.batches.negatives import make_warp, rejection


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_displacement_leaves_images_as_they_are() -> None:
    images = torch.rand(3, 2, 12, 20, generator=stream())
    warp = make_warp(12, 20, torch.device("cpu"))
    assert torch.equal(warp(images, 0.0, stream()), images)


def test_content_moves_by_the_displacement_in_both_directions() -> None:
    height, width, displacement = 40, 80, 0.05
    row, column = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images = torch.stack((row, column)).float().expand(200, 2, height, width)
    moved = make_warp(height, width, torch.device("cpu"))(images, displacement, stream()) - images
    # away from the edge, where a ramp ends; bicubic fields vary less than their control points
    middle = moved[:, :, 10:30, 20:60].std((0, 2, 3)) / torch.tensor([height, width])
    assert float(middle.min()) > 0.6 * displacement
    assert float(middle.max()) < displacement


def test_every_image_has_its_own_field_and_a_seed_repeats_it() -> None:
    images = torch.rand(1, 1, 28, 28, generator=stream()).expand(2, 1, 28, 28)
    warp = make_warp(28, 28, torch.device("cpu"))
    first, again, other = (warp(images, 0.1, stream(seed)) for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


def test_an_image_goes_on_beyond_its_edge() -> None:
    images = torch.full((4, 1, 9, 7), -0.42)
    warped = make_warp(9, 7, torch.device("cpu"))(images, 1.0, stream())
    assert torch.equal(warped, images)


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (3, 64)])
def test_odd_sizes_are_warped(size: tuple[int, int]) -> None:
    images = torch.rand(2, 3, *size, generator=stream())
    warped = make_warp(*size, torch.device("cpu"))(images, 0.2, stream())
    assert warped.shape == images.shape
    for before, after in zip(images.flatten(0, 1), warped.flatten(0, 1), strict=True):
        assert set(after.flatten().tolist()) <= set(before.flatten().tolist())


def test_rejection_is_cross_entropy_with_an_even_answer() -> None:
    logits = torch.randn(5, 8, generator=stream(), dtype=torch.float64)
    outputs = torch.tensor([1, 6])
    even = torch.full((8,), 1 / 6, dtype=torch.float64)
    even[outputs] = 0
    expected = torch.nn.functional.cross_entropy(logits, even.expand(5, 8), reduction="none")
    torch.testing.assert_close(rejection(logits, outputs), expected)


def test_rejection_is_least_for_the_even_answer() -> None:
    logits = torch.zeros(1, 8)
    logits[:, [1, 6]] = -100
    assert float(rejection(logits, torch.tensor([1, 6]))) == pytest.approx(math.log(6), rel=1e-5)


def test_rejection_needs_superfluous_outputs() -> None:
    with pytest.raises(ValueError, match="superfluous"):
        rejection(torch.zeros(1, 2), torch.tensor([0, 1]))
