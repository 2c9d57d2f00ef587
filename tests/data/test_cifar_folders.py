"""CIFAR as class folders: the same tasks as through torchvision's files."""

import os
import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from supsup_cli.data.catalog import digest, load, load_test
from supsup_cli.data.names import Variant
from supsup_cli.data.published import PublishedData
from supsup_cli.data.reading import Reading
from supsup_cli.errors import NoInputError
from tests.support.commands import ROOT, answer, run
from tests.support.published_data import write_cifar

COLOUR = (3, 32, 32)
DATA = Path(os.environ.get("SUPSUP_TEST_DATA", ROOT.parent / "shared" / "data"))
TAR = DATA / "cifar100" / "cifar100.tar"


def _write_folders(root: Path, folder: str, classes: int, each: int = 2) -> Reading:
    """Write the images of `write_cifar` as class folders, in no particular order of classes."""
    for number in np.random.RandomState(3).permutation(classes).tolist():
        for split in ("train", "test"):
            place = root / folder / split / f"class{number:02d}"
            place.mkdir(parents=True)
            for name in range(each):
                Image.new("RGB", (32, 32), (number, number, number)).save(place / f"{name}.png")
    return Reading(root=str(root))


@pytest.mark.parametrize(
    ("kind", "folder", "name"),
    [("CIFAR10", "cifar10", "cifar10-split-3"), ("CIFAR100", "cifar100", "cifar100-split-7")],
)
def test_class_folders_are_the_same_tasks(
    kind: str, folder: str, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path / "published", kind, 2, monkeypatch)
    published = load(name, COLOUR, reading=Reading(root=str(tmp_path / "published")))
    reading = _write_folders(tmp_path / "folders", folder, int(kind.removeprefix("CIFAR")))
    data = load(name, COLOUR, reading=reading)
    assert (data.name, data.classes, data.outputs) == (
        published.name, published.classes, published.outputs
    )  # fmt: skip
    for split in (data.train, data.calibration, data.test):
        levels = split.images[:, 0, 31, 31]
        assert [f"class{level:02d}" for level in levels] == [data.classes[i] for i in split.labels]
    assert len(data.train) + len(data.calibration) == len(data.test) == 2 * len(data.classes)
    assert (load_test(name, COLOUR, reading=reading).test.images == data.test.images).all()
    assert data.digest == digest(name, COLOUR, reading) != published.digest


def test_published_files_come_before_class_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, "CIFAR10", 1, monkeypatch)
    reading = _write_folders(tmp_path, "cifar10", 10)
    straight = PublishedData(Variant("cifar10-split"), reading)
    assert len(load("cifar10-split-0", COLOUR, reading=reading).test) == 2
    assert straight.load_test(COLOUR, 0).test.images.shape == (2, *COLOUR)


@pytest.mark.parametrize("missing", ["a class", "the test"])
def test_what_is_not_the_whole_set_is_refused(missing: str, tmp_path: Path) -> None:
    reading = _write_folders(tmp_path, "cifar10", 10)
    lost = tmp_path / "cifar10" / ("train/class04" if missing == "a class" else "test")
    lost.rename(tmp_path / "lost")
    expected = "9 class folders found" if missing == "a class" else "cannot be read"
    with pytest.raises(NoInputError, match=expected):
        load("cifar10-split-0", COLOUR, reading=reading)


def test_nothing_there_names_both_ways(tmp_path: Path) -> None:
    with pytest.raises(NoInputError, match="or its class folders in cifar100 beside it"):
        load("cifar100-split-0", COLOUR, reading=Reading(root=str(tmp_path)))


@pytest.mark.slow
def test_the_published_images_learn_by_name(tmp_path: Path) -> None:
    if not TAR.is_file():
        pytest.skip(f"{TAR} is not there")
    with tarfile.open(TAR) as archive:
        archive.extractall(tmp_path, filter="data")
    words = ("--bank", tmp_path / "bank", "--input", "3x32x32")
    assert run("init-base", *words).code == 0
    data = ("--data", "cifar100-split-0", "--data-root", tmp_path, "--steps", 300)
    (learned,) = answer("learn-task", "--bank", tmp_path / "bank", *data)["tasks"]
    names = np.array(sorted(path.name for path in (tmp_path / "cifar100" / "train").iterdir()))
    assert learned["classes"] == names[np.random.RandomState(0).permutation(100)[:5]].tolist()
    assert learned["accuracy"] > 0.5
