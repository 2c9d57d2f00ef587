"""Which classes a folder of class folders has, and which files each; no image is read."""

import unicodedata
from dataclasses import dataclass
from pathlib import Path

from supsup_cli.data.limits import MOST_FILES
from supsup_cli.data.sources import EXTENSIONS, is_folder, list_folder, walk_images
from supsup_cli.errors import NoInputError, UsageError

Files = dict[str, list[str]]
Broken = tuple[tuple[str, str], ...]

_LONGEST_PATH = 4096  # characters of a text in a task file


@dataclass(frozen=True, slots=True)
class Listing:
    """Hold each class's files (`test` None: to be held out) and the empty class folders.

    `folder` holds all of them.
    """

    folder: Path
    classes: tuple[str, ...]
    train: Files
    test: Files | None
    empty: Broken


def list_classes(folder: Path) -> Listing:
    """List the classes of a folder and their image files, by the layout that it has.

    Raises:
        NoInputError: fewer than two classes, one without a training image, or too many files.
        UsageError: a path or a class name that cannot be written down.
    """
    if len(str(folder)) > _LONGEST_PATH or not _is_plain(str(folder)):
        raise UsageError(
            f"{folder}: this path has control characters, bytes that are no text, or more than "
            f"{_LONGEST_PATH:,} characters; expected one that a task can record",
            hint="rename the folder, or give a link to it that has a plain name",
        )
    nested = _is_split(folder / "train")
    train = _classes(folder / "train" if nested else folder)
    test = _classes(folder / "test") if nested and _is_split(folder / "test") else None
    names = sorted({*train, *(test or {})})
    if all(name.isascii() and name.isdigit() for name in names):
        names.sort(key=lambda name: (int(name), name))
    classes = [name for name in names if train.get(name) or (test or {}).get(name)]
    for name in classes:
        if not _is_plain(name):
            raise UsageError(
                f"{folder}: class folder {name!r} has control characters or bytes that are no "
                "text, expected a plain name"
            )
        if not train.get(name):
            raise NoInputError(
                f"{folder}: class {name!r} has 0 images under train and "
                f"{len((test or {})[name])} under test, expected at least 1 under train",
                hint=layout_hint(folder),
            )
    if len(classes) < 2:
        raise NoInputError(
            f"{folder}: {len(classes)} class folders with images, expected at least 2",
            hint=layout_hint(folder),
        )
    empty = tuple(
        (str(folder / name), "a class folder without images, left out")
        for name in names
        if name not in classes
    )
    return Listing(
        folder,
        tuple(classes),
        {name: train[name] for name in classes},
        None if test is None else {name: test.get(name, []) for name in classes},
        empty,
    )


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in text)


def layout_hint(folder: Path) -> str:
    """Tell how images are to be laid out."""
    return f"lay images out as {folder}/CLASS/IMAGE.png, or {folder}/train/CLASS/IMAGE.png"


def _is_split(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    entries = [(entry.name, is_folder(entry)) for entry in list_folder(str(folder))]
    has_images = any(name.lower().endswith(EXTENSIONS) and not nested for name, nested in entries)
    return not has_images and any(nested for _, nested in entries)


def _classes(folder: Path) -> Files:
    classes: Files = {}
    count = 0
    for entry in list_folder(str(folder)):
        if is_folder(entry):
            classes[entry.name] = list(walk_images(entry.path))
            count += len(classes[entry.name])
            if count > MOST_FILES:
                raise NoInputError(
                    f"{folder}: more than {MOST_FILES:,} images, expected at most as many"
                )
    return classes
