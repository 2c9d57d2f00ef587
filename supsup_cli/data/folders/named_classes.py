"""Take some class folders of a published data set, in the order of its tasks."""

from collections.abc import Sequence
from pathlib import Path

from supsup_cli.data.folders.class_folders import Listing
from supsup_cli.data.folders.walking import Seen, is_folder, list_folder, walk_images
from supsup_cli.errors import NoInputError


def class_names(folder: Path) -> list[str]:
    """List the names of a split's class folders, sorted.

    Raises:
        NoInputError: it cannot be read.
    """
    return [one.name for one in list_folder(str(folder)) if is_folder(one)]


def list_chosen(root: Path, train: str, test: str, classes: Sequence[str]) -> Listing:
    """List the files of chosen classes.

    Args:
        root: contains both splits.
        train: the folder to learn from.
        test: the test's folder; a class missing there has no test image.
        classes: in the order that the outputs will have.

    Raises:
        NoInputError: a class has no training image.
    """
    seen = Seen()
    files = {
        split: {
            name: list(walk_images(str(root / split / name), seen))
            if (root / split / name).is_dir()
            else []
            for name in classes
        }
        for split in (train, test)
    }
    for name in classes:
        if not files[train][name]:
            raise NoInputError(f"{root / train / name}: 0 images found, expected at least 1")
    return Listing(
        root,
        tuple(classes),
        files[train],
        files[test],
        tuple(seen.unreadable),
        test_folder=test,
        notes=tuple(seen.notes()),
    )
