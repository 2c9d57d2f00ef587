"""Images that are not what they seem: an exit code and one clear line; the rest is answered."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.commands import run

COMMANDS = ["infer-task", "predict"]


@pytest.fixture(scope="module")
def good(images: Path) -> Path:
    return next((images / "split-3").rglob("*.png"))


def _picture(mode: str, size: tuple[int, int]) -> Image.Image:
    noise = np.random.default_rng(0)
    if mode == "I;16":
        return Image.fromarray(noise.integers(0, 65536, size[::-1], dtype=np.uint16))
    colours = Image.fromarray(noise.integers(0, 256, (*size[::-1], 3), dtype=np.uint8))
    return colours.convert(mode)


USABLE = {
    "grey": ("L", (28, 28), "png"),
    "one pixel": ("L", (1, 1), "png"),
    "large": ("RGB", (5000, 5000), "jpg"),
    "with transparency": ("RGBA", (60, 30), "png"),
    "palette": ("P", (30, 60), "png"),
    "16 bits": ("I;16", (28, 28), "png"),
    "black and white": ("1", (28, 28), "png"),
    "four inks": ("CMYK", (28, 28), "jpg"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_unusual_images_are_answered(command: str, bank: Path, tmp_path: Path) -> None:
    for name, (mode, size, ending) in USABLE.items():
        _picture(mode, size).save(tmp_path / f"{name}.{ending}")
    ran = run(command, "--bank", bank, tmp_path, "--json")
    assert (ran.code, ran.err) == (0, "")
    assert len(ran.json["results"]) == len(USABLE)
    for one in ran.json["results"]:
        assert one["error"] is None
        assert one["task"].startswith("mnist-")


def _text(path: Path, _good: Path) -> None:
    path.write_text("no image")


def _empty(path: Path, _good: Path) -> None:
    path.touch()


def _truncated_jpeg(path: Path, _good: Path) -> None:
    _picture("RGB", (64, 64)).save(path, "JPEG")
    path.write_bytes(path.read_bytes()[:900])


def _truncated_png(path: Path, good: Path) -> None:
    path.write_bytes(good.read_bytes()[:100])


BROKEN = {
    "text": (_text, "not an image"),
    "empty": (_empty, "an empty file"),
    "truncated JPEG": (_truncated_jpeg, "truncated"),
    "truncated PNG": (_truncated_png, "truncated"),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_broken_image_among_good_ones_exits_3(
    command: str, case: str, bank: Path, good: Path, tmp_path: Path
) -> None:
    make, reason = BROKEN[case]
    shutil.copy(good, tmp_path / "a.png")
    make(tmp_path / "b.png", good)
    shutil.copy(good, tmp_path / "c.png")
    ran = run(command, "--bank", bank, tmp_path, "--json")
    assert (ran.code, ran.err, ran.json["ok"]) == (3, "", True)
    first, broken, last = ran.json["results"]
    assert broken["source"] == str(tmp_path / "b.png")
    assert reason in broken["error"]
    assert (broken["task"], broken["known"]) == (None, None)
    assert first["task"] == last["task"] is not None
    assert first["error"] is last["error"] is None
    told = run(command, "--bank", bank, tmp_path)
    lines = [line for line in told.out.splitlines() if "b.png" in line]
    assert (told.code, told.err, len(lines)) == (3, "", 1)
    assert reason in lines[0]


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("command", COMMANDS)
def test_nothing_but_a_broken_image_exits_2(
    command: str, case: str, bank: Path, good: Path, tmp_path: Path
) -> None:
    make, reason = BROKEN[case]
    make(tmp_path / "b.png", good)
    for group in ("image", "all"):
        told = run(command, "--bank", bank, tmp_path / "b.png", "--group", group)
        assert (told.code, told.out) == (2, "")
        message, _hint = told.err.splitlines()
        assert f"{tmp_path}/b.png: " in message
        assert reason in message


@pytest.mark.parametrize("command", COMMANDS)
def test_an_empty_folder_exits_2(command: str, bank: Path, tmp_path: Path) -> None:
    told = run(command, "--bank", bank, tmp_path)
    message, hint = told.err.splitlines()
    assert (told.code, told.out) == (2, "")
    assert message.startswith(f"supsup: {tmp_path}: no image in this folder")
    assert hint == "  hint: supsup data export mnist images --limit 100"


def test_a_broken_image_keeps_its_place_in_a_group(bank: Path, good: Path, tmp_path: Path) -> None:
    for place in range(3):
        shutil.copy(good, tmp_path / f"{place}.png")
    (tmp_path / "1b.png").write_text("no image")
    ran = run("infer-task", "--bank", bank, tmp_path, "--group", "all", "--json")
    assert ran.code == 3
    whole, broken = ran.json["results"]
    assert (whole["source"], whole["images"], whole["error"]) == ("all", 3, None)
    assert (broken["source"], broken["images"]) == (str(tmp_path / "1b.png"), 0)
