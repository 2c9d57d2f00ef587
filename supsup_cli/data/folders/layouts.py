"""Decide what a folder of images means: its class folders and its splits. Only this module decides.

GUIDE has the table of cases, and a test executes it. A folder with a split's name is a split if it
holds class folders. If it holds only images, it is a class of that name, unless there is a split
next to it. A folder that could mean two things is refused.
"""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from supsup_cli.data.folders.walking import Seen, is_folder, is_image, list_folder
from supsup_cli.errors import NoInputError

_SPLITS: Final = {
    "train": "train",
    "training": "train",
    "test": "test",
    "testing": "test",
    "val": "val",
    "valid": "val",
    "validation": "val",
}
_MOST_NAMED = 5
LOOSE: Final = "an image next to class folders, of no class; left out"


@dataclass(frozen=True, slots=True)
class Layout:
    """Decide where the class folders of each split are.

    Attributes:
        train: folders that contain the class folders to learn from.
        test: the same for the test; None if a share of train is held out.
        calibration: the same for calibration; None if a share of train is held out.
        loose: images next to class folders or splits.
        beside: folders next to the splits, which are not read.
    """

    train: Path
    test: Path | None = None
    calibration: Path | None = None
    loose: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Inside:
    """The content of one folder: images and folders by name, and the number of other entries."""

    images: tuple[str, ...]
    folders: tuple[str, ...]


def find_layout(folder: Path, seen: Seen) -> Layout:
    """Find what a folder means.

    Args:
        folder: of images.
        seen: collects what is skipped next to class folders.

    Raises:
        NoInputError: it cannot be read, or its splits cannot be a task's.
    """
    top = _look(folder, seen)
    # An unreadable folder counts as one without folders; walking it reports the error.
    inside = {name: _look_inside(folder / name) for name in top.folders}
    loose = tuple(str(folder / name) for name in top.images)
    named = {name: _SPLITS.get(name.casefold()) for name in top.folders}
    train = [name for name in top.folders if named[name] == "train" and inside[name].folders]
    if not train or _is_class(train, named, inside):
        _refuse_stray_splits(folder, top.folders, named, inside)
        return Layout(folder, loose=loose)
    found = {
        split: _only(folder, split, [name for name, one in named.items() if one == split])
        for split in ("test", "val")
    }
    chosen = _only(folder, "train", train)
    test = found["test"] or found["val"]
    calibration = found["val"] if found["test"] else None
    used = [name for name in (chosen, test, calibration) if name]
    beside = tuple(name for name in top.folders if name not in used)
    for name in used:
        held = _look(folder / name, seen)
        loose += tuple(str(folder / name / image) for image in held.images)
        if name != chosen and not held.folders:
            raise _unusable(folder / name, folder)
    return Layout(
        folder / str(chosen),
        None if test is None else folder / test,
        None if calibration is None else folder / calibration,
        loose,
        beside,
    )


def layout_hint(folder: Path) -> str:
    """Explain how to arrange images."""
    return f"lay images out as {folder}/CLASS/IMAGE.png, or {folder}/train/CLASS/IMAGE.png"


def few_named(names: list[str] | tuple[str, ...]) -> str:
    """Name the first few."""
    more = len(names) - _MOST_NAMED
    return ", ".join(names[:_MOST_NAMED]) + (f" and {more} more" if more > 0 else "")


def _look(folder: Path, seen: Seen | None = None) -> _Inside:
    entries = [(entry.name, is_folder(entry)) for entry in list_folder(str(folder), seen)]
    for name, nested in entries:
        if seen is not None and not nested and not is_image(name):
            seen.add_file(name)
    return _Inside(
        tuple(name for name, nested in entries if not nested and is_image(name)),
        tuple(name for name, nested in entries if nested),
    )


def _look_inside(folder: Path) -> _Inside:
    try:
        return _look(folder)
    except NoInputError:
        return _Inside((), ())


def _is_class(train: list[str], named: dict[str, str | None], inside: dict[str, _Inside]) -> bool:
    """Return whether a `train` with images and subfolders of its own is a class among others."""
    others = [name for name, split in named.items() if split is None and inside[name].images]
    splits = [name for name, split in named.items() if split in ("test", "val")]
    parted = any(inside[name].folders for name in splits)
    return bool(inside[train[0]].images) and bool(others) and not parted


def _only(folder: Path, split: str, names: list[str]) -> str | None:
    if len(names) > 1:
        raise NoInputError(
            f"{folder}: {' and '.join(names)} found, expected one folder that is its {split}",
            hint=f"move one of them out of {folder}",
        )
    return names[0] if names else None


def _unusable(split: Path, folder: Path) -> NoInputError:
    held = _look(split)
    found = f"{len(held.images):,} images and no class folder" if held.images else "nothing"
    return NoInputError(
        f"{split}: {found} found, expected class folders, as those of train",
        hint=f"lay images out as {split}/CLASS/IMAGE.png, or move {split} out of {folder}",
    )


def _refuse_stray_splits(
    folder: Path,
    names: tuple[str, ...],
    named: dict[str, str | None],
    inside: dict[str, _Inside],
) -> None:
    """Refuse splits that cannot be a task's: they would be learned as classes.

    Raises:
        NoInputError: always; the message says what was found.
    """
    exact = [name for name in names if named[name]]
    kinds = {named[name] for name in exact}
    parted = [name for name in exact if inside[name].folders]
    alone = len(exact) == len(names) and (len(kinds) > 1 or bool(parted))
    # A split whose class folders are also named next to it: a folder `train` is missing.
    same = [name for name in parted if set(inside[name].folders) & (set(names) - set(exact))]
    spoken = _spoken_splits(names)
    if not (alone or same or spoken):
        return
    if spoken:
        hint = "rename " + ", ".join(f"{name} to {split}" for name, split in spoken.items())
    else:
        hint = f"move the class folders to learn from into {folder / 'train'}"
    raise NoInputError(
        f"{folder}: {few_named(tuple(spoken or exact))} found, names of splits and not of classes, "
        "and no folder train that holds class folders; expected train/CLASS/IMAGE, and "
        "test/CLASS/IMAGE or val/CLASS/IMAGE next to it",
        hint=hint,
    )


def _spoken_splits(names: tuple[str, ...]) -> dict[str, str]:
    """Find names that differ in one word, which is train in one of them and a split in another.

    `seg_train`, `seg_test` and `seg_pred` are such names; `steam_train` and `blood_test` are not.

    Returns:
        name → split, for the names that are splits; empty if the names are classes.
    """
    words = {name: re.findall(r"[^\W\d_]+|\d+", name.casefold()) for name in names}
    lengths = {len(one) for one in words.values()}
    if len(names) < 2 or len(lengths) != 1 or lengths == {1}:
        return {}
    for place in range(lengths.pop()):
        rest = {tuple(one[:place] + one[place + 1 :]) for one in words.values()}
        found = {name: _SPLITS[one[place]] for name, one in words.items() if one[place] in _SPLITS}
        if len(rest) == 1 and "train" in found.values() and len(set(found.values())) > 1:
            return found
    return {}


def single_folder_hint(folder: Path, names: tuple[str, ...]) -> str:
    """Suggest the only folder inside the one given, which was perhaps meant."""
    if len(names) == 1 and _look_inside(folder / names[0]).folders:
        return f"supsup learn-task --data {os.path.join(folder, names[0])}"  # noqa: PTH118
    return layout_hint(folder)
