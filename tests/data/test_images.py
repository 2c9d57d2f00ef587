"""Image files of every kind, and the pixels that are read from them."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from supsup_cli.data.images import fit_images, read_image

GREY = (1, 28, 28)
COLOUR = (3, 28, 28)


def noise(*shape: int) -> np.ndarray:
    return np.random.RandomState(5).randint(0, 256, shape).astype(np.uint8)


def save(image: Image.Image, path: Path, **options: object) -> str:
    image.save(path, **options)
    return str(path)


@pytest.mark.parametrize("suffix", ["png", "bmp", "pgm", "tif", "gif"])
def test_grey_of_the_inputs_size_is_unchanged(tmp_path: Path, suffix: str) -> None:
    pixels = noise(28, 28)
    path = save(Image.fromarray(pixels), tmp_path / f"a.{suffix}")
    result = read_image(path, GREY)
    assert result.dtype == np.uint8
    assert np.array_equal(result, pixels[None])
    assert np.array_equal(read_image(path, COLOUR), np.stack([pixels] * 3))


@pytest.mark.parametrize("suffix", ["png", "bmp", "ppm", "tif"])
def test_colour_of_the_inputs_size_is_unchanged(tmp_path: Path, suffix: str) -> None:
    pixels = noise(28, 28, 3)
    path = save(Image.fromarray(pixels), tmp_path / f"a.{suffix}")
    assert np.array_equal(read_image(path, COLOUR), pixels.transpose(2, 0, 1))


def test_the_content_decides_not_the_name(tmp_path: Path) -> None:
    pixels = noise(28, 28)
    path = save(Image.fromarray(pixels), tmp_path / "a.jpg", format="PNG")
    assert np.array_equal(read_image(path, GREY), pixels[None])


def test_grey_weights_are_itu_601(tmp_path: Path) -> None:
    pixels = np.zeros((28, 28, 3), dtype=np.uint8)
    pixels[:, :, 1] = 255
    result = read_image(save(Image.fromarray(pixels), tmp_path / "a.png"), GREY)
    assert set(result.ravel().tolist()) == {round(0.587 * 255)}


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_16_bit_is_scaled_not_clipped(tmp_path: Path, suffix: str) -> None:
    deep = np.linspace(0, 65535, 28 * 28).round().astype(np.uint16).reshape(28, 28)
    result = read_image(save(Image.fromarray(deep), tmp_path / f"a.{suffix}"), GREY)
    assert np.array_equal(result[0], np.rint(deep / 257))
    assert (result.min(), result.max()) == (0, 255)


def test_big_endian_and_32_bit_samples(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 28 * 28).round().astype(np.uint16).reshape(28, 28)
    big = Image.frombytes("I;16B", (28, 28), deep.astype(">u2").tobytes())
    whole = Image.fromarray(deep.astype(np.int32) - 100)
    expected = np.rint(deep / 257)
    assert np.array_equal(read_image(save(big, tmp_path / "a.tif"), GREY)[0], expected)
    found = read_image(save(whole, tmp_path / "b.tif"), GREY)[0].astype(int)
    assert found[0, 0] == 0
    assert np.abs(found - expected).max() <= 1


def test_floating_samples(tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 784, dtype=np.float32).reshape(28, 28)
    wide = np.linspace(-50, 300, 784, dtype=np.float32).reshape(28, 28)
    wide[3, 3] = np.nan
    one = read_image(save(Image.fromarray(unit), tmp_path / "a.tif"), GREY)
    two = read_image(save(Image.fromarray(wide), tmp_path / "b.tif"), GREY)
    assert np.array_equal(one[0], np.rint(unit * 255))
    assert np.array_equal(two[0], np.rint(np.clip(np.nan_to_num(wide, nan=0), 0, 255)))


def test_transparency_lies_over_black(tmp_path: Path) -> None:
    pixels = np.full((28, 28, 4), 200, dtype=np.uint8)
    pixels[:, :14, 3] = 0
    pixels[:, 14:, 3] = 255
    result = read_image(save(Image.fromarray(pixels), tmp_path / "a.png"), COLOUR)
    assert set(result[:, :, :14].ravel().tolist()) == {0}
    assert set(result[:, :, 14:].ravel().tolist()) == {200}


def test_half_transparent_grey(tmp_path: Path) -> None:
    pixels = np.dstack([np.full((28, 28), 200, np.uint8), np.full((28, 28), 128, np.uint8)])
    result = read_image(save(Image.fromarray(pixels), tmp_path / "a.png"), GREY)
    assert set(result.ravel().tolist()) == {round(200 * 128 / 255)}


def _palette() -> Image.Image:
    image = Image.fromarray((np.arange(784) % 2).astype(np.uint8).reshape(28, 28)).convert("P")
    image.putpalette([10, 20, 30, 200, 100, 50])
    return image


@pytest.mark.parametrize("suffix", ["png", "gif", "bmp"])
def test_palette(tmp_path: Path, suffix: str) -> None:
    result = read_image(save(_palette(), tmp_path / f"a.{suffix}"), COLOUR)
    assert result[:, 0, 0].tolist() == [10, 20, 30]
    assert result[:, 0, 1].tolist() == [200, 100, 50]


def test_palette_becomes_grey_as_its_colours_do(tmp_path: Path) -> None:
    palette = read_image(save(_palette(), tmp_path / "a.png"), GREY)
    colour = read_image(save(_palette().convert("RGB"), tmp_path / "b.png"), GREY)
    assert np.array_equal(palette, colour)


@pytest.mark.parametrize("suffix", ["png", "gif"])
def test_palette_with_transparency(tmp_path: Path, suffix: str) -> None:
    result = read_image(save(_palette(), tmp_path / f"a.{suffix}", transparency=1), COLOUR)
    assert result[:, 0, 0].tolist() == [10, 20, 30]
    assert result[:, 0, 1].tolist() == [0, 0, 0]


def test_palette_with_transparency_bytes(tmp_path: Path) -> None:
    path = save(_palette(), tmp_path / "a.png", transparency=bytes([255, 0]))
    assert read_image(path, COLOUR)[:, 0, 1].tolist() == [0, 0, 0]


def test_one_bit(tmp_path: Path) -> None:
    bits = np.arange(784).reshape(28, 28) % 3 == 0
    result = read_image(save(Image.fromarray(bits), tmp_path / "a.png"), GREY)
    assert np.array_equal(result[0], bits * 255)


def test_cmyk_jpeg(tmp_path: Path) -> None:
    image = Image.new("CMYK", (28, 28), (0, 255, 255, 0))
    red, green, blue = read_image(save(image, tmp_path / "a.jpg"), COLOUR)[:, 5, 5].tolist()
    assert red > 250
    assert max(green, blue) < 5


def test_first_frame_of_an_animation(tmp_path: Path) -> None:
    frames = [Image.new("L", (28, 28), level) for level in (50, 150, 250)]
    path = save(frames[0], tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert set(read_image(path, GREY).ravel().tolist()) == {50}


@pytest.mark.parametrize(("orientation", "turns"), [(1, 0), (3, 2), (6, 3), (8, 1)])
def test_exif_orientation(tmp_path: Path, orientation: int, turns: int) -> None:
    pixels = np.zeros((28, 28), dtype=np.uint8)
    pixels[:8, :8] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(Image.fromarray(pixels), tmp_path / "a.jpg", exif=exif, quality=95)
    upright = np.rot90(pixels, turns)
    assert np.abs(read_image(path, GREY)[0].astype(int) - upright).max() < 60


def test_damaged_exif_is_no_loss(tmp_path: Path) -> None:
    path = save(Image.new("L", (28, 28), 90), tmp_path / "a.jpg", exif=b"Exif\0\0II*\0\xff\xff")
    assert np.abs(read_image(path, GREY).astype(int) - 90).max() < 3


def test_one_pixel_and_extreme_shapes(tmp_path: Path) -> None:
    for size in ((1, 1), (1, 3000), (3000, 1), (27, 29), (2, 5)):
        path = save(Image.new("L", size, 77), tmp_path / "a.png")
        assert set(read_image(path, GREY).ravel().tolist()) == {77}


def test_a_large_image(tmp_path: Path) -> None:
    path = save(Image.new("L", (5000, 5000), 123), tmp_path / "a.png")
    assert set(read_image(path, COLOUR).ravel().tolist()) == {123}


def test_cover_keeps_the_centre(tmp_path: Path) -> None:
    pixels = np.zeros((28, 84), dtype=np.uint8)
    pixels[:, 28:56] = noise(28, 28)
    wide = read_image(save(Image.fromarray(pixels), tmp_path / "a.png"), GREY)
    tall = read_image(save(Image.fromarray(pixels.T.copy()), tmp_path / "b.png"), GREY)
    assert np.array_equal(wide[0], pixels[:, 28:56])
    assert np.array_equal(tall[0], pixels[:, 28:56].T)


def test_reducing_is_antialiased(tmp_path: Path) -> None:
    board = (np.indices((280, 280)).sum(axis=0) % 2 * 255).astype(np.uint8)
    result = read_image(save(Image.fromarray(board), tmp_path / "a.png"), GREY)
    assert np.abs(result.astype(int) - 127).max() <= 3


@settings(max_examples=40, deadline=None)
@given(
    source=st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)),
    target=st.tuples(st.sampled_from([1, 3]), st.integers(1, 40), st.integers(1, 40)),
)
def test_fit_images_gives_the_pixels_of_read_image(
    tmp_path_factory: pytest.TempPathFactory,
    source: tuple[int, int, int],
    target: tuple[int, int, int],
) -> None:
    folder = tmp_path_factory.mktemp("fit")
    images = noise(2, *source)
    fitted = fit_images(images, target)
    assert fitted.shape == (2, *target)
    for image, expected in zip(images, fitted, strict=True):
        rows = image[0] if source[0] == 1 else image.transpose(1, 2, 0).copy()
        assert np.array_equal(
            read_image(save(Image.fromarray(rows), folder / "a.png"), target), expected
        )


def test_fit_images_edges() -> None:
    images = noise(3, *GREY)
    assert fit_images(images, GREY) is images
    assert fit_images(images[:0], COLOUR).shape == (0, *COLOUR)
    with pytest.raises(ValueError, match="2 channels"):
        fit_images(images, (2, 28, 28))
    with pytest.raises(ValueError, match="2 channels"):
        fit_images(noise(1, 2, 4, 4), GREY)
