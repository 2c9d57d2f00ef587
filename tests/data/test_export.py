"""Exported images: the same pixels again, the same files again, nothing overwritten."""

from pathlib import Path

import numpy as np
import pytest

from supsup_cli.data.catalog import load, load_test
from supsup_cli.data.export import export_images
from supsup_cli.data.images import read_images
from supsup_cli.data.splits import choose
from supsup_cli.errors import StorageError, UsageError

GREY = (1, 28, 28)


@pytest.mark.parametrize("name", ["mnist", "mnist-perm-7", "mnist-split-2"])
def test_exported_images_read_back_bit_by_bit(tmp_path: Path, name: str) -> None:
    files = export_images(name, str(tmp_path), limit=40, seed=3)
    data = load_test(name, GREY)
    places = choose(len(data.test), 40, 3)
    assert np.array_equal(np.stack(read_images(files, GREY)), data.test.images[places])
    assert [Path(file).stem for file in files] == [f"{place:05d}" for place in places]
    folders = [Path(file).parent.name for file in files]
    assert folders == [data.classes[label] for label in data.test.labels[places]]
    assert sorted(files) == sorted(str(path) for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("split", ["train", "calibration"])
def test_other_splits(tmp_path: Path, split: str) -> None:
    files = export_images("mnist-split-0", str(tmp_path), split, limit=10, seed=1)
    expected = getattr(load("mnist-split-0", GREY, seed=1), split)
    places = choose(len(expected), 10, 1)
    assert np.array_equal(np.stack(read_images(files, GREY)), expected.images[places])


def test_all_images_without_a_limit(tmp_path: Path) -> None:
    assert len(export_images("mnist-split-4", str(tmp_path))) == 1_983


def test_again_writes_nothing(tmp_path: Path) -> None:
    files = export_images("mnist", str(tmp_path / "new" / "folder"), limit=5)
    before = [Path(file).stat() for file in files]
    assert export_images("mnist", str(tmp_path / "new" / "folder"), limit=5) == files
    after = [Path(file).stat() for file in files]
    assert [(one.st_ino, one.st_mtime_ns) for one in before] == [
        (one.st_ino, one.st_mtime_ns) for one in after
    ]


def test_another_file_is_never_overwritten(tmp_path: Path) -> None:
    files = export_images("mnist", str(tmp_path), limit=5)
    Path(files[0]).unlink()
    Path(files[3]).write_bytes(b"mine")
    with pytest.raises(UsageError, match="holds 4 other bytes") as caught:
        export_images("mnist", str(tmp_path), limit=5)
    assert files[3] in caught.value.message
    assert Path(files[3]).read_bytes() == b"mine"
    assert not Path(files[0]).exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"split": "validation"}, "expected train, calibration or test"),
        ({"limit": 0}, "limit 0, expected 1 or more"),
        ({"limit": -3}, "limit -3, expected 1 or more"),
    ],
)
def test_bad_options(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        export_images("mnist", str(tmp_path), **options)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_is_not_exported(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="already a folder of images"):
        export_images(str(tmp_path), str(tmp_path / "out"))


def test_a_file_in_the_folders_place(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    with pytest.raises(StorageError, match="out") as caught:
        export_images("mnist", str(tmp_path / "out"), limit=2)
    assert caught.value.exit_code == 13


def test_a_failed_write_leaves_no_half_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = Path.write_bytes

    def fail(path: Path, content: bytes) -> int:
        write(path, content[:20])
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(StorageError, match="No space left"):
        export_images("mnist", str(tmp_path), limit=2)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []
