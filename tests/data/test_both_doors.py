"""An image gives the same answer as a path and as an image that the caller opened."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageOps

from supsup_cli import api
from supsup_cli.data.images import read_image
from supsup_cli.data.supplied import as_images, task_data
from supsup_cli.errors import ImageError, UsageError

FORMATS = ("PNG", "JPEG", "MPO", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM", "TGA", "JPEG2000")
MODES = (*(mode for mode in Image.MODES if not mode.startswith("I;16")), "I;16", "I;16B")
SHAPES = ((1, 9, 7), (3, 6, 6), (3, 16, 20))


def _noise(size: tuple[int, int], seed: int) -> np.ndarray:
    return np.random.RandomState(seed).randint(0, 256, (size[1], size[0], 4)).astype(np.uint8)


def _of_mode(mode: str, noise: np.ndarray) -> Image.Image:
    colours = Image.fromarray(noise)
    deep = noise[..., :2].copy().view(np.uint16)[..., 0]
    if mode == "LAB":
        profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
        made = ImageCms.profileToProfile(colours.convert("RGB"), *profiles, outputMode="LAB")
        assert made is not None
        return made
    if mode == "F":
        return Image.fromarray(deep.astype(np.float32) / (65535 if noise[0, 0, 0] % 2 else 100))
    if mode == "I":
        return Image.fromarray(deep.astype(np.int32))
    if mode.startswith("I;16"):
        order = ">u2" if mode.endswith("B") else "<u2"
        return Image.frombytes(mode, colours.size, deep.astype(order).tobytes())
    steps = {
        "La": ("LA", "La"),
        "PA": ("P", "PA"),
        "HSV": ("RGB", "HSV"),
        "YCbCr": ("RGB", "YCbCr"),
    }
    for step in steps.get(mode, (mode,)):
        colours = colours.convert(step)
    return colours


@st.composite
def _saved(draw: st.DrawFn) -> tuple[Image.Image, str, dict[str, Any]]:
    size = draw(st.tuples(st.integers(1, 40), st.integers(1, 40)))
    mode, form = draw(st.sampled_from(MODES)), draw(st.sampled_from(FORMATS))
    image = _of_mode(mode, _noise(size, draw(st.integers(0, 9))))
    options: dict[str, Any] = {}
    if draw(st.booleans()) and form in ("JPEG", "PNG", "WEBP", "TIFF", "MPO"):
        options["exif"] = Image.Exif()
        options["exif"][0x0112] = draw(st.integers(1, 8))
    if form in ("PNG", "GIF") and mode in ("P", "L", "RGB") and draw(st.booleans()):
        options["transparency"] = (0, 0, 0) if mode == "RGB" and form == "PNG" else 3
    if form in ("GIF", "WEBP", "TIFF", "MPO", "PNG") and draw(st.booleans()):
        options |= {"save_all": True, "append_images": [ImageOps.mirror(_plain(image))]}
    if form == "JPEG" and draw(st.booleans()):
        options["progressive"] = True
    return image, form, options


def _plain(image: Image.Image) -> Image.Image:
    return image.copy() if image.mode != "LAB" else Image.new("LAB", image.size)


@settings(
    max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(saved=_saved(), shape=st.sampled_from(SHAPES))
def test_every_mode_and_format_gives_the_same_pixels_by_both_doors(
    saved: tuple[Image.Image, str, dict[str, Any]], shape: tuple[int, int, int], tmp_path: Path
) -> None:
    image, form, options = saved
    path = tmp_path / f"x{'.tga' if form == 'TGA' else ''}"
    try:
        image.save(path, form, **options)
    except Exception:  # Pillow cannot write this mode in this format
        return
    by_path = read_image(str(path), shape)
    with Image.open(path) as opened:
        assert np.array_equal(as_images(opened, shape)[0], by_path)
    # not by its name: Pillow itself exchanges the sides of a rotated TIFF when it loads it
    with Image.open(io.BytesIO(path.read_bytes())) as opened:
        reduced = form in ("JPEG", "MPO") and min(opened.size) >= 4 * max(shape[1:])
        if not reduced:  # an image that is already decoded is not decoded again in a smaller size
            opened.load()
        assert np.array_equal(as_images([opened], shape)[0], by_path)
        data = task_data("x", [(opened, 0), (str(path), 1)] * 2, None, shape, 0)
    given = np.concatenate([data.train.images, data.test.images])
    assert (given == by_path).all()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_has_pixels_of_its_own(mode: str) -> None:
    noise = _noise((8, 6), 1)
    noise[..., 3] = 255  # opaque
    noise[0, 0, 0] = 1  # floats from 0 to 1
    found = as_images(_of_mode(mode, noise), (3, 6, 8))[0].astype(int)
    deep = noise[..., :2].copy().view(np.uint16)[..., 0]
    if mode.startswith("I") or mode == "F":
        expected = np.stack([np.rint(deep / 257)] * 3)
    elif mode in ("1", "P", "PA"):
        expected = np.asarray(_of_mode(mode, noise).convert("RGB")).astype(int).transpose(2, 0, 1)
    elif mode in ("L", "LA", "La"):
        expected = np.stack([np.asarray(Image.fromarray(noise).convert("L")).astype(int)] * 3)
    else:
        expected = noise[..., :3].transpose(2, 0, 1).astype(int)
    # rounding of hues and of CIE L*a*b*, which clips the boldest colours
    most = {"HSV": 12, "YCbCr": 3, "LAB": 30}.get(mode, 0)
    assert np.abs(found - expected).max() <= most


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photo_turned_by_exif_is_turned_by_both_doors(orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = Image.fromarray(_noise((24, 16), 3)).convert("L").resize((240, 160))
    noise.save(tmp_path / "x.jpg", exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(tmp_path / "x.jpg"))
    expected = as_images(np.asarray(upright), (1, 20, 20))[0].astype(int)
    for one in _by_both_doors(tmp_path / "x.jpg", (1, 20, 20)):
        assert np.abs(one.astype(int) - expected).max() <= 6  # decoded in a smaller size


def _by_both_doors(path: Path, shape: tuple[int, int, int]) -> Iterator[np.ndarray]:
    yield read_image(str(path), shape)
    with Image.open(path) as image:
        yield as_images(image, shape)[0]
        # as torchvision's ImageFolder passes it
        yield as_images(image.convert("RGB"), shape)[0]


def test_a_large_photo_is_the_same_and_the_program_keeps_its_own(tmp_path: Path) -> None:
    Image.fromarray(_noise((60, 40), 2)).convert("RGB").resize((1200, 800)).save(tmp_path / "x.jpg")
    by_path = read_image(str(tmp_path / "x.jpg"), (3, 24, 24))
    with Image.open(tmp_path / "x.jpg") as image:
        assert np.array_equal(as_images(image, (3, 24, 24))[0], by_path)
        assert image.size == (1200, 800)
        image.load()
        loaded = as_images(image, (3, 24, 24))[0]
    assert np.abs(loaded.astype(int) - by_path).mean() < 2


def test_an_image_that_cannot_be_decoded_is_named(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    Image.fromarray(_noise((60, 60), 0)).save(buffer, "PNG")
    (tmp_path / "cut.png").write_bytes(buffer.getvalue()[:2000])
    whole = Image.new("L", (5, 5))
    with Image.open(tmp_path / "cut.png") as cut, pytest.raises(ImageError, match=r"cut\.png: "):
        as_images([whole, cut], (1, 8, 8))
    opened = Image.open(io.BytesIO(buffer.getvalue()[:2000]))
    with pytest.raises(ImageError, match="image 1: "):
        task_data("x", [(whole, 0), (opened, 1)], None, (1, 8, 8), 0)
    with pytest.raises(UsageError, match="int64 found"):
        as_images([np.zeros((4, 4), np.int64)], (1, 8, 8))


def test_a_turned_photo_gets_one_answer_by_both_doors(tmp_path: Path) -> None:
    bank = api.create(tmp_path / "bank", arch="mlp-16", input_shape=(1, 12, 12), outputs=60)
    photos = []
    for place in range(40):
        pixels = _noise((48, 48), place)[..., 0] // 3
        pixels[:24] += 150
        upper = Image.fromarray(pixels)
        photos += [(upper, 0), (upper.rotate(180), 1)]
    learned = bank.learn_dataset("halves", photos, classes=("upper", "lower"), steps=80)
    assert learned.accuracy is not None
    assert learned.accuracy > 0.9
    exif = Image.Exif()
    exif[0x0112] = 3
    path = tmp_path / "turned.jpg"
    photos[0][0].save(path, exif=exif, quality=95)  # it is upside down, and says so
    by_path, by_image = bank.predict(path)[0], bank.predict(Image.open(path))[0]
    assert by_path.label == by_image.label == "lower"
    assert by_path.probability == by_image.probability
