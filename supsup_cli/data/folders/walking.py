"""Walk folders for image files, known by their endings; count what is skipped."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from supsup_cli.data.limits import MOST_FILES
from supsup_cli.errors import NoInputError

Folder = tuple[int, int]  # device and inode: the same for every name of one folder

_FIRST_EXTENSIONS: Final = (
    ".png",
    ".jpg",
    ".jpeg",
    ".bmp",
    ".gif",
    ".webp",
    ".tif",
    ".tiff",
    ".pgm",
    ".ppm",
    ".jfif",
    # formats of phones and browsers that nothing here decodes: reported as broken, not skipped
    ".heic",
    ".heif",
    ".avif",
)
EXTENSIONS: Final = (
    *_FIRST_EXTENSIONS,
    ".mpo",
    ".jpe",
    ".apng",
    ".pbm",
    ".pnm",
    ".tga",
    ".dib",
    ".jp2",
)
# What operating systems and network drives put into folders. Whole names only.
SYSTEM_NAMES: Final = frozenset(
    {
        "@eaDir",
        "__MACOSX",
        "$RECYCLE.BIN",
        "System Volume Information",
        "lost+found",
        "#recycle",
        ".AppleDouble",
    }
)
_HIDDEN = "hidden"
_MOST_ENDINGS = 5  # named one by one
_LONGEST_ENDING = 12  # characters; anything longer is not a file ending


@dataclass(frozen=True, slots=True)
class Rule:
    """Which entries count.

    Attributes:
        extensions: endings of image files, in small letters.
        passed_over: names that are skipped, as are hidden ones.
        upwards: whether links to a folder above are followed.
    """

    extensions: tuple[str, ...]
    passed_over: frozenset[str]
    upwards: bool


RULE: Final = Rule(EXTENSIONS, SYSTEM_NAMES, upwards=False)
# How folders were read at first: older tasks recorded digests of what it finds.
FIRST_RULE: Final = Rule(_FIRST_EXTENSIONS, frozenset(), upwards=True)


@dataclass(slots=True)
class Seen:
    """What walks did not read.

    Attributes:
        passed_over: hidden and system names, and how often each.
        others: endings of other files ("" for none), and how often each.
        unreadable: folders that cannot be read, each with the reason.
        links: links to a folder above or to another class, which were not followed.
    """

    passed_over: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    unreadable: list[tuple[str, str]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)

    def add(self, other: "Seen") -> None:
        """Add what another walk collected."""
        self.passed_over += other.passed_over
        self.others += other.others
        self.unreadable += other.unreadable
        self.links += other.links

    def add_file(self, name: str) -> None:
        """Count a file of another kind."""
        ending = Path(name).suffix.lower()
        self.others[ending if len(ending) <= _LONGEST_ENDING else ""] += 1

    def notes(self) -> list[str]:
        """Report what was skipped, a line for each kind."""
        notes = []
        if self.others:
            counted = self.others.most_common(_MOST_ENDINGS)
            told = [f"{ending or 'no ending'} {count}" for ending, count in counted]
            rest = self.others.total() - sum(count for _, count in counted)
            told += [f"more {rest}"] if rest else []
            total = self.others.total()
            files = "file of another kind" if total == 1 else "files of other kinds"
            notes.append(f"{total} {files} not read: {', '.join(told)}")
        if self.passed_over:
            last = sorted(self.passed_over, key=lambda name: (name == _HIDDEN, name))
            told = [f"{name} {self.passed_over[name]}" for name in last]
            notes.append(f"passed over: {', '.join(told)}")
        if self.links:
            notes.append(
                f"{len(self.links)} links to a folder above or to another class not followed, "
                f"the first: {self.links[0]}"
            )
        return notes


def list_folder(folder: str, seen: Seen | None = None, rule: Rule = RULE) -> list[os.DirEntry[str]]:
    """List a folder's entries by name, without hidden ones and those of the system.

    Args:
        folder: its path.
        seen: counts what is skipped; None if that is not needed.
        rule: which entries are looked at.

    Raises:
        NoInputError: it cannot be read, or has more than `MOST_FILES` entries.
    """
    try:
        with os.scandir(folder) as entries:
            found = list(islice(entries, MOST_FILES + 1))
    except OSError as error:
        raise NoInputError(f"{folder}: {_unreadable(error)}") from error
    if len(found) > MOST_FILES:
        raise too_many(folder, "entries")
    kept = []
    for entry in found:
        if entry.name[0] != "." and entry.name not in rule.passed_over:
            kept.append(entry)
        elif seen is not None:
            system = entry.name in rule.passed_over
            seen.passed_over[entry.name if system else _HIDDEN] += 1
    return sorted(kept, key=lambda one: one.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a folder or a link to one; a link to itself is not."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def is_image(name: str, rule: Rule = RULE) -> bool:
    """Return whether a file's name has the ending of an image file."""
    return name.lower().endswith(rule.extensions)


