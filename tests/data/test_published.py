"""CIFAR and ImageNet through torchvision, on small files in the formats they are published in."""

from pathlib import Path

import numpy as np
import pytest

from supsup_cli.data.catalog import digest, load, load_test
from supsup_cli.data.reading import Reading
from supsup_cli.errors import NoInputError, StorageError
from tests.support.commands import answer, run
from tests.support.published_data import write_cifar, write_imagenet

COLOUR = (3, 32, 32)


@pytest.mark.parametrize(
    ("kind", "name", "expected"),
    [
        ("CIFAR10", "cifar10-split-3", [6, 7]),
        ("CIFAR100", "cifar100-split-2", np.random.RandomState(0).permutation(100)[10:15]),
    ],
)
def test_cifar_is_parted_by_classes(
    kind: str, name: str, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_cifar(tmp_path, kind, 4, monkeypatch)
    reading = Reading(root=str(tmp_path))
    data = load(name, COLOUR, reading=reading)
    assert data.classes == tuple(f"class{number:02d}" for number in expected)
    assert data.outputs == tuple(range(len(expected)))
    batches = {"CIFAR10": 5, "CIFAR100": 1}[kind]
    assert len(data.train) + len(data.calibration) == batches * 4 * len(expected)
    for split in (data.train, data.calibration, data.test):
        assert split.images.shape[1:] == COLOUR
        assert (split.images[:, 2, 31, 31] == np.array(expected)[split.labels]).all()
    test = load_test(name, COLOUR, reading=reading).test
    assert (test.images == data.test.images).all()
    assert len(test) == 4 * len(expected)
    assert data.digest == digest(name, COLOUR, reading) != digest(name, (1, 28, 28), reading)


def test_other_files_have_another_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    digests = set()
    for each in (1, 2):
        root = tmp_path / str(each)
        write_cifar(root, "CIFAR10", each, monkeypatch)
        digests.add(digest("cifar10-split-0", COLOUR, Reading(root=str(root))))
    assert len(digests) == 2


def test_imagenet_takes_ten_classes_of_the_seeded_order(tmp_path: Path) -> None:
    write_imagenet(tmp_path / "imagenet", 20)
    data = load("imagenet-split-1", (3, 24, 24), reading=Reading(root=str(tmp_path)))
    order = np.random.RandomState(1).permutation(20)[10:]
    assert data.classes == tuple(f"n{number:08d}" for number in order)
    assert (len(data.train), len(data.calibration), len(data.test)) == (57, 3, 20)
    means = data.test.images.mean(axis=(2, 3))
    assert np.allclose(means[:, 0], order[data.test.labels] * 12, atol=12)
    straight = load_test(
        "imagenet-split-1", (3, 24, 24), reading=Reading(root=f"{tmp_path}/imagenet")
    )
    assert (straight.test.images == data.test.images).all()


def test_learn_evaluate_and_export_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path / "data", "CIFAR10", 5, monkeypatch)
    write_imagenet(tmp_path / "data", 12)
    monkeypatch.setenv("SUPSUP_DATA", str(tmp_path / "data"))
    bank = tmp_path / "bank"
    shape = ("--arch", "mlp-8", "--input", "3x32x32", "--outputs", 100)
    assert run("init-base", "--bank", bank, *shape).code == 0
    names = ("--data", "cifar10-split-0..1", "--data", "imagenet-split-0")
    learned = answer("learn-task", "--bank", bank, *names, "--steps", 20)["tasks"]
    assert [one["task"] for one in learned] == [
        "cifar10-split-0", "cifar10-split-1", "imagenet-split-0"
    ]  # fmt: skip
    means = answer("evaluate", "--bank", bank)["tasks"]
    assert [one["images"] for one in means] == [10, 10, 20]
    files = answer("data", "export", "cifar10-split-1", tmp_path / "out", "--limit", 3)["files"]
    assert len(files) == 3
    assert {Path(file).parent.name for file in files} <= {"class02", "class03"}
    assert answer("predict", "--bank", bank, tmp_path / "out")["results"][0]["error"] is None


@pytest.mark.parametrize("name", ["cifar10-split-0", "cifar100-split-19", "imagenet-split-5"])
def test_missing_data_is_one_clear_line(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SUPSUP_DATA", raising=False)
    ran = run("data", "export", name, tmp_path / "out")
    assert ran.code == 2
    message, hint = ran.err.splitlines()
    assert "expected --data-root FOLDER or SUPSUP_DATA" in message
    assert "--data-root FOLDER" in hint
    ran = run("data", "export", name, tmp_path / "out", "--data-root", tmp_path)
    message, hint = ran.err.splitlines()
    assert ran.code == 2
    assert str(tmp_path) in message
    assert "nothing there" in message
    assert ("image-net.org" if "imagenet" in name else "--download") in hint


@pytest.mark.parametrize("name", ["cifar10-split-0", "imagenet-split-0"])
def test_a_root_in_the_home_of_nobody_is_one_clear_line(name: str) -> None:
    root = "~no-such-user/sets"
    ran = run("data", "export", name, "anywhere", "--data-root", root, "--json")
    assert (ran.code, ran.error["code"]) == (2, "no-input")
    assert f"--data-root {root}: not a usable path" in ran.error["message"]


def test_files_that_are_not_the_published_ones_are_not_opened(tmp_path: Path) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in ("data_batch_1", "test_batch", "batches.meta"):
        # a pickle that would make a folder if it were loaded
        (folder / name).write_bytes(f"cos\nmkdir\n(S'{tmp_path}/run'\ntR.".encode())
    with pytest.raises(NoInputError, match="damaged files found, expected CIFAR10"):
        load("cifar10-split-0", COLOUR, reading=Reading(root=str(tmp_path)))
    assert not (tmp_path / "run").exists()


def test_a_download_that_fails_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        print("Downloading from nowhere")
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(StorageError, match="no route to host"):
        load("cifar10-split-0", COLOUR, reading=Reading(root=str(tmp_path), download=True))
    words = ("--data-root", tmp_path, "--download", "--json")
    ran = run("data", "export", "cifar10-split-0", tmp_path / "out", *words)
    assert ran.error["exit"] == ran.code == 13


def test_too_few_or_empty_class_folders(tmp_path: Path) -> None:
    write_imagenet(tmp_path, 10)
    reading = Reading(root=str(tmp_path))
    with pytest.raises(NoInputError, match="10 class folders found, imagenet-split-1 needs 20"):
        load("imagenet-split-1", COLOUR, reading=reading)
    for image in (tmp_path / "train" / "n00000003").iterdir():
        image.unlink()
    with pytest.raises(NoInputError, match="n00000003: 0 images found"):
        load("imagenet-split-0", COLOUR, reading=reading)
