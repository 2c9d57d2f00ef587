"""Image files that cannot be read: one line that says why, and the others are read all the same."""

import os
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supsup_cli.data.images import read_image, read_images
from supsup_cli.errors import ImageError, SupsupError
from tests.data.test_images import GREY, noise, save


def _jpeg_part(path: Path) -> None:
    Image.fromarray(noise(200, 200, 3)).save(path, format="JPEG")
    path.write_bytes(path.read_bytes()[:3000])


def _png_part(path: Path) -> None:
    Image.fromarray(noise(200, 200)).save(path, format="PNG")
    path.write_bytes(path.read_bytes()[:5000])


BROKEN = {
    "text": (lambda path: path.write_text("no image\n" * 9), "not an image"),
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "folder": (lambda path: path.mkdir(), "a folder"),
    "missing": (lambda _: None, "No such file"),
    "jpeg part": (_jpeg_part, "truncated"),
    "png part": (_png_part, "truncated|broken|damaged"),
    "header": (lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"\0" * 30), "."),
    "pipe": (os.mkfifo, "a device or pipe"),
    "link to itself": (lambda path: path.symlink_to(path.name), "symbolic links"),
    "postscript": (lambda path: path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n"), "not an image"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_files_give_one_line(tmp_path: Path, kind: str) -> None:
    make, reason = BROKEN[kind]
    path = tmp_path / "a.png"
    make(path)
    with pytest.raises(ImageError, match=reason) as caught:
        read_image(str(path), GREY)
    assert caught.value.path == str(path)
    assert caught.value.message == f"{path}: {caught.value.reason}"
    assert "\n" not in caught.value.message
    assert caught.value.exit_code == 2
    assert isinstance(caught.value, SupsupError)


def test_unreadable_path_text() -> None:
    with pytest.raises(ImageError, match="null"):
        read_image("a\0b.png", GREY)


def test_too_many_pixels_are_refused_before_decoding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(Image.new("1", (300, 300)), tmp_path / "a.png")
    with pytest.raises(ImageError, match="90,000 pixels, expected at most 80,000"):
        read_image(path, GREY, max_pixels=80_000)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ImageError, match="too many pixels"):
        read_image(path, GREY)


def test_pillows_warnings_are_silenced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(Image.new("L", (30, 50), 8), tmp_path / "a.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read_image(path, GREY).max() == 8


def test_every_shortened_file_is_an_image_or_an_error(tmp_path: Path) -> None:
    for suffix in ("png", "gif", "bmp", "tif", "webp", "jpg"):
        whole = tmp_path / f"whole.{suffix}"
        Image.fromarray(noise(9, 9, 3)).save(whole)
        content = whole.read_bytes()
        part = tmp_path / f"part.{suffix}"
        refused = 0
        for length in range(0, len(content), 1 + len(content) // 60):
            part.write_bytes(content[:length])
            refused += isinstance(read_images([str(part)], GREY)[0], ImageError)
        assert refused > 20, suffix


def test_read_images_keeps_order_and_places(tmp_path: Path) -> None:
    paths = [save(Image.new("L", (5, 5), n), tmp_path / f"{n}.png") for n in range(40)]
    paths[7] = str(tmp_path / "gone.png")
    for place, result in enumerate(read_images(paths, GREY)):
        if place == 7:
            assert isinstance(result, ImageError)
        else:
            assert set(np.asarray(result).ravel().tolist()) == {place}
    assert read_images([], GREY) == []


def test_bad_channel_count_is_a_mistake_not_a_broken_image(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="4 channels"):
        read_image(str(tmp_path / "a.png"), (4, 28, 28))
