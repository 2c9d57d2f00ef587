"""The photo-like set: patches of one photo's training and test tiles share no pixel."""

import numpy as np
from PIL import Image

from tests.benchmarks.made.photo_patches import TASKS, colour, cut


def _places(patches: list[Image.Image]) -> set[tuple[int, int]]:
    return {
        (int(red), int(green))
        for patch in patches
        for red, green, _ in np.asarray(patch).reshape(-1, 3)
    }


def test_training_and_test_patches_share_no_pixel() -> None:
    down, right = np.mgrid[0:160, 0:200].astype(np.uint8)
    photo = Image.fromarray(np.stack([down, right, down], axis=-1))
    train, test = cut(photo, "train", 200, 16), cut(photo, "test", 60, 16)
    assert len(train) == 200
    assert {patch.size for patch in train} == {(16, 16)}
    assert _places(train).isdisjoint(_places(test))
    again = cut(photo, "train", 200, 16)
    assert all(one.tobytes() == other.tobytes() for one, other in zip(train, again, strict=True))


def test_every_task_has_four_photos_of_enough_pixels() -> None:
    assert all(len(photos) == 4 for photos in TASKS.values())
    for photos in TASKS.values():
        for open_photo in photos.values():
            image = colour(np.asarray(open_photo()))
            assert (image.mode, min(image.size) <= 400) == ("RGB", True)
            assert len(cut(image, "test", 100, 32)) == 100
