"""List the classes of a folder of class folders, and the files of each; no image is read."""

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from supsup_cli.data.folders.layouts import (
    LOOSE,
    few_named,
    find_layout,
    layout_hint,
    single_folder_hint,
)
from supsup_cli.data.folders.walking import (
    FIRST_RULE,
    RULE,
    Folder,
    Rule,
    Seen,
    identity,
    is_folder,
    is_image,
    list_folder,
    walk_images,
)
from supsup_cli.data.limits import MOST_FILES
from supsup_cli.errors import NoInputError, UsageError

Files = dict[str, list[str]]
Broken = tuple[tuple[str, str], ...]

_LONGEST_PATH = 4096  # characters of a text in a task file


@dataclass(frozen=True, slots=True)
class Listing:
    """Hold each class's files, and what was found beside them.

    Attributes:
        folder: contains all class folders.
        classes: sorted by name, or by number if all names are numbers.
        train: class → files.
        test: the same; None if it is to be held out of train.
        broken: (path, reason) of what cannot be used: empty class folders, loose images.
        calibration: class → files; None if it is to be held out of train.
        test_folder: name of the test's folder.
        calibration_folder: name of the calibration share's folder.
        notes: further remarks, a line each.
    """

    folder: Path
    classes: tuple[str, ...]
    train: Files
    test: Files | None
    broken: Broken
    calibration: Files | None = None
    test_folder: str = ""
    calibration_folder: str = ""
    notes: tuple[str, ...] = ()


def list_classes(folder: Path) -> Listing:
    """List the classes of a folder and their image files, according to its layout.

    Raises:
        NoInputError: fewer than two classes, a class without a training image, splits that do not
            belong together, or too many files.
        UsageError: a path or a class name that cannot be written down.
    """
    _check_path(folder)
    seen = Seen()
    layout = find_layout(folder, seen)
    broken = [(path, LOOSE) for path in layout.loose]
    splits = [one for one in (layout.train, layout.test, layout.calibration) if one is not None]
    places_of_all = (identity(place) for split in splits for _, place in _class_places(split))
    others_folders = frozenset(one for one in places_of_all if one is not None)
    files: list[Files] = []
    folders: list[dict[str, str]] = []
    for split in splits:
        found, places = _class_files(split, seen, others=others_folders)
        files.append(found)
        folders.append(places)
    named = _one_spelling(files)
    train, *others = named
    names = _in_order({*train, *(name for one in others for name in one)})
    classes = [name for name in names if any(one.get(name) for one in named)]
    for split, one in zip(splits[1:], others, strict=True):
        _check_split(split, one, train, classes)
    _check_names(folder, classes)
    for name in classes:
        if not train.get(name):
            _refuse_untrained(folder, name, zip(splits[1:], others, strict=True))
    if len(classes) < 2:
        raise NoInputError(
            f"{folder}: class folders with images: {len(classes)} found, expected at least 2",
            hint=single_folder_hint(folder, tuple(names)),
        )
    for found, places in zip(files, folders, strict=True):
        broken += [
            (places[name], "a class folder without images, left out")
            for name in _in_order(found)
            if not found[name] and places[name] not in dict(seen.unreadable)
        ]
    broken += seen.unreadable
    notes = [*_notes(layout.beside, train, folders[0]), *seen.notes()]
    for split, one in zip(splits[1:], others, strict=True):
        missing = [name for name in classes if name not in one]
        if missing:
            notes.append(f"{split.name}: no folder of {few_named(missing)}")
    return Listing(
        folder,
        tuple(classes),
        {name: train[name] for name in classes},
        _of_split(others[:1], classes),
        tuple(broken),
        _of_split(others[1:], classes),
        test_folder="" if layout.test is None else layout.test.name,
        calibration_folder="" if layout.calibration is None else layout.calibration.name,
        notes=tuple(notes),
    )


def list_by_first_rule(folder: Path) -> Listing:
    """List a folder's classes by the first rule, when splits had no names but `train` and `test`.

    Tasks learned then are still measured on the data they were learned from. A folder `train` was a
    split if it held folders and no image, and so was `test` next to it; every other folder was a
    class.

    Raises:
        NoInputError: it has fewer than two classes by that rule.
    """
    _check_path(folder)
    seen = Seen()

    def is_split(name: str) -> bool:
        if not (folder / name).is_dir():
            return False
        entries = list_folder(str(folder / name), rule=FIRST_RULE)
        nested = [is_folder(entry) for entry in entries]
        images = [is_image(entry.name, FIRST_RULE) for entry in entries]
        loose = any(image and not one for image, one in zip(images, nested, strict=True))
        return any(nested) and not loose

    parted = is_split("train")
    train, _ = _class_files(folder / "train" if parted else folder, seen, FIRST_RULE)
    test = (
        _class_files(folder / "test", seen, FIRST_RULE)[0] if parted and is_split("test") else None
    )
    names = _in_order({*train, *(test or {})})
    classes = [name for name in names if train.get(name) or (test or {}).get(name)]
    if len(classes) < 2 or not all(train.get(name) for name in classes):
        raise NoInputError(f"{folder}: no two class folders, as they were read at first")
    return Listing(
        folder,
        tuple(classes),
        {name: train[name] for name in classes},
        None if test is None else {name: test.get(name, []) for name in classes},
        (),
        test_folder="" if test is None else "test",
    )


