"""From what the user typed to image files: files, folders, globs, a list on standard input."""

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TextIO

from supsup_cli.data.limits import MOST_FILES, MOST_LINE
from supsup_cli.errors import NoInputError

_MARK = "\ufeff"  # byte order mark, which some editors put before a list
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
    ".jfif",
    # what phones and browsers write and nothing here decodes: named as broken, not passed over
    ".heic",
    ".heif",
    ".avif",
)


@dataclass(frozen=True, slots=True)
class Source:
    """Name one image file as it is displayed, and the folder it lies in (for groups).

    `problem` says why there is nothing to read, where that is known already.
    """

    path: str
    folder: str
    problem: NoInputError | None = None


def find_images(arguments: Sequence[str], stdin: Iterable[str] = ()) -> list[Source]:
    """Find the image files that the arguments stand for, in their order.

    A file is taken whatever its extension. A folder is searched with all its subfolders, in
    order of names, for image extensions; hidden entries are passed over. A pattern with * ? [
    that is no file's literal name is matched, and its matches are treated as if they had been
    typed. "-" takes one path a line from `stdin`. What names nothing, or a folder without images,
    stays in the list with its problem, so that the others are answered; a path that is given twice
    is there twice.

    Args:
        arguments: paths, patterns, or "-".
        stdin: lines, with or without their line ends.

    Raises:
        NoInputError: no argument or line names anything, there is none, or more than `MOST_FILES`
            files.
    """
    if not arguments:
        raise NoInputError("no image given, expected files, folders, patterns or -")
    found: list[Source] = []
    for argument in arguments:
        try:
            for source in _expand(argument, stdin):
                found.append(source)
                if len(found) > MOST_FILES:
                    raise _too_many(argument, "image files")
        except ValueError as error:  # a NUL, or what no name of a file can be
            problem = NoInputError(f"{argument}: not a usable path ({error})")
            found.append(_source(argument, problem))
    problems = [source.problem for source in found if source.problem is not None]
    if len(problems) == len(found):
        raise problems[0]
    return found


def read_lines(stream: TextIO) -> Iterator[str]:
    """Read a list a line at a time, so that one without line ends takes no memory.

    Raises:
        NoInputError: a line of more than `MOST_LINE` characters.
    """
    while line := stream.readline(MOST_LINE + 1):
        if len(line) > MOST_LINE:
            raise NoInputError(
                f"-: a line of more than {MOST_LINE:,} characters on standard input, expected a "
                "path a line"
            )
        yield line


def list_folder(folder: str) -> list[os.DirEntry[str]]:
    """List a folder's entries by name, hidden ones left out.

    Raises:
        NoInputError: it cannot be read, or has more than `MOST_FILES` entries.
    """
    try:
        with os.scandir(folder) as entries:
            found = list(islice(entries, MOST_FILES + 1))
    except OSError as error:
        raise NoInputError(f"{folder}: folder cannot be read ({error.strerror})") from error
    if len(found) > MOST_FILES:
        raise _too_many(folder, "entries")
    return sorted((one for one in found if one.name[0] != "."), key=lambda one: one.name)


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Tell whether an entry is a folder, or a link to one; a link to itself is none."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def walk_images(folder: str) -> Iterator[str]:
    """Walk a folder for image files by extension: its own first, then each subfolder's.

    Links are followed, but no folder is entered twice, so that a loop of links ends.

    Yields:
        paths that begin with `folder` as given.

    Raises:
        NoInputError: a folder cannot be read, or there are more than `MOST_FILES` entries in all.
    """
    entered: set[tuple[int, int]] = set()
    waiting = [folder]
    seen = 0
    while waiting:
        current = waiting.pop()
        try:
            status = Path(current).stat()
            if (status.st_dev, status.st_ino) in entered:
                continue
        except OSError as error:
            raise NoInputError(f"{current}: folder cannot be read ({error.strerror})") from error
        entered.add((status.st_dev, status.st_ino))
        visible = [(entry.name, is_folder(entry)) for entry in list_folder(current)]
        seen += len(visible)
        if seen > MOST_FILES:
            raise _too_many(folder, "entries")
        for name, nested in visible:
            if not nested and name.lower().endswith(EXTENSIONS):
                yield _join(current, name)
        # last in, first out: reversed, so that subfolders come in order of their names
        waiting += [_join(current, name) for name, nested in reversed(visible) if nested]


def _too_many(where: str, what: str) -> NoInputError:
    return NoInputError(
        f"{where}: more than {MOST_FILES:,} {what}, expected at most as many",
        hint="give the folders in parts, one command for each",
    )


def _join(folder: str, name: str) -> str:
    # unlike Path's, keeps "./" and the rest of the folder as the user typed it
    return os.path.join(folder, name)  # noqa: PTH118


def _expand(argument: str, stdin: Iterable[str]) -> Iterator[Source]:
    if argument == "-":
        lines = [line.rstrip("\r\n") for line in stdin]
        lines[:1] = [line.removeprefix(_MARK) for line in lines[:1]]
        if not any(line.strip() for line in lines):
            raise NoInputError("-: the list on standard input is empty, expected a path a line")
        for line in lines:
            if line.strip():
                yield from _images_of(line)
        return
    if os.path.lexists(argument):
        yield from _images_of(argument)
    elif glob.has_magic(argument):
        names = glob.iglob(argument, recursive=True)  # noqa: PTH207 - keeps "./" as typed
        matches = sorted(islice(names, MOST_FILES + 1))
        if len(matches) > MOST_FILES:
            raise _too_many(argument, "matches")
        if not matches:
            yield _source(argument, NoInputError(f"{argument}: the pattern matches nothing"))
        for match in matches:
            yield from _images_of(match)
    else:
        yield _source(argument, NoInputError(f"{argument}: no such file or folder"))


def _images_of(path: str) -> Iterator[Source]:
    if not Path(path).is_dir():
        yield _source(path)
        return
    empty = True
    try:
        for image in walk_images(path):
            empty = False
            yield _source(image)
    except NoInputError as error:
        yield _source(path, error)
        return
    if empty:
        problem = NoInputError(
            f"{path}: no image in this folder, expected files ending in {' '.join(EXTENSIONS)}",
            hint="supsup data export mnist images --limit 100",
        )
        yield _source(path, problem)


def _source(path: str, problem: NoInputError | None = None) -> Source:
    return Source(path, os.path.dirname(path) or ".", problem)  # noqa: PTH120
