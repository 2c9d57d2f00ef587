"""From what the user typed to image files: files, folders, globs, a list on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from supsup_cli.errors import NoInputError

EXTENSIONS = (
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
)


@dataclass(frozen=True, slots=True)
class Source:
    """Name one image file as it is displayed, and the folder it lies in (for groups)."""

    path: str
    folder: str


def find_images(arguments: Sequence[str], stdin: Iterable[str] = ()) -> list[Source]:
    """Find the image files that the arguments stand for, in their order, each path once.

    A file is taken whatever its extension. A folder is searched with all its subfolders, in
    order of names, for image extensions; hidden entries are passed over. A pattern with * ? [
    that is no file's literal name is matched, and its matches are treated as if they had been
    typed. "-" takes one path a line from `stdin`; a line that names nothing stays in the list,
    so that reading it reports the error in its place.

    Args:
        arguments: paths, patterns, or "-".
        stdin: lines, with or without their line ends.

    Raises:
        NoInputError: an argument names nothing, a folder cannot be read or holds no image, or
            there is no argument.
    """
    if not arguments:
        raise NoInputError("no image given, expected files, folders, patterns or -")
    paths: dict[str, None] = {}
    for argument in arguments:
        paths.update(dict.fromkeys(_expand(argument, stdin)))
    return [Source(path, os.path.dirname(path) or ".") for path in paths]  # noqa: PTH120


def walk_images(folder: str) -> Iterator[str]:
    """Walk a folder for image files by extension: its own first, then each subfolder's.

    Links are followed, but no folder is entered twice, so that a loop of links ends.

    Yields:
        paths that begin with `folder` as given.

    Raises:
        NoInputError: a folder cannot be read.
    """
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    while waiting:
        current = waiting.pop()
        try:
            status = Path(current).stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
            entered.add((status.st_dev, status.st_ino))
            with os.scandir(current) as entries:
                visible = sorted(
                    (entry.name, _is_folder(entry)) for entry in entries if entry.name[0] != "."
                )
        except OSError as error:
            raise NoInputError(f"{current}: folder cannot be read ({error.strerror})") from error
        for name, is_folder in visible:
            if not is_folder and name.lower().endswith(EXTENSIONS):
                yield _join(current, name)
        # last in, first out: reversed, so that subfolders come in order of their names
        waiting += [_join(current, name) for name, is_folder in reversed(visible) if is_folder]


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link to itself
        return False


def _join(folder: str, name: str) -> str:
    # unlike Path's, keeps "./" and the rest of the folder as the user typed it
    return os.path.join(folder, name)  # noqa: PTH118


def _expand(argument: str, stdin: Iterable[str]) -> Iterator[str]:
    if argument == "-":
        lines = [line.rstrip("\r\n") for line in stdin]
        if not any(line.strip() for line in lines):
            raise NoInputError("-: the list on standard input is empty, expected a path a line")
        for line in lines:
            if line.strip():
                yield from _images_of(line)
        return
    if not os.path.lexists(argument) and glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))  # noqa: PTH207 - keeps "./" as typed
        if not matches:
            raise NoInputError(f"{argument}: the pattern matches nothing")
        for match in matches:
            yield from _images_of(match)
        return
    if not os.path.lexists(argument):
        raise NoInputError(f"{argument}: no such file or folder")
    yield from _images_of(argument)


def _images_of(path: str) -> Iterator[str]:
    if not Path(path).is_dir():
        yield path
        return
    empty = True
    for image in walk_images(path):
        empty = False
        yield image
    if empty:
        raise NoInputError(
            f"{path}: no image in this folder, expected files ending in {' '.join(EXTENSIONS)}",
            hint="supsup data export mnist images --limit 100",
        )
