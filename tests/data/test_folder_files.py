"""Which files of a folder count: endings, links, spellings, equal files; each is hashed once."""

import shutil
import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from supsup_cli.data.catalog import digest, load
from supsup_cli.data.folders import digests
from supsup_cli.data.folders.walking import Seen
from supsup_cli.data.sources import find_images
from tests.support.folder_trees import SHAPE, write_images

SPLITS = ("train/cat/", "train/dog/", "test/cat/", "test/dog/")


def test_all_endings_are_read(tmp_path: Path) -> None:
    write_images(tmp_path, "cat/", "dog/", each=2)
    kinds = {
        ".mpo": "MPO", ".jpe": "JPEG", ".jfif": "JPEG", ".apng": "PNG", ".pbm": "PPM",
        ".pgm": "PPM", ".ppm": "PPM", ".pnm": "PPM", ".tga": "TGA", ".dib": "DIB",
        ".jp2": "JPEG2000",
    }  # fmt: skip
    for ending, kind in kinds.items():
        image = Image.new("1" if ending == ".pbm" else "L" if ending == ".pgm" else "RGB", (9, 9))
        image.save(tmp_path / "dog" / f"x{ending.upper()}", format=kind)
    data = load(str(tmp_path), (3, 9, 9))
    assert data.broken == ()
    assert len(data.train) + len(data.calibration) + len(data.test) == 4 + len(kinds)


def test_a_link_to_the_parent_counts_no_other_classes_images(tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pets", "cat/", "dog/", each=10)
    (folder / "cat" / "up").symlink_to("..")
    (folder / "cat" / "friend").symlink_to("../dog")
    (folder / "cat" / "far").symlink_to(tmp_path)
    data = load(str(folder), SHAPE)
    assert len(data.train) + len(data.calibration) + len(data.test) == 20
    assert any(
        "3 links to a folder above or to another class not followed" in n for n in data.notes
    )
    seen = Seen()
    assert len(find_images([str(folder / "cat")], seen=seen)) == 20  # "friend" is not above
    assert sorted(seen.links) == [str(folder / "cat" / name) for name in ("far", "up")]


def test_class_folders_may_be_links(tmp_path: Path) -> None:
    write_images(tmp_path / "store", "cat/", "dog/", "bird/", each=10)
    (tmp_path / "task").mkdir()
    for name in ("cat", "dog"):
        (tmp_path / "task" / name).symlink_to(tmp_path / "store" / name)
    data = load(str(tmp_path / "task"), SHAPE)
    assert len(data.train) + len(data.calibration) + len(data.test) == 20


def test_names_equal_after_normalisation_are_one_class(tmp_path: Path) -> None:
    one, other = (unicodedata.normalize(form, "café") for form in ("NFD", "NFC"))
    assert one != other
    write_images(tmp_path, f"train/{one}/", "train/thé/", f"test/{other}/", "test/thé/", each=10)
    data = load(str(tmp_path), SHAPE)
    assert data.classes == (one, "thé")
    assert len(data.test) == 20
    flat = write_images(tmp_path / "flat", f"{one}/", f"{other}/", "thé/", each=10)
    assert load(str(flat), SHAPE).classes == (one, "thé")


def test_equal_files_are_told_in_one_note(tmp_path: Path) -> None:
    folder = write_images(tmp_path, *SPLITS, each=10)
    shutil.copy(folder / "train/cat/00.png", folder / "train/dog/copy.png")
    for name in ("01", "02"):
        shutil.copy(folder / f"train/cat/{name}.png", folder / f"test/cat/copy{name}.png")
    for empty in ("train/cat/x.png", "test/dog/x.png"):
        (folder / empty).touch()
    line = "images that appear more than once: 1 in more than one class, 2 in both train and test"
    assert line in load(str(folder), SHAPE).notes


def test_a_file_is_hashed_once_while_it_stays_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path, "cat/", "dog/", each=10)
    monkeypatch.setattr(digests, "_SETTLED", 0)
    hashed: list[str] = []
    real = digests.hashlib.file_digest

    def count(file: object, name: str) -> object:
        hashed.append(str(file.name))  # type: ignore[attr-defined]
        return real(file, name)  # type: ignore[arg-type]

    monkeypatch.setattr(digests.hashlib, "file_digest", count)
    first = digest(str(folder), SHAPE)
    assert load(str(folder), SHAPE).digest == first
    assert len(hashed) == 20
    write_images(folder, "cat/00.png")
    Image.new("L", (8, 8)).save(folder / "cat" / "00.png")
    assert digest(str(folder), SHAPE) != first
    assert len(hashed) == 21