def identity(folder: str | Path) -> Folder | None:
    """Identify a folder whatever path leads to it; None if it cannot be examined."""
    try:
        status = Path(folder).stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino


def walk_images(
    folder: str, seen: Seen, rule: Rule = RULE, others: frozenset[Folder] = frozenset()
) -> Iterator[str]:
    """Walk a folder for image files, known by their endings: its own first, then each subfolder's.

    Links are followed, but no folder is entered twice, so that a loop of links ends. A folder above
    is not entered either, because that would include the folders next to this one.

    Args:
        folder: where to begin, whatever its name.
        seen: collects what is not read, including unreadable folders.
        rule: which entries are looked at.
        others: further folders not to enter.

    Yields:
        paths that begin with `folder` as given.

    Raises:
        NoInputError: there are more than `MOST_FILES` entries in all.
    """
    entered: set[Folder | None] = set()
    above = frozenset() if rule.upwards else _above(folder)
    waiting = [folder]
    count = 0
    while waiting:
        current = waiting.pop()
        try:
            status = Path(current).stat()
            here = (status.st_dev, status.st_ino)
            if here in entered:
                continue
            if current != folder and (here in above or here in others):
                seen.links.append(current)
                continue
            entered.add(here)
            entries = list_folder(current, seen, rule)
        except OSError as error:
            seen.unreadable.append((current, _unreadable(error)))
            continue
        except NoInputError as error:
            if not isinstance(error.__cause__, OSError):
                raise
            seen.unreadable.append((current, _unreadable(error.__cause__)))
            continue
        visible = [(entry.name, is_folder(entry)) for entry in entries]
        count += len(visible)
        if count > MOST_FILES:
            raise too_many(folder, "entries")
        for name, nested in visible:
            if nested:
                continue
            if is_image(name, rule):
                yield _join(current, name)
            else:
                seen.add_file(name)
        # last in, first out: reversed, so that subfolders come sorted by name
        waiting += [_join(current, name) for name, nested in reversed(visible) if nested]


def too_many(where: str, what: str) -> NoInputError:
    """Report that there is more than one command reads."""
    return NoInputError(
        f"{where}: more than {MOST_FILES:,} {what}, expected at most as many",
        hint="give the folders in parts, one command for each",
    )


def _unreadable(error: OSError) -> str:
    return f"folder cannot be read ({error.strerror})"


def _above(folder: str) -> frozenset[Folder]:
    """Find the folders above, both of its path and of what links lead to."""
    paths = {*Path(os.path.abspath(folder)).parents, *Path(os.path.realpath(folder)).parents}  # noqa: PTH100
    return frozenset(found for path in paths if (found := identity(path)) is not None)


def _join(folder: str, name: str) -> str:
    # unlike Path, keeps "./" and everything else as the user typed it
    return os.path.join(folder, name)  # noqa: PTH118