def _check_path(folder: Path) -> None:
    if len(str(folder)) > _LONGEST_PATH or not _is_plain(str(folder)):
        raise UsageError(
            f"{folder}: this path has control characters, bytes that are not text, or more than "
            f"{_LONGEST_PATH:,} characters; expected one that a task can record",
            hint="rename the folder, or give a link to it that has a plain name",
        )


def _check_names(folder: Path, classes: list[str]) -> None:
    for name in classes:
        if not _is_plain(name):
            raise UsageError(
                f"{folder}: class folder {name!r} has control characters or bytes that are not "
                "text, expected a plain name"
            )


def _is_plain(text: str) -> bool:
    return not any(unicodedata.category(mark) in ("Cc", "Cs", "Zl", "Zp") for mark in text)


def _in_order(names: Iterable[str]) -> list[str]:
    ordered = sorted(names)
    if all(name.isascii() and name.isdigit() for name in ordered):
        ordered.sort(key=lambda name: (int(name), name))
    return ordered


def _class_files(
    folder: Path, seen: Seen, rule: Rule = RULE, others: frozenset[Folder] = frozenset()
) -> tuple[Files, dict[str, str]]:
    """List the files of each class folder, and its path.

    Raises:
        NoInputError: the folder cannot be read, or there are too many files.
    """
    files: Files = {}
    places: dict[str, str] = {}
    count = 0
    for name, place in _class_places(folder, rule):
        files[name] = list(walk_images(place, seen, rule, others))
        places[name] = place
        count += len(files[name])
        if count > MOST_FILES:
            raise NoInputError(
                f"{folder}: more than {MOST_FILES:,} images, expected at most as many"
            )
    return files, places


def _class_places(folder: Path, rule: Rule = RULE) -> list[tuple[str, str]]:
    # Entries next to class folders were counted when the layout was found.
    entries = list_folder(str(folder), rule=rule)
    return [(entry.name, entry.path) for entry in entries if is_folder(entry)]


def _one_spelling(splits: list[Files]) -> list[Files]:
    """Join classes with names that are equal after Unicode normalisation, under the first name."""
    spelled: dict[str, str] = {}
    joined: list[Files] = []
    for files in splits:
        one: Files = {}
        for name, paths in files.items():
            known = spelled.setdefault(unicodedata.normalize("NFC", name), name)
            one[known] = one.get(known, []) + paths
        joined.append(one)
    return joined


def _of_split(split: list[Files], classes: list[str]) -> Files | None:
    return {name: split[0].get(name, []) for name in classes} if split else None


def _check_split(split: Path, files: Files, train: Files, classes: list[str]) -> None:
    """Check that the test can be used; otherwise another share would silently replace it.

    Raises:
        NoInputError: it has no image, or none of a class of train.
    """
    held = [name for name, paths in files.items() if paths]
    if any(name in train for name in held):
        return
    found = f"images of {few_named(held)}" if held else "class folders without images"
    raise NoInputError(
        f"{split}: {found} found, expected some of the classes of train, "
        f"{few_named([name for name in classes if train.get(name)])}",
        hint=f"put the images there as {split}/CLASS/IMAGE.png, or move {split} elsewhere",
    )


def _refuse_untrained(folder: Path, name: str, splits: Iterable[tuple[Path, Files]]) -> None:
    counted = [f"{len(files[name])} under {split.name}" for split, files in splits if name in files]
    raise NoInputError(
        f"{folder}: class {name!r} has 0 images under train and {' and '.join(counted)}, "
        "expected at least 1 under train",
        hint=layout_hint(folder),
    )


def _notes(beside: tuple[str, ...], train: Files, places: dict[str, str]) -> list[str]:
    notes = []
    if beside:
        notes.append(f"folders next to train, not read: {few_named(beside)}")
    for name, place in places.items():
        parents = {str(Path(path).parent) for path in train.get(name, [])}
        if parents and place not in parents:
            below = sorted({Path(one).relative_to(place).parts[0] for one in parents})
            notes.append(
                f"class {name} holds folders alone ({few_named(below)}); all their images are of "
                f"that class; for classes of their own: --data {place}"
            )
    return notes
