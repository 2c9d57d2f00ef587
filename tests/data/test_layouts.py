"""What a folder means: the table of cases in GUIDE, executed, and other cases."""

import re
from pathlib import Path

import pytest

from supsup_cli.data.catalog import digest, load, reading_of
from supsup_cli.data.folders.class_folders import list_classes
from supsup_cli.errors import NoInputError
from tests.support.commands import ROOT
from tests.support.folder_trees import SHAPE, write_images

_ROW = re.compile(r"\| (`[^|]*/`) \| ([^|]*) \| ([^|]*) \| ([^|]*) \|")

# Recorded before splits had other names than train and test: the files, and the digest that
# tasks have in their files. Each file holds its own path.
GOLDEN = {
    "cat/1.png cat/2.jpg dog/1.png dog/more/3.JPEG":
        "f43a08886b10082195295f45befd877ea12993059e241814097e27b98e12cb04",
    "10/1.png 9/1.png 2/x.tif":
        "129fbb9d6323d73dd88379b0868ff52c5f6e417cfce46584bfe8ef4c174114c5",
    "train/cat/1.png train/dog/1.png train/dog/2.png":
        "5a521defed72cfdd1a86f6872cf0922991b6fe6511a55aa8549507c84ec6e304",
    "train/cat/1.png train/dog/1.png test/cat/2.png test/dog/2.png":
        "e24778a4e1080496e6cbc922588be10213fe308ddafb53aa8fa58e90681ab42a",
    "plane/1.png train/1.png train/2.png":
        "3c1b22ac7ed73067343c2fda54b5c5e825d9f27e87e2fcbdaed211416c264b3b",
    "cat/1.png dog/1.png dog/notes.txt dog/.hidden.png .git/x.png README.md":
        "001bbdabfc0a98aa4a012230da51cf206072f938ec1c4458c0c9e79d7a1b54d8",
    "train/cat/1.png train/dog/1.png test/cat/2.png":
        "efc6912ca57632f4163481017e325fa9ca56bb6ae09acea6a4d25bfc1041d63b",
}  # fmt: skip
CHANGED = {
    "Train/cat/1.png Train/dog/1.png Test/cat/2.png Test/dog/2.png":
        "15528545581d47e63f7c9a61e95d55bf9f097b19eca27491fd25fc553a66497a",
    "cat/1.png cat/@eaDir/1.png dog/1.png @eaDir/1.png":
        "4534f7f15cdf2e8f67699c2d7d7f7090367bd2ef1428a76551351ffaa0571177",
    "cat/1.png cat/2.mpo dog/1.png":
        "001bbdabfc0a98aa4a012230da51cf206072f938ec1c4458c0c9e79d7a1b54d8",
    "train/cat/1.png train/dog/1.png train/preview.png test/cat/2.png test/dog/2.png":
        "a980064d333a8e6a166844597ddaf6549d2f00bb0f6830ac7cdd55c1ac7c439d",
    "train/cat/1.png train/dog/1.png val/cat/3.png val/dog/3.png test/cat/2.png test/dog/2.png":
        "e24778a4e1080496e6cbc922588be10213fe308ddafb53aa8fa58e90681ab42a",
}  # fmt: skip


def _rows() -> list[tuple[str, str, str, str]]:
    text = (ROOT / "supsup_cli" / "GUIDE.md").read_text(encoding="utf-8")
    rows = [match.groups() for match in map(_ROW.fullmatch, text.splitlines()) if match]
    return [(row[0], row[1], row[2], row[3]) for row in rows]


def _named_by_path(folder: Path, files: str) -> Path:
    for file in files.split():
        path = folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(file.encode())
    return folder


def test_readme_has_a_table_of_every_kind_of_case() -> None:
    rows = _rows()
    assert len(rows) >= 14
    assert sum("exit 2" in row[1] for row in rows) >= 5


