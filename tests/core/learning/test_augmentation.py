"""Augmentation only moves pixels, has its own random stream, and is resumed with the rest."""

from pathlib import Path

import pytest
import torch

from supsup_cli.core.learning.batches.augmentation import augment, parse_augmentation
from tests.support.commands import answer, make_class_folder, run


def _images(count: int) -> torch.Tensor:
    """Every pixel holds its place: 16 x row + column."""
    places = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16)
    return places.repeat(count, 3, 1, 1)


def _stream(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_flips_mirror_about_half_of_the_images() -> None:
    images = _images(400)
    changed = augment(images, "flip", _stream(0))
    mirrored = (changed == images.flip(-1)).flatten(1).all(1)
    assert ((changed == images).flatten(1).all(1) ^ mirrored).all()
    assert 150 < int(mirrored.sum()) < 250


def test_shifts_reach_an_eighth_and_repeat_the_edge() -> None:
    changed = augment(_images(600), "shift", _stream(0))
    rows, columns = changed[:, 0].long() // 16, changed[:, 0].long() % 16
    down, right = rows[:, 8, 0] - 8, columns[:, 0, 8] - 8
    for offsets in (down, right):
        assert sorted(set(offsets.tolist())) == [-2, -1, 0, 1, 2]
    expected = (torch.arange(16) + down[:, None]).clamp(0, 15)
    assert (rows == expected[:, :, None]).all()
    assert (changed == changed[:, :1]).all()


def test_the_stream_decides() -> None:
    images = _images(50)
    first, again, other = (augment(images, "flip,shift", _stream(seed)) for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_words() -> None:
    assert parse_augmentation("shift,flip") == "flip,shift"
    assert parse_augmentation("flip") == "flip"
    for wrong in ("", "turn", "flip,", "flip shift"):
        with pytest.raises(ValueError, match="expected flip, shift"):
            parse_augmentation(wrong)


def test_it_is_a_setting_of_the_task_and_changes_the_mask(tmp_path: Path) -> None:
    bank, folder = tmp_path / "bank", make_class_folder(tmp_path / "rows", {"a": 0, "b": 18})
    assert run("init-base", "--bank", bank, "--arch", "mlp-8", "--outputs", 40).code == 0
    learned = {}
    for name, more in (
        ("plain", ()),
        ("moved", ("--augment", "shift")),
        ("again", ("--augment", "shift")),
    ):
        words = ("--bank", bank, "--data", folder, "--name", name, "--steps", 10)
        assert answer("learn-task", *words, *more)["tasks"][0]["status"] == "learned"
        learned[name] = answer("tasks", "show", name, "--bank", bank)["tasks"][0]
    assert learned["moved"]["settings"]["augment"] == "shift"
    assert "augment" not in learned["plain"]["settings"]
    words = ("--bank", bank, "--data", folder, "--name", "plain", "--steps", 10)
    assert run("learn-task", *words, "--augment", "flip").code == 11
    ran = run("learn-task", *words, "--augment", "sideways")
    assert (ran.code, "expected flip, shift" in ran.err) == (2, True)
