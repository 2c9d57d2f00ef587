"""Users' photos: of any size and mode, some broken, classes of any size."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from supsup_cli.data import image_buffer
from supsup_cli.data.images import read_image
from supsup_cli.data.splits import part_calibration
from supsup_cli.errors import StorageError
from tests.support.commands import ROOT, answer, run

BROKEN = {
    "cut.jpg": "truncated",
    "text.jpg": "not an image",
    "empty.png": "an empty file",
    "phone.heic": "not an image",
    "bomb.png": "pixels, expected at most",
}


def _photo(size: tuple[int, int], tint: int) -> Image.Image:
    """Draw a smooth photo of width x height, mostly red or mostly blue."""
    down, right = np.mgrid[0 : size[1], 0 : size[0]]
    waves = 60 + 40 * np.sin(down / 9) + 40 * np.cos(right / 13)
    colours = np.stack([waves + 90 * (1 - tint), waves, waves + 90 * tint], axis=-1)
    return Image.fromarray(colours.astype(np.uint8))


def _save_all_kinds(folder: Path, tint: int) -> int:
    """Write a photo in every usual format; return the number of files."""
    folder.mkdir(parents=True)
    photo = _photo((90, 60), tint)
    deep = np.asarray(photo.convert("L")).astype(np.uint16) * 257
    turned = Image.Exif()
    turned[274] = 6
    photo.save(folder / "plain.jpg")
    photo.save(folder / "turned.jpg", exif=turned)
    photo.save(folder / "progressive.JPEG", progressive=True)
    photo.convert("CMYK").save(folder / "inks.jpg")
    Image.fromarray(deep).save(folder / "deep.png")
    photo.resize((1, 1)).save(folder / "tiny.png")
    photo.resize((3000, 2000)).save(folder / "huge.jpg")
    photo.convert("RGBA").save(folder / "see through.webp")
    photo.save(folder / "moving.gif", save_all=True, append_images=[photo.rotate(90)])
    photo.save(folder / "really a png.jpg", format="PNG")
    photo.save(folder / "really a jpeg.png", format="JPEG")
    return len(list(folder.iterdir()))


def _save_broken(folder: Path) -> None:
    _photo((90, 60), 0).save(folder / "cut.jpg")
    (folder / "cut.jpg").write_bytes((folder / "cut.jpg").read_bytes()[:900])
    (folder / "text.jpg").write_text("no image")
    (folder / "empty.png").touch()
    (folder / "phone.heic").write_bytes(b"\0\0\0\x18ftypheic" + bytes(40))
    Image.new("1", (12_000, 12_000)).save(folder / "bomb.png")


def test_what_is_good_is_learned_and_what_is_bad_is_named(tmp_path: Path) -> None:
    folder, bank = tmp_path / "photos", tmp_path / "bank"
    good = sum(_save_all_kinds(folder / name, tint) for tint, name in enumerate(("red", "blue")))
    for place in range(30):
        _photo((40 + place, 70), 0).save(folder / "red" / f"more{place}.jpg")
    _save_broken(folder / "red")
    shape = ("--arch", "mlp-16", "--input", "3x16x16", "--outputs", 60)
    assert run("init-base", "--bank", bank, *shape).code == 0
    words = ("--bank", bank, "--data", folder, "--steps", 60)
    ran = run("learn-task", *words, "--json")
    assert ran.code == 3
    assert {
        Path(one["source"]).name: one["error"] for one in ran.json["failed"]
    }.keys() == BROKEN.keys()
    for one in ran.json["failed"]:
        assert BROKEN[Path(one["source"]).name] in one["error"]
    assert ran.json["tasks"][0]["classes"] == ["blue", "red"]
    assert "2 classes (blue 9, red 3" in ran.err
    answered = run("predict", "--bank", bank, folder, "--json")
    assert answered.code == 3
    results = answered.json["results"]
    assert {Path(one["source"]).name for one in results if one["error"]} == BROKEN.keys()
    told = [one for one in results if not one["error"]]
    assert len(told) == good + 30
    right = [one["label"] == Path(one["source"]).parent.name for one in told]
    assert sum(right) / len(right) > 0.8


@pytest.mark.parametrize("orientation", [1, 6])
@pytest.mark.parametrize("progressive", [False, True])
def test_a_large_jpeg_looks_as_it_does_decoded_whole(
    orientation: int, progressive: bool, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    photo = _photo((1600, 1200), 1)
    path = tmp_path / "large.jpg"
    photo.save(path, quality=95, exif=exif, progressive=progressive)
    with Image.open(path) as image:
        whole = image.convert("RGB").rotate(-90 if orientation == 6 else 0, expand=True)
    whole.save(tmp_path / "whole.png")
    reduced, exact = (
        read_image(str(tmp_path / name), (3, 32, 48)) for name in ("large.jpg", "whole.png")
    )
    difference = np.abs(reduced.astype(int) - exact)
    assert difference.max() <= 12
    assert difference.mean() < 2


def test_memory_does_not_grow_with_the_number_of_photos(tmp_path: Path) -> None:
    _photo((1200, 800), 0).resize((2400, 1600)).save(tmp_path / "00.jpg", quality=60)
    for place in range(1, 24):
        (tmp_path / f"{place:02d}.jpg").hardlink_to(tmp_path / "00.jpg")
    script = (
        "import resource, sys; from supsup_cli.data.images import read_images\n"
        "read_images(sys.argv[1:], (3, 32, 32))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)"
    )
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    few, many = (
        int(
            subprocess.run(
                [sys.executable, "-c", script, *files[:count]],
                capture_output=True,
                check=True,
                cwd=ROOT,
            ).stdout
        )
        for count in (8, 24)
    )
    assert many - few < 12  # MiB; decoding one of these photos in full takes 11


def _numbered(count: int) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    numbers = np.arange(count)
    images = np.zeros((count, 3, 2, 2), np.uint8)
    images[:, 0, 0] = np.stack([numbers // 256, numbers % 256], axis=1)
    return images, numbers % 7


def test_calibration_is_parted_in_place_as_it_is_by_copies() -> None:
    images, labels = _numbered(3000)
    copies = part_calibration(images, labels, 5)
    parts = part_calibration(images, labels, 5, in_place=True)
    for copied, part in zip(copies, parts, strict=True):
        assert (copied.images == part.images).all()
        assert (copied.labels == part.labels).all()
    assert np.shares_memory(parts[0].images, images)


def test_many_images_lie_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_buffer, "_IN_MEMORY", 1000)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    images = image_buffer.make_image_buffer(10, (3, 8, 8))
    assert (images.shape, images.dtype) == ((10, 3, 8, 8), np.uint8)
    images[:] = 7
    assert images.sum() == 7 * images.size
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(StorageError, match="no room for 1,920 bytes of decoded images"):
        image_buffer.make_image_buffer(10, (3, 8, 8))


def test_an_epoch_from_disk_learns_the_same_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for tint, name in enumerate(("red", "blue")):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for place in range(30):
            _photo((30 + place, 30), tint).save(tmp_path / "photos" / name / f"{place}.jpg")
    digests = []
    for place, most in enumerate((2**30, 100)):
        monkeypatch.setattr(image_buffer, "_IN_MEMORY", most)
        bank = tmp_path / f"bank{place}"
        assert run("init-base", "--bank", bank, "--arch", "mlp-8", "--input", "3x8x8").code == 0
        words = ("--data", tmp_path / "photos", "--steps", 20)
        learned = answer("learn-task", "--bank", bank, *words)["tasks"]
        digests.append(learned[0]["content_sha256"])
    assert digests[0] == digests[1]
