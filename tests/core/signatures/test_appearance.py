"""What images look like: noise and drawings lie outside of photos."""

import numpy as np
import pytest
import torch

from supsup_cli.core.signatures.appearance import NUMBERS, appearance, fit_appearance, oddness
from supsup_cli.core.signatures.maps import reference_images

SHAPE = (3, 32, 32)


def _odd(images: torch.Tensor, known: torch.Tensor) -> np.ndarray:
    mean, matrix = fit_appearance(appearance(known).numpy())
    return oddness(appearance(images).numpy(), mean.astype(np.float32), matrix.astype(np.float32))


def test_an_image_of_the_task_itself_has_as_many_squares_as_numbers() -> None:
    known = torch.from_numpy(reference_images(SHAPE))
    assert float(_odd(known, known).mean()) == pytest.approx(NUMBERS, rel=0.1)


def test_noise_and_drawings_are_odd_among_images_of_a_falling_spectrum() -> None:
    known = torch.from_numpy(reference_images(SHAPE))
    stream = torch.Generator().manual_seed(0)
    uniform = torch.randint(0, 256, (50, *SHAPE), generator=stream, dtype=torch.uint8)
    normal = (127 + 50 * torch.randn(50, *SHAPE, generator=stream)).clamp(0, 255).byte()
    strokes = torch.zeros(50, *SHAPE, dtype=torch.uint8)
    for place in range(50):
        strokes[place, :, 8:24, 6 + place % 20 : 9 + place % 20] = 255
    farthest = _odd(known, known).max()
    for strangers in (uniform, normal, strokes):
        assert float(_odd(strangers, known).min()) > 2 * farthest


def test_an_image_s_numbers_do_not_depend_on_its_neighbours() -> None:
    images = torch.from_numpy(reference_images(SHAPE)[:300])
    together = appearance(images)
    for place in (0, 255, 256, 299):
        alone = appearance(images[place : place + 1])[0]
        torch.testing.assert_close(alone, together[place], rtol=1e-12, atol=1e-12)


def test_images_that_are_all_alike_are_no_error() -> None:
    plain = torch.full((3, *SHAPE), 90, dtype=torch.uint8)
    assert np.isfinite(_odd(plain, plain)).all()
    assert appearance(plain[:0]).shape == (0, NUMBERS)
