"""Users' folders on the command line: exit code, line and accuracy of each."""

import os
import shutil
import tarfile
from pathlib import Path

import pytest

from supsup_cli.data.catalog import digest, load
from supsup_cli.data.folders import loading, walking
from supsup_cli.data.sources import find_images
from supsup_cli.errors import NoInputError
from tests.support.commands import ROOT, Ran, answer, run
from tests.support.folder_trees import SHAPE, make_small_bank, write_images

DATA = Path(os.environ.get("SUPSUP_TEST_DATA", ROOT.parent / "shared" / "data"))
CIFAR = DATA / "cifar100" / "cifar100.tar"
SPLITS = ("train/cat/", "train/dog/", "test/cat/", "test/dog/")


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return make_small_bank(tmp_path / "bank")


def _learn(bank: Path, folder: Path, *more: object) -> Ran:
    return run("learn-task", "--bank", bank, "--data", folder, "--steps", 60, "--json", *more)


def test_the_note_says_what_was_taken(small: Path, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pets", *SPLITS, each=30)
    ran = _learn(small, folder)
    assert ran.code == 0
    assert "cat 29, dog 28 images" in ran.err or "cat 28, dog 29 images" in ran.err
    assert "train 57, calibration 3 (5 % of train), test 60 (folder test)" in ran.err
    assert ran.json["tasks"][0]["accuracy"] > 0.9


@pytest.mark.parametrize("names", [("Train", "Test"), ("training", "validation")])
def test_other_names_of_splits_are_no_classes(
    names: tuple[str, str], small: Path, tmp_path: Path
) -> None:
    places = [f"{split}/{one}/" for split in names for one in ("cat", "dog")]
    ran = _learn(small, write_images(tmp_path / "pets", *places, each=30))
    assert ran.code == 0
    assert ran.json["tasks"][0]["classes"] == ["cat", "dog"]
    assert ran.json["tasks"][0]["accuracy"] > 0.9
    assert f"test 60 (folder {names[1]})" in ran.err


def test_one_loose_image_changes_neither_classes_nor_test(small: Path, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pets", *SPLITS, "train/preview.png", "test/1.jpg", each=30)
    ran = _learn(small, folder)
    assert ran.code == 3
    assert {one["source"] for one in ran.json["failed"]} == {
        str(folder / "train" / "preview.png"),
        str(folder / "test" / "1.jpg"),
    }
    assert ran.json["tasks"][0]["classes"] == ["cat", "dog"]
    assert ran.json["tasks"][0]["accuracy"] > 0.9
    assert "test 60 (folder test)" in ran.err


@pytest.mark.parametrize(
    ("places", "line"),
    [
        (("train/cat/", "train/dog/", "test/x.png"), "test: 1 images and no class folder found"),
        (("train/cat/", "train/dog/", "test/bird/"), "test: images of bird found"),
        (("val/cat/", "val/dog/", "test/cat/"), "test, val found, names of splits"),
        (("seg_train/a/", "seg_test/a/"), "seg_test, seg_train found, names of splits"),
    ],
)
def test_what_cannot_be_a_task_is_refused(
    places: tuple[str, ...], line: str, small: Path, tmp_path: Path
) -> None:
    ran = _learn(small, write_images(tmp_path / "pets", *places, each=4))
    assert ran.code == 2
    assert line in ran.error["message"]
    assert ran.error["hint"]
    assert answer("tasks", "--bank", small)["tasks"] == []


def test_system_names_are_passed_over_and_counted(small: Path, tmp_path: Path) -> None:
    names = sorted(walking.SYSTEM_NAMES)
    folder = write_images(tmp_path / "pets", "cat/", "dog/", *(f"{one}/" for one in names), each=20)
    write_images(folder, *(f"cat/{one}/thumb.png" for one in names), "cat/.DS_Store", "#recycled/")
    ran = _learn(small, folder)
    assert ran.json["tasks"][0]["classes"] == ["#recycled", "cat", "dog"]
    told = ", ".join(f"{one} 2" for one in names)
    assert f"passed over: {told}, hidden 1" in ran.err
    learned = load(str(folder), SHAPE)
    assert len(learned.train) + len(learned.calibration) + len(learned.test) == 60
    # A folder that the user named is what was asked for.
    assert len(find_images([str(folder / "cat" / "@eaDir")])) == 1
    assert load(str(_move(folder, tmp_path / "@eaDir")), SHAPE).classes[1] == "cat"


def _move(folder: Path, target: Path) -> Path:
    return folder.rename(target)


def test_an_unreadable_subfolder_is_a_failed_input(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path / "pets", "cat/", "cat/shut/", "dog/", "bird/", each=20)
    _shut(monkeypatch, "shut", "bird")
    ran = _learn(small, folder)
    assert ran.code == 3
    reasons = {one["source"]: one["error"] for one in ran.json["failed"]}
    assert reasons == {
        str(folder / "bird"): "folder cannot be read (Permission denied)",
        str(folder / "cat" / "shut"): "folder cannot be read (Permission denied)",
    }
    assert ran.json["tasks"][0]["classes"] == ["cat", "dog"]
    ran = run("predict", "--bank", small, folder, "--json")
    assert ran.code == 3
    failed = [one for one in ran.json["results"] if one["error"]]
    assert sorted(one["source"] for one in failed) == sorted(reasons)
    assert len(ran.json["results"]) == 42
    assert run("predict", "--bank", small, folder / "bird").code == 2


def _shut(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    scandir = os.scandir

    def refuse(path: str | int) -> object:
        if not isinstance(path, int) and Path(path).name in names:
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)


def test_files_of_other_kinds_are_counted(small: Path, tmp_path: Path) -> None:
    folder = write_images(tmp_path / "pets", "cat/", "dog/", each=20)
    for place in range(21):
        (folder / "cat" / f"note{place}").touch()
    for place in ("a.txt", "cat/b.TXT", "dog/c.txt"):
        (folder / place).touch()
    line = "24 files of other kinds not read: no ending 21, .txt 3"
    assert line in _learn(small, folder).err
    assert line in run("predict", "--bank", small, folder).err
    (tmp_path / "none").mkdir()
    (tmp_path / "none" / "x.docx").touch()
    with pytest.raises(NoInputError, match=r"1 file of another kind not read: \.docx 1"):
        find_images([str(tmp_path / "none")])


def test_data_that_moved_are_found_by_their_digest(small: Path, tmp_path: Path) -> None:
    for name in ("pets", "toys"):
        write_images(tmp_path / name, *SPLITS, each=20)
        assert _learn(small, tmp_path / name).code == 0
    before = answer("evaluate", "--bank", small)["tasks"]
    (tmp_path / "away").mkdir()
    away = [(tmp_path / name).rename(tmp_path / "away" / f"my {name}") for name in ("pets", "toys")]
    ran = run("evaluate", "--bank", small, "--json")
    assert ran.code == 2
    assert f"{tmp_path / 'pets'}: nothing there" in ran.error["message"]
    assert ran.error["hint"] == f"supsup evaluate --bank {small} --data FOLDER"
    ran = run("evaluate", "--bank", small, "--data", away[0], "--json")
    assert ran.code == 3
    assert "evaluate --data FOLDER" in ran.json["failed"][0]["error"]
    both = ("--data", away[1], "--data", away[0])
    assert answer("evaluate", "--bank", small, *both)["tasks"] == before
    shown = answer("tasks", "show", "pets", "--bank", small)["tasks"][0]
    assert shown["source"] == str(tmp_path / "pets")
    other = write_images(tmp_path / "other" / "pets", *SPLITS, each=3)
    ran = run("evaluate", "--bank", small, "--data", other, "--json")
    assert ran.code == 2
    assert digest(str(other), SHAPE)[:16] in ran.error["message"]
    assert f"expected those of a task: pets {shown['data_digest'][:16]}" in ran.error["message"]


def test_a_task_of_before_is_measured_as_it_was_learned(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_images(tmp_path / "pets", "Train/a/", "Train/b/", "Test/a/", "Test/b/", each=20)
    with monkeypatch.context() as before:
        before.setattr(loading, "list_classes", loading.list_by_first_rule)
        learned = _learn(small, folder).json["tasks"][0]
    assert learned["classes"] == ["Test", "Train"]
    ran = _learn(small, folder)
    assert ran.code == 11
    assert "the rules for folders have changed" in ran.error["message"]
    told = answer("evaluate", "--bank", small)["tasks"][0]
    assert (told["accuracy_given"], told["images"]) == (learned["accuracy"], 12)
    moved = folder.rename(tmp_path / "moved")
    again = answer("evaluate", "--bank", small, "--data", moved)["tasks"][0]
    assert again == told
    assert len(answer("predict", "--bank", small, "--data", moved)["results"]) == 12
    write_images(moved, "Train/c/")
    assert _learn(small, moved, "--name", "pets").code == 11


@pytest.mark.slow
def test_cifar100_learns_as_tasks_of_its_class_folders(tmp_path: Path) -> None:
    if not CIFAR.is_file():
        pytest.skip(f"{CIFAR} is not there")
    tasks = {"fruit": ("apple", "orange", "pear"), "rail": ("train", "streetcar", "bus")}
    wanted = {one: name for name, classes in tasks.items() for one in classes}
    with tarfile.open(CIFAR) as archive:
        for member in archive:
            parts = Path(member.name).parts
            if member.isfile() and len(parts) == 4 and parts[2] in wanted:
                file = tmp_path / wanted[parts[2]] / "/".join(parts[1:])
                file.parent.mkdir(parents=True, exist_ok=True)
                source = archive.extractfile(member)
                assert source is not None
                file.write_bytes(source.read())
    bank = tmp_path / "bank"
    words = ("--bank", bank, "--arch", "lenet-300-100", "--input", "3x32x32")
    assert run("init-base", *words).code == 0
    # The class folders of one split alone also work, even with a class called train.
    shutil.copytree(tmp_path / "rail" / "train", tmp_path / "flat")
    data = [word for name in (*tasks, "flat") for word in ("--data", tmp_path / name)]
    ran = run("learn-task", "--bank", bank, *data, "--steps", 300, "--json")
    assert ran.code == 0
    learned = {one["task"]: one for one in ran.json["tasks"]}
    assert learned["rail"]["classes"] == learned["flat"]["classes"] == ["bus", "streetcar", "train"]
    assert all(one["accuracy"] > 0.5 for one in learned.values())
    assert ran.err.count("train 1,425, calibration 75 (5 % of train), test 300 (folder test)") == 2
    assert "test 225 (15 % of each class)" in ran.err