@pytest.mark.parametrize("row", _rows(), ids=lambda row: row[0])
def test_the_table_of_readme(row: tuple[str, str, str, str], tmp_path: Path) -> None:
    places, classes, calibration, test = row
    write_images(tmp_path, *re.findall(r"`([^`]+)`", places), each=25)
    if classes.startswith("exit 2"):
        with pytest.raises(NoInputError) as caught:
            load(str(tmp_path), SHAPE)
        assert caught.value.exit_code == 2
        assert str(tmp_path) in caught.value.message
        return
    data = load(str(tmp_path), SHAPE)
    assert ", ".join(data.classes) == classes
    share = len(data.train) + len(data.calibration) - 25 * len(data.classes)
    if calibration == "5 % of train":
        assert "(5 % of train)" in data.parts
        assert len(data.calibration) > 0
    else:
        assert f"({calibration})" in data.parts
        assert (len(data.train), len(data.calibration)) == (50, 50)
    if test == "15 % of each class":
        assert "(15 % of each class)" in data.parts
        assert (share, len(data.test)) == (-4 * len(data.classes), 4 * len(data.classes))
    else:
        assert f"({test})" in data.parts
        assert len(data.test) == 50


@pytest.mark.parametrize(
    ("names", "used"),
    [
        (("TRAIN", "TEST"), "folder TEST"),
        (("training", "testing"), "folder testing"),
        (("Train", "valid"), "folder valid"),
        (("train", "Validation"), "folder Validation"),
    ],
)
def test_split_names_count_in_any_case(names: tuple[str, str], used: str, tmp_path: Path) -> None:
    places = [f"{split}/{one}/" for split in names for one in ("cat", "dog")]
    data = load(str(write_images(tmp_path, *places)), SHAPE)
    assert data.classes == ("cat", "dog")
    assert (len(data.train) + len(data.calibration), len(data.test)) == (40, 40)
    assert used in data.parts


