"""Folders of class folders as tasks: layouts, shares held out, broken images, digests."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supsup_cli.data.catalog import digest, load, load_test
from supsup_cli.data.folders import loading
from supsup_cli.data.splits import Split
from supsup_cli.errors import NoInputError, StorageError, UsageError

SHAPE = (1, 4, 4)


def _fill(folder: Path, count: int, first: int = 0) -> None:
    """Write `count` images, each of a single grey level that identifies it."""
    folder.mkdir(parents=True, exist_ok=True)
    for level in range(first, first + count):
        Image.new("L", (4, 4), level).save(folder / f"{level:03d}.png")


def _levels(split: Split) -> list[int]:
    return split.images[:, 0, 0, 0].tolist()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    _fill(tmp_path / "pets" / "cat", 40)
    _fill(tmp_path / "pets" / "dog", 20, first=100)
    return tmp_path / "pets"


def test_a_seeded_share_of_each_class_is_held_out(pets: Path) -> None:
    data = load(str(pets), SHAPE, seed=1)
    assert data.classes == ("cat", "dog")
    assert data.outputs == (0, 1)
    assert (data.name, data.source, data.broken) == ("pets", str(pets), ())
    assert np.bincount(data.test.labels).tolist() == [6, 3]
    assert len(data.calibration) == (60 - 9) // 20
    whole = _levels(data.train) + _levels(data.calibration) + _levels(data.test)
    assert sorted(whole) == [*range(40), *range(100, 120)]
    for split in (data.train, data.calibration, data.test):
        assert [level >= 100 for level in _levels(split)] == split.labels.astype(bool).tolist()


def test_the_seed_decides_the_shares(pets: Path) -> None:
    first, again, other = (load(str(pets), SHAPE, seed=seed) for seed in (1, 1, 2))
    assert _levels(first.test) == _levels(again.test) != _levels(other.test)
    assert _levels(first.calibration) == _levels(again.calibration)
    assert _levels(load_test(str(pets), SHAPE, seed=2).test) == _levels(other.test)
    assert first.digest == other.digest


def test_small_classes(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 1)
    _fill(tmp_path / "b", 2, first=10)
    data = load(str(tmp_path), SHAPE)
    assert np.bincount(data.train.labels).tolist() == [1, 1]
    assert data.test.labels.tolist() == [1]
    assert len(data.calibration) == 0


def test_load_test_without_a_test_image(tmp_path: Path) -> None:
    _fill(tmp_path / "a", 1)
    _fill(tmp_path / "b", 1)
    assert len(load(str(tmp_path), SHAPE).test) == 0
    with pytest.raises(NoInputError, match="0 usable test images"):
        load_test(str(tmp_path), SHAPE)


def test_train_and_test_folders(tmp_path: Path) -> None:
    _fill(tmp_path / "train" / "a", 25)
    _fill(tmp_path / "train" / "b", 25, first=50)
    _fill(tmp_path / "train" / "c", 3, first=90)
    _fill(tmp_path / "test" / "a", 2, first=200)
    _fill(tmp_path / "test" / "c", 1, first=210)
    data = load(str(tmp_path), SHAPE)
    assert data.classes == ("a", "b", "c")
    assert _levels(data.test) == [200, 201, 210]
    assert data.test.labels.tolist() == [0, 0, 2]
    assert len(data.train) + len(data.calibration) == 53
    assert len(data.calibration) == 2
    assert _levels(load_test(str(tmp_path), SHAPE).test) == [200, 201, 210]


def test_train_folder_alone_is_parted(tmp_path: Path) -> None:
    _fill(tmp_path / "train" / "a", 10)
    _fill(tmp_path / "train" / "b", 10, first=50)
    data = load(str(tmp_path), SHAPE)
    assert data.classes == ("a", "b")
    assert np.bincount(data.test.labels).tolist() == [2, 2]


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    _fill(tmp_path / "plane", 3)
    _fill(tmp_path / "train", 3, first=50)
    assert load(str(tmp_path), SHAPE).classes == ("plane", "train")


def test_a_class_missing_in_train(tmp_path: Path) -> None:
    for name in ("train/a", "train/b", "test/a", "test/c"):
        _fill(tmp_path / name, 2)
    with pytest.raises(NoInputError, match="class 'c' has 0 images under train and 2 under test"):
        load(str(tmp_path), SHAPE)


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["10", "2", "1"], ("1", "2", "10")), (["10", "2", "x"], ("10", "2", "x"))],
)
def test_order_of_classes(tmp_path: Path, names: list[str], expected: tuple[str, ...]) -> None:
    for name in names:
        _fill(tmp_path / name, 1)
    assert load(str(tmp_path), SHAPE).classes == expected


def test_class_names_keep_their_text(tmp_path: Path) -> None:
    for name in ("Katze 1 [x]", "犬"):
        _fill(tmp_path / name, 2)
    assert load(str(tmp_path), SHAPE).classes == ("Katze 1 [x]", "犬")


@pytest.mark.parametrize("name", ["a\tb", "a\nb", "a\x1b[31m", "a\u2028b", "a\udcff"])
def test_control_characters_in_class_names_are_refused(tmp_path: Path, name: str) -> None:
    try:
        _fill(tmp_path / name, 1)
    except OSError:
        pytest.skip("this file system does not store the name")
    _fill(tmp_path / "b", 1)
    with pytest.raises(UsageError, match="control characters") as caught:
        load(str(tmp_path), SHAPE)
    assert caught.value.message.isprintable()


def test_broken_images_are_listed_not_fatal(pets: Path) -> None:
    (pets / "cat" / "bad.png").write_text("text")
    (pets / "dog" / "empty.jpg").write_bytes(b"")
    (pets / "bird").mkdir()
    data = load(str(pets), SHAPE)
    assert data.classes == ("cat", "dog")
    reasons = dict(data.broken)
    assert reasons[str(pets / "bird")] == "a class folder without images, left out"
    assert reasons[str(pets / "cat" / "bad.png")].startswith("not an image")
    assert reasons[str(pets / "dog" / "empty.jpg")].startswith("an empty file")
    assert len(data.train) + len(data.calibration) + len(data.test) == 60
    assert np.bincount(data.train.labels).sum() == len(data.train.images)


def test_a_class_whose_images_are_all_broken(pets: Path) -> None:
    (pets / "bird").mkdir()
    (pets / "bird" / "bad.png").write_text("text")
    with pytest.raises(NoInputError, match="class 'bird' has no usable training image"):
        load(str(pets), SHAPE)


@pytest.mark.parametrize("classes", [[], ["only"]])
def test_too_few_classes(tmp_path: Path, classes: list[str]) -> None:
    for name in classes:
        _fill(tmp_path / name, 2)
    _fill(tmp_path / ".hidden", 2)
    (tmp_path / "loose.txt").write_text("x")
    for call in (load, load_test, digest):
        with pytest.raises(
            NoInputError, match=f"class folders with images: {len(classes)} found"
        ) as caught:
            call(str(tmp_path), SHAPE)
        assert "CLASS/IMAGE.png" in caught.value.hint


def test_images_in_subfolders_of_a_class_belong_to_it(pets: Path) -> None:
    _fill(pets / "cat" / "more", 2, first=200)
    data = load(str(pets), SHAPE)
    levels = _levels(data.train) + _levels(data.calibration) + _levels(data.test)
    assert {200, 201} <= set(levels)
    assert len(levels) == 62


def test_digest_follows_the_content_not_the_place(pets: Path, tmp_path: Path) -> None:
    before = digest(str(pets), SHAPE)
    assert load(str(pets), SHAPE).digest == before
    assert digest(str(pets), (3, 4, 4)) != before
    moved = pets.rename(tmp_path / "moved")
    assert digest(str(moved), SHAPE) == before
    (moved / "notes.txt").write_text("no image")
    assert digest(str(moved), SHAPE) == before


@pytest.mark.parametrize("change", ["content", "name", "class", "more", "less", "broken"])
def test_digest_sees_every_change(pets: Path, change: str) -> None:
    before = digest(str(pets), SHAPE)
    image = pets / "cat" / "003.png"
    if change == "content":
        content = image.read_bytes()
        image.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    elif change == "name":
        image.rename(pets / "cat" / "x.png")
    elif change == "class":
        (pets / "cat").rename(pets / "kitten")
    elif change == "more":
        _fill(pets / "cat", 1, first=250)
    elif change == "less":
        image.unlink()
    else:
        (pets / "cat" / "link.png").symlink_to("gone")
    assert digest(str(pets), SHAPE) != before


def test_digest_tells_train_from_test(tmp_path: Path) -> None:
    for half, first in (("train", 0), ("test", 50)):
        for name in ("a", "b"):
            _fill(tmp_path / half / name, 2, first=first)
    before = digest(str(tmp_path), SHAPE)
    (tmp_path / "train").rename(tmp_path / "other")
    (tmp_path / "test").rename(tmp_path / "train")
    (tmp_path / "other").rename(tmp_path / "test")
    assert digest(str(tmp_path), SHAPE) != before


def test_more_images_than_one_part_keep_their_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loading, "_PART", 7)
    _fill(tmp_path / "a", 30)
    _fill(tmp_path / "b", 30, first=100)
    (tmp_path / "a" / "bad.png").write_text("text")
    data = load(str(tmp_path), SHAPE)
    for split in (data.train, data.calibration, data.test):
        assert [level >= 100 for level in _levels(split)] == split.labels.astype(bool).tolist()
    assert len(data.train) + len(data.calibration) + len(data.test) == 60
    assert [path for path, _ in data.broken] == [str(tmp_path / "a" / "bad.png")]


def test_a_disk_error_while_digesting_is_told_not_digested(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("hashlib.file_digest", fail)
    with pytest.raises(StorageError, match=r"\.png: cannot read: "):
        digest(str(pets), SHAPE)