def test_two_folders_of_one_split_are_refused_by_name(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/", "train/b/", "test/a/", "testing/a/", each=2)
    with pytest.raises(NoInputError, match="test and testing found, expected one folder"):
        load(str(tmp_path), SHAPE)


@pytest.mark.parametrize(
    ("places", "named"),
    [
        (["val/a/", "val/b/", "test/a/"], "test, val"),
        (["train/", "test/"], "test, train"),
        (["test/a/", "test/b/"], "test"),
        (["a/", "b/", "test/a/", "test/b/"], "test"),
        (["seg_train/a/", "seg_train/b/", "seg_test/a/", "seg_pred/"], "seg_test, seg_train"),
        (["Training Set/a/", "Validation Set/a/"], "Training Set, Validation Set"),
        (["train2017/", "val2017/"], "train2017, val2017"),
    ],
)
def test_splits_without_train_are_refused_with_what_was_found(
    places: list[str], named: str, tmp_path: Path
) -> None:
    write_images(tmp_path, *places, each=2)
    with pytest.raises(NoInputError, match=f": {named} found, names of splits") as caught:
        load(str(tmp_path), SHAPE)
    assert "expected train/CLASS/IMAGE" in caught.value.message
    assert "train" in caught.value.hint


@pytest.mark.parametrize(
    "names", [("steam_train", "bullet_train"), ("steam_train", "blood_test"), ("plane", "test")]
)
def test_names_that_only_look_like_splits_are_classes(
    names: tuple[str, str], tmp_path: Path
) -> None:
    write_images(tmp_path, *(f"{name}/" for name in names), each=4)
    assert load(str(tmp_path), SHAPE).classes == tuple(sorted(names))


def test_a_class_train_may_have_subfolders_beside_other_classes(tmp_path: Path) -> None:
    write_images(tmp_path, "plane/", "train/", "train/steam/", each=10)
    data = load(str(tmp_path), SHAPE)
    assert data.classes == ("plane", "train")
    assert len(data.train) + len(data.calibration) + len(data.test) == 30


@pytest.mark.parametrize(
    ("place", "classes"), [("train/preview.png", 0), ("test/preview.png", 0), ("preview.png", 0)]
)
def test_loose_images_are_failed_inputs(place: str, classes: int, tmp_path: Path) -> None:
    parts = ["train/cat/", "train/dog/", "test/cat/", "test/dog/"]
    write_images(tmp_path, *parts, place, each=10)
    data = load(str(tmp_path), SHAPE)
    assert data.broken == (
        (str(tmp_path / place), "an image next to class folders, of no class; left out"),
    )
    assert (len(data.test), data.classes) == (20, ("cat", "dog"))


@pytest.mark.parametrize("split", ["test", "val"])
@pytest.mark.parametrize(
    ("made", "found"),
    [
        ((), "nothing found"),
        (("x.png", "y.png"), "2 images and no class folder found"),
        (("bird/",), "images of bird found"),
        (("cat/notes.txt", "dog/notes.txt"), "class folders without images found"),
    ],
)
def test_a_test_that_cannot_be_used_is_refused(
    split: str, made: tuple[str, ...], found: str, tmp_path: Path
) -> None:
    write_images(tmp_path, "train/cat/", "train/dog/", *(f"{split}/{one}" for one in made), each=3)
    (tmp_path / split).mkdir(exist_ok=True)
    for notes in tmp_path.rglob("notes.txt"):
        notes.write_text("no image")
    with pytest.raises(NoInputError, match=found) as caught:
        load(str(tmp_path), SHAPE)
    assert caught.value.message.startswith(str(tmp_path / split))
    assert str(tmp_path / split) in caught.value.hint


def test_an_unusable_calibration_folder_is_refused_too(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/", "train/b/", "test/a/", "val/x.png", each=3)
    with pytest.raises(NoInputError, match="val: 1 images and no class folder found"):
        load(str(tmp_path), SHAPE)


def test_what_a_test_lacks_is_told(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/", "train/b/", "train/c/", "test/a/", each=3)
    (tmp_path / "test" / "b").mkdir()
    data = load(str(tmp_path), SHAPE)
    empty = (str(tmp_path / "test" / "b"), "a class folder without images, left out")
    assert data.broken == (empty,)
    assert "test: no folder of c" in data.notes
    assert len(data.test) == 3


def test_folders_beside_the_splits_are_told(tmp_path: Path) -> None:
    write_images(tmp_path, "train/a/", "train/b/", "more/", each=8)
    data = load(str(tmp_path), SHAPE)
    assert data.classes == ("a", "b")
    assert "folders next to train, not read: more" in data.notes


def test_class_folders_that_hold_only_folders_are_told(tmp_path: Path) -> None:
    write_images(tmp_path, "animals/cat/", "animals/dog/", "cars/", each=4)
    data = load(str(tmp_path), SHAPE)
    assert data.classes == ("animals", "cars")
    note, few = data.notes
    assert few.startswith("0 calibration images, 20 needed")
    assert note.startswith("class animals holds folders alone (cat, dog)")
    assert note.endswith(f"--data {tmp_path / 'animals'}")


def test_one_folder_above_the_classes_is_hinted_at(tmp_path: Path) -> None:
    write_images(tmp_path, "set/cat/", "set/dog/", each=2)
    with pytest.raises(NoInputError, match="class folders with images: 1 found") as caught:
        load(str(tmp_path), SHAPE)
    assert caught.value.hint == f"supsup learn-task --data {tmp_path / 'set'}"


@pytest.mark.parametrize("files", GOLDEN)
def test_a_layout_that_means_the_same_keeps_its_digest(files: str, tmp_path: Path) -> None:
    folder = str(_named_by_path(tmp_path, files))
    assert digest(folder, (1, 28, 28)) == GOLDEN[files]
    reading = reading_of(folder, (1, 28, 28), {GOLDEN[files]})
    assert reading is not None
    assert not reading.first_rule


@pytest.mark.parametrize("files", CHANGED)
def test_a_layout_that_means_something_else_is_found_by_its_old_digest(
    files: str, tmp_path: Path
) -> None:
    folder = str(_named_by_path(tmp_path, files))
    now = digest(folder, (1, 28, 28))
    assert now != CHANGED[files]
    first = reading_of(folder, (1, 28, 28), {CHANGED[files]})
    assert first is not None
    assert first.first_rule
    assert digest(folder, (1, 28, 28), first) == CHANGED[files]
    assert reading_of(folder, (1, 28, 28), {"0" * 64}) is None


def test_a_listing_names_its_folders(tmp_path: Path) -> None:
    write_images(tmp_path, *(f"{s}/{c}/" for s in ("train", "VAL", "Test") for c in "ab"), each=2)
    listing = list_classes(tmp_path)
    assert (listing.test_folder, listing.calibration_folder) == ("Test", "VAL")
